"""Each loss forward and backward: minenet's and, on request, its peer's in torch.

    python -m benchmarks.losses
    python -m benchmarks.losses --peer --batch=8x256

The same logits and targets on both sides, one class and three; the gradient is that of
the logits, and no weight is given, as the peers know none. smp's losses get labels of
exclusive classes, and probabilities where they ask for them. A library is a fresh
process, and the processes take turns, so that what else the machine does falls on all
of them.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import measure

TASKS = {1: "binary", 3: "exclusive"}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--peer", action="store_true", help="torch in the same run")
    options.add_argument("--batch", default="8x256", help="samples x side")
    options.add_argument("--repeats", type=int, default=5, help="calls a process")
    options.add_argument("--rounds", type=int, default=2, help="processes a library")
    options.add_argument("--names", default="", help="a,b: these alone")
    options = options.parse_args()
    size, side = map(int, options.batch.split("x"))

    rows = []
    for classes in TASKS:
        common = {"size": size, "side": side, "classes": classes}
        common |= {"repeats": options.repeats, "names": options.names}
        found = measure.alternate(
            "benchmarks.losses",
            {
                library: {"library": library, **common}
                for library in ("minenet", *(["torch"] if options.peer else []))
            },
            rounds=options.rounds,
        )
        theirs = found.get("torch", {})
        for name, times in found["minenet"].items():
            row = [name, classes, measure.spread(times, digits=1, factor=1e3)]
            if name in theirs:
                ratio = np.median(theirs[name]) / np.median(times)
                row += [measure.spread(theirs[name], digits=1, factor=1e3)]
                row += [f"{ratio:.1f}"]
            rows.append(row + ["–"] * (5 - len(row)))
    print(
        f"On {measure.device()}; {size} × {side}², forward and backward. Times are "
        "medians (quartiles).\n"
    )
    header = "loss|classes|minenet ms|peer ms|peer ÷ minenet"
    print(measure.table(header.split("|"), rows))


def inputs(*, size: int, side: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits and one-hot targets `[B, H, W, K]` of smooth regions and noise."""
    generator = np.random.default_rng(0)
    coarse = generator.normal(size=(size, side // 16, side // 16, max(classes, 2)))
    regions = coarse.repeat(16, axis=1).repeat(16, axis=2)
    target = np.eye(max(classes, 2), dtype=np.float32)[regions.argmax(-1)]
    target = target if classes > 1 else target[..., 1:]
    logits = 2 * target - 1 + generator.normal(0, 1, target.shape)
    return logits.astype(np.float32), target


def minenet(names: list[str], *, classes: int, **shape: int) -> dict[str, Callable]:
    """Returns a compiled forward and backward pass of each loss."""
    import jax

    from minenet import losses

    data = jax.device_put(inputs(classes=classes, **shape))
    calls = {}
    for name in losses.names():
        try:
            loss = losses.build(name, task=TASKS[classes])
        except ValueError:  # It does not fit the task.
            continue
        step = jax.jit(jax.value_and_grad(loss))
        calls[name] = lambda step=step: jax.block_until_ready(step(*data))
    return {name: calls[name] for name in calls if not names or name in names}


def torch(names: list[str], *, classes: int, **shape: int) -> dict[str, Callable]:
    """Returns a forward and backward pass of the peer of each loss that has one."""
    from benchmarks import peers

    torch, smp = peers.torch(), peers.smp().losses
    monai = importlib.import_module("monai.losses")
    torch.set_num_threads(2)
    logits, target = inputs(classes=classes, **shape)
    x = torch.from_numpy(logits).permute(0, 3, 1, 2).contiguous().requires_grad_()
    t = torch.from_numpy(target).permute(0, 3, 1, 2).contiguous()
    label = t.argmax(1) if classes > 1 else t
    kind = {"softmax": True} if classes > 1 else {"sigmoid": True}
    mode = "multiclass" if classes > 1 else "binary"
    functional = torch.nn.functional
    tversky = functools.partial(smp.TverskyLoss, mode, alpha=0.3, beta=0.7, smooth=1.0)
    background = kind | {"include_background": True}
    losses = {
        "bce": (functional.binary_cross_entropy_with_logits, t),
        "bce_dice": (monai.DiceCELoss(**kind, batch=True), t),
        "boundary": (monai.BoundaryLoss(**background), t),
        "cldice": (monai.SoftclDiceLoss(**kind), t),
        "cross_entropy": (functional.cross_entropy, label),
        "cross_entropy_dice": (monai.DiceCELoss(**kind, batch=True), t),
        "dice": (smp.DiceLoss(mode, smooth=1.0), label),
        "focal": (smp.FocalLoss(mode), label),
        "focal_tversky": (tversky(gamma=0.75), label),
        "generalised_dice": (monai.GeneralizedDiceLoss(**kind, batch=True), t),
        "hausdorff_dt": (monai.HausdorffDTLoss(**background), t),
        "jaccard": (smp.JaccardLoss(mode, smooth=1.0), label),
        "lovasz": (smp.LovaszLoss(mode), label),
        "tversky": (tversky(), label),
    }
    if classes == 1:
        unified, mcc = monai.AsymmetricUnifiedFocalLoss(), smp.MCCLoss()
        losses["unified_focal"] = (lambda x, t: unified(x.sigmoid(), t), t)
        losses["mcc"] = (lambda x, t: mcc(x.sigmoid(), t), t)

    def step(loss: Callable, target: Any) -> None:
        x.grad = None
        loss(x, target).backward()

    return {
        name: functools.partial(step, *each)
        for name, each in losses.items()
        if not names or name in names
    }


def work(task: dict[str, Any]) -> dict[str, list[float]]:
    """Times every loss of one library in this process."""
    library, repeats = task.pop("library"), task.pop("repeats")
    names = [name for name in task.pop("names").split(",") if name]
    calls = {"minenet": minenet, "torch": torch}[library](names, **task)
    return {
        name: measure.seconds(call, warmup=2, repeats=repeats)
        for name, call in calls.items()
    }


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        print(json.dumps(work(json.loads(sys.argv[1]))))
    else:
        main()
