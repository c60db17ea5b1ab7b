"""One step of training and of prediction: minenet's U-Nets and, on request, torch's.

    python -m benchmarks.step
    python -m benchmarks.step --peer --batches=8x128,4x256
    python -m benchmarks.step --peer --bfloat16

The same work on both sides: normalise six bands with gaps, turn and mirror each sample,
forward, Dice + BCE over the pixels that count, backward, clip, AdamW; and normalise,
forward, sigmoid. The peer has the same network layer by layer, and smp's U-Net with a
ResNet-34 beside it, both in channels_last. Every line is a fresh process, and the
processes take turns, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import measure

BANDS = 6
NETS: dict[str, dict[str, Any]] = {
    "U-Net 32–256": {"widths": (32, 64, 128, 256)},
    "U-Net 32–256, stem 2": {"widths": (32, 64, 128, 256), "stem": 2},
}
RESNET = "smp U-Net ResNet-34"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--peer", action="store_true", help="torch in the same run")
    options.add_argument("--batches", default="8x128,4x256", help="samples x side, …")
    options.add_argument(
        "--bfloat16", action="store_true", help="compute in it, on both sides"
    )
    options.add_argument("--repeats", type=int, default=10, help="steps a process")
    options.add_argument("--rounds", type=int, default=2, help="processes a line")
    options = options.parse_args()

    lines = [("minenet", net) for net in NETS]
    if options.peer:
        lines += [*(("torch", net) for net in NETS), ("torch", RESNET)]
    rows = []
    for batch in options.batches.split(","):
        size, side = map(int, batch.split("x"))
        for work in ("train", "predict"):
            common = {"size": size, "side": side, "work": work}
            common |= {"bfloat16": options.bfloat16, "repeats": options.repeats}
            found = measure.alternate(
                "benchmarks.step",
                {(of, net): {"library": of, "net": net, **common} for of, net in lines},
                rounds=options.rounds,
            )
            for (library, net), facts in found.items():
                times = facts["seconds"]
                own = found["minenet", net if net in NETS else next(iter(NETS))]
                ratio = np.median(times) / np.median(own["seconds"])
                rows.append(
                    (
                        f"{work} {size} × {side}²",
                        net,
                        library,
                        f"{facts['parameters'] / 1e6:.1f} M",
                        f"{facts['start']:.1f}",
                        measure.spread(times, factor=1e3),
                        facts["peak"] >> 20,
                        f"{ratio:.2f}",
                    )
                )
    print(f"On {facts['device']}. Times are medians (quartiles).\n")
    header = "work|network|library|parameters|compile s|ms|peak MiB|× minenet"
    print(measure.table(header.split("|"), rows))
    if options.peer:
        print(f"\n{RESNET} is compared with minenet's {next(iter(NETS))}.")


def batch(*, size: int, side: int) -> dict[str, np.ndarray]:
    """Returns a batch of noise as the pipeline yields it, with NaN and weight 0."""
    generator = np.random.default_rng(0)
    image = generator.normal(3000, 900, (size, side, side, BANDS)).astype(np.float32)
    image[:, :4] = np.nan
    target = (generator.random((size, side, side, 1)) < 0.1).astype(np.float32)
    weight = np.ones((size, side, side), np.float32)
    weight[:, :4] = 0
    index = np.arange(size, dtype=np.int32)
    return {"image": image, "target": target, "weight": weight, "index": index}


def minenet(
    net: str, *, size: int, side: int, work: str, bfloat16: bool = False
) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Returns one call of minenet's compiled step, and what is known before it runs."""
    import jax

    from minenet import losses, models
    from minenet.infer import predict
    from minenet.ops import augment, normalize
    from minenet.train import optimizer, state, step

    dtype = "bfloat16" if bfloat16 else "float32"
    model = models.build("unet", num_classes=1, dtype=dtype, **NETS[net])
    adam = optimizer.build(steps=1000)
    normalizer = normalize.zscore([3000.0] * BANDS, [900.0] * BANDS)
    make = functools.partial(
        state.create, model, adam, shape=(side, side, BANDS), seed=0, ema=False
    )
    held = jax.jit(make)()
    data = jax.device_put(batch(size=size, side=side))
    if work == "train":
        traced = jax.jit(
            functools.partial(
                step.train_step,
                apply=model.apply,
                loss=losses.build("bce_dice", task="binary"),
                optimizer=adam,
                normalizer=normalizer,
                augment=augment.batch(flips=True, turns=True),
                seed=0,
                ema_decay=0.0,
            ),
            donate_argnums=0,
        ).lower(held, data)
    else:
        traced = jax.jit(
            functools.partial(
                predict.probabilities,
                apply=model.apply,
                normalizer=normalizer,
                exclusive=False,
                tta=False,
            )
        ).lower(held.variables, data["image"])
    began = time.perf_counter()
    compiled = traced.compile()
    start = time.perf_counter() - began

    def call() -> None:
        nonlocal held
        if work == "train":
            held, results = compiled(held, data)
        else:
            results = compiled(held.variables, data["image"])
        jax.block_until_ready(results)

    device = jax.devices()[0]
    return call, {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(held.params)),
        "start": start,
        "device": measure.device() if device.platform == "cpu" else device.device_kind,
    }


def torch(
    net: str, *, size: int, side: int, work: str, bfloat16: bool = False
) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Returns one call of torch's step; its first call counts as compiling."""
    from benchmarks import peers, twin

    torch, smp = peers.torch(), peers.smp()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if net == RESNET:
        module = smp.Unet("resnet34", encoder_weights=None, in_channels=BANDS)
    else:
        module = twin.unet(BANDS, **NETS[net])
    module = module.to(device, memory_format=torch.channels_last)
    adam = torch.optim.AdamW(module.parameters(), 1e-3, weight_decay=0.05)
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    data = batch(size=size, side=side)
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

    def train() -> None:
        x, t, w = turned([torch.nan_to_num((image - 3000) / 900), target, weight])
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
            logits = module(torch.nan_to_num((image - 3000) / 900))
        torch.sigmoid(logits.float()).cpu()

    call = train if work == "train" else predict
    began = time.perf_counter()
    call()
    return call, {
        "parameters": sum(p.numel() for p in module.parameters()),
        "start": time.perf_counter() - began,
        "device": measure.device() if device == "cpu" else torch.cuda.get_device_name(),
    }


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Does one line of the table in this process."""
    library, repeats = task.pop("library"), task.pop("repeats")
    call, facts = {"minenet": minenet, "torch": torch}[library](**task)
    facts["seconds"] = measure.seconds(call, warmup=2, repeats=repeats)
    return {**facts, "peak": measure.peak_bytes()}


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        print(json.dumps(work(json.loads(sys.argv[1]))))
    else:
        main()
