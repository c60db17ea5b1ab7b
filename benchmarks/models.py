"""Every model: time, compile time and memory, on request beside its peer in torch.

    python -m benchmarks.models --peer
    python -m benchmarks.models --peer --models=resnet_unet,mining_unet --batch=8x256
    python -m benchmarks.models --peer --bfloat16

The work is that of `benchmarks.calls`, each model with its default options on as many
bands as its source takes. The peer is segmentation_models_pytorch's model of the same
graph, or the twin of `benchmarks.twin`. Every line is a fresh process, which trains and
then predicts, so its peak is that of the training; the processes take turns, so that
what else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np

from benchmarks import calls, measure, peers, twin

BANDS = {
    "deepsense_unet": 12,
    "early_fusion": 9,
    "late_fusion": 9,
    "mining_unet": 7,
    "plain_unet": 12,
}
"""Where it is not three."""

SMP = {
    "convnext_unet": ("Unet", "tu-convnext_tiny"),
    "deeplabv3plus": ("DeepLabV3Plus", "resnet34"),
    "early_fusion": ("Unet", "resnet34"),
    "fpn": ("FPN", "resnet34"),
    "resnet_unet": ("Unet", "resnet34"),
    "unetpp": ("UnetPlusPlus", "resnet34"),
    "upernet": ("UPerNet", "resnet34"),
    "vgg_unet": ("Unet", "vgg16_bn"),
}
TWINS = {
    "mining_unet": {
        "widths": (64, 128, 256, 512, 1024),
        "norm": "batch",
        "bias": True,
        "transpose": True,
        "dropout": 0.1,
    },
    "unet": {"widths": (32, 64, 128, 256)},
}


def main() -> None:
    from minenet import models

    known = [name for name in models.names() if name != "linear"]
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--peer", action="store_true", help="torch in the same run")
    options.add_argument("--models", default=",".join(known), help="which ones")
    options.add_argument("--batch", default="4x128", help="samples x side")
    options.add_argument(
        "--bfloat16", action="store_true", help="compute in it, on both sides"
    )
    options.add_argument("--repeats", type=int, default=5, help="steps a process")
    options.add_argument("--rounds", type=int, default=2, help="processes a line")
    options = options.parse_args()

    chosen = options.models.split(",")
    if unknown := set(chosen) - set(known):
        sys.exit(f"--models={','.join(sorted(unknown))}: expected some of {known}")
    size, side = map(int, options.batch.split("x"))
    common = {"size": size, "side": side, "bfloat16": options.bfloat16}
    rows = []
    for name in chosen:
        libraries = ["minenet"]
        if options.peer and name in SMP | TWINS:
            libraries.append("torch")
        found = measure.alternate(
            "benchmarks.models",
            {
                library: {
                    "library": library,
                    "name": name,
                    "repeats": options.repeats,
                    **common,
                }
                for library in libraries
            },
            rounds=options.rounds,
        )
        own = found["minenet"]
        for library, facts in found.items():
            times = [facts[work] for work in ("train", "predict")]
            ratios = [
                np.median(facts[work]) / np.median(own[work])
                for work in ("train", "predict")
            ]
            rows.append(
                (
                    name,
                    library,
                    f"{facts['parameters'] / 1e6:.1f} M",
                    f"{facts['start']:.1f}",
                    *(measure.spread(seconds, factor=1e3) for seconds in times),
                    facts["peak"] >> 20,
                    *(f"{ratio:.2f}" for ratio in ratios),
                )
            )
    header = (
        "model|library|parameters|compile s|train ms|predict ms|peak MiB"
        "|× minenet, train|predict"
    )
    print(f"{size} × {side}² on {facts['device']}. Times are medians (quartiles).\n")
    print(measure.table(header.split("|"), rows))


def network(library: str, name: str, **shape: Any) -> calls.Network:
    """Returns a network of the table."""
    bands = shape["bands"] = BANDS.get(name, 3)
    if library == "minenet":
        return calls.minenet(name, **shape)
    if name in TWINS:
        return calls.torch(twin.unet(bands, **TWINS[name]), **shape)
    architecture, encoder = SMP[name]
    made = getattr(peers.smp(), architecture)
    return calls.torch(made(encoder, encoder_weights=None, in_channels=bands), **shape)


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Does one line of the table in this process."""
    repeats = task.pop("repeats")
    found = network(**task)
    facts = {"parameters": found.parameters, "device": found.device}
    for name in ("train", "predict"):
        call, start = found.compiled(name)
        facts.setdefault("start", start)  # that of the training
        facts[name] = measure.seconds(call, warmup=2, repeats=repeats)
    return facts | {"peak": found.peak()}


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        print(json.dumps(work(json.loads(sys.argv[1]))))
    else:
        main()
