"""One step of training and of prediction: minenet's U-Nets and, on request, torch's.

    python -m benchmarks.step
    python -m benchmarks.step --peer --batches=8x128,4x256
    python -m benchmarks.step --peer --bfloat16

The work is that of `benchmarks.calls`, on six bands. The peer has the same network
layer by layer, and smp's U-Net with a ResNet-34 beside it. Every line is a fresh
process, and the processes take turns, so that what else the machine does falls on all
of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np

from benchmarks import calls, measure, peers, twin

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


def network(library: str, net: str, **shape: Any) -> calls.Network:
    """Returns a network of the table."""
    shape = {"bands": BANDS, **shape}
    if library == "minenet":
        return calls.minenet("unet", **NETS[net], **shape)
    if net == RESNET:
        made = peers.smp().Unet
        module = made("resnet34", encoder_weights=None, in_channels=BANDS)
        return calls.torch(module, **shape)
    return calls.torch(twin.unet(BANDS, **NETS[net]), **shape)


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Does one line of the table in this process."""
    repeats, name = task.pop("repeats"), task.pop("work")
    found = network(**task)
    call, start = found.compiled(name)
    return {
        "parameters": found.parameters,
        "device": found.device,
        "start": start,
        "seconds": measure.seconds(call, warmup=2, repeats=repeats),
        "peak": found.peak(),
    }


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        print(json.dumps(work(json.loads(sys.argv[1]))))
    else:
        main()
