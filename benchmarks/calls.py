"""Calls that do one step of training or of prediction: minenet's and torch's.

The same work on both sides: normalise an image with gaps, turn and mirror each sample,
forward, Dice + BCE over the pixels that count, backward, clip, AdamW; and normalise,
forward, sigmoid. torch computes in channels_last, which its convolutions like best.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import measure, peers

Call = Callable[[], None]

MEAN, DEVIATION = 3000.0, 900.0


class Network(NamedTuple):
    """A network that is ready to be compiled.

    Attributes:
        compiled: Of "train" or "predict": a call that does one step and waits for it,
            and the seconds it took to compile; with torch, those of its first call.
        parameters: How many it has.
        device: Its name.
        peak: The most bytes that were held so far: on an accelerator those of its own
            memory, else those of the process.
    """

    compiled: Callable[[str], tuple[Call, float]]
    parameters: int
    device: str
    peak: Callable[[], int]


def batch(*, size: int, side: int, bands: int) -> dict[str, np.ndarray]:
    """Returns a batch of noise as the pipeline yields it, with NaN and weight 0."""
    generator = np.random.default_rng(0)
    shape = (size, side, side)
    image = generator.normal(MEAN, DEVIATION, (*shape, bands)).astype(np.float32)
    image[:, :4] = np.nan
    target = (generator.random((*shape, 1)) < 0.1).astype(np.float32)
    weight = np.ones(shape, np.float32)
    weight[:, :4] = 0
    index = np.arange(size, dtype=np.int32)
    return {"image": image, "target": target, "weight": weight, "index": index}


def minenet(
    name: str,
    *,
    bands: int,
    size: int,
    side: int,
    bfloat16: bool = False,
    **options: Any,
) -> Network:
    """Returns the model `name` of minenet with one class."""
    import jax

    from minenet import losses, models
    from minenet.infer import predict
    from minenet.ops import augment, normalize
    from minenet.train import optimizer, state, step

    dtype = "bfloat16" if bfloat16 else "float32"
    model = models.build(name, num_classes=1, dtype=dtype, **options)
    adam = optimizer.build(steps=1000)
    normalizer = normalize.zscore([MEAN] * bands, [DEVIATION] * bands)
    make = functools.partial(
        state.create, model, adam, shape=(side, side, bands), seed=0, ema=False
    )
    # Runs once: half of its time would go into making the code fast.
    held = jax.jit(make, compiler_options={"xla_backend_optimization_level": 0})()
    data = jax.device_put(batch(size=size, side=side, bands=bands))
    device = jax.devices()[0]

    def traced(work: str) -> Any:
        if work == "train":
            function = functools.partial(
                step.train_step,
                apply=model.apply,
                loss=losses.build("bce_dice", task="binary"),
                optimizer=adam,
                normalizer=normalizer,
                augment=augment.batch(flips=True, turns=True),
                seed=0,
                ema_decay=0.0,
            )
            return jax.jit(function, donate_argnums=0).lower(held, data)
        function = functools.partial(
            predict.probabilities,
            apply=model.apply,
            normalizer=normalizer,
            exclusive=False,
            tta=False,
        )
        return jax.jit(function).lower(held.variables, data["image"])

    def compiled(work: str) -> tuple[Call, float]:
        lowered = traced(work)
        began = time.perf_counter()
        function = lowered.compile()
        start = time.perf_counter() - began

        def call() -> None:
            nonlocal held
            if work == "train":
                held, results = function(held, data)
            else:
                results = function(held.variables, data["image"])
            jax.block_until_ready(results)

        return call, start

    on_cpu = device.platform == "cpu"
    return Network(
        compiled,
        sum(leaf.size for leaf in jax.tree.leaves(held.params)),
        measure.device() if on_cpu else device.device_kind,
        measure.peak_bytes
        if on_cpu
        else lambda: device.memory_stats()["peak_bytes_in_use"],
    )


def torch(
    module: Any, *, bands: int, size: int, side: int, bfloat16: bool = False
) -> Network:
    """Returns a `torch.nn.Module` with one class."""
    torch = peers.torch()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = module.to(device, memory_format=torch.channels_last)
    adam = torch.optim.AdamW(module.parameters(), 1e-3, weight_decay=0.05)
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    data = batch(size=size, side=side, bands=bands)
    image, target = (
        torch.from_numpy(data[name]).to(device).permute(0, 3, 1, 2)
        for name in ("image", "target")
    )
    weight = torch.from_numpy(data["weight"]).to(device)[:, None]
    generator = np.random.default_rng(0)
    half = functools.partial(torch.autocast, device, torch.bfloat16, enabled=bfloat16)

    def turned(arrays: list[Any]) -> list[Any]:
        samples = []
        for each in zip(*arrays, strict=True):
            turns, flip = map(int, generator.integers((4, 2)))
            each = [torch.flip(a, [2]) if flip else a for a in each]
            samples.append([torch.rot90(a, turns, (1, 2)) for a in each])
        return [torch.stack(parts) for parts in zip(*samples, strict=True)]

    def normalized() -> Any:
        return torch.nan_to_num((image - MEAN) / DEVIATION)

    def train() -> None:
        x, t, w = turned([normalized(), target, weight])
        module.train()
        with half():
            logits = module(x.contiguous(memory_format=torch.channels_last))
        logits = logits.float()
        entropy = cross_entropy(logits, t, reduction="none")
        p = torch.sigmoid(logits) * w
        dice = 1 - (2 * (p * t).sum() + 1) / (p.sum() + (t * w).sum() + 1)
        loss = (entropy * w).sum() / w.sum() + dice
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        adam.step()
        loss.item()  # waits

    @torch.no_grad()
    def predict() -> None:
        module.eval()
        with half():
            logits = module(normalized())
        torch.sigmoid(logits.float()).cpu()

    def compiled(work: str) -> tuple[Call, float]:
        call = {"train": train, "predict": predict}[work]
        began = time.perf_counter()
        call()
        return call, time.perf_counter() - began

    on_cpu = device == "cpu"
    return Network(
        compiled,
        sum(p.numel() for p in module.parameters()),
        measure.device() if on_cpu else torch.cuda.get_device_name(),
        measure.peak_bytes if on_cpu else torch.cuda.max_memory_allocated,
    )
