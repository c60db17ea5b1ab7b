"""Does training wait for its data? The same job on batches in memory and from disk.

    python -m benchmarks.starvation
    python -m benchmarks.starvation --sources=memory,store,GeoTIFF --model=unet

The step is that of `minenet.train.loop`, on windows of 256² with six bands. Rounds of
steps on each source take turns in one process, so that what else the machine does falls
on all of them. In each round a source begins anew: nothing has been read ahead.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import calls, measure
from benchmarks.scenes import CHIP, make
from minenet import losses, models
from minenet.data import pipeline, prepare, source
from minenet.data import store as stores
from minenet.ops import augment, normalize
from minenet.train import optimizer, sharding, state, step
from minenet.types import Batch

BANDS = 6
SOURCES = ("memory", "store", "GeoTIFF")

Begin = Callable[[], Iterator[Batch]]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--model", default="resnet_unet")
    options.add_argument("--batch", type=int, default=8)
    options.add_argument("--sources", default="memory,store", help=", ".join(SOURCES))
    options.add_argument("--steps", type=int, default=3, help="a round")
    options.add_argument("--rounds", type=int, default=7, help="of each source")
    options.add_argument("--codec", default="none", help="of the store")
    options = options.parse_args()
    wanted = options.sources.split(",")
    if unknown := set(wanted) - set(SOURCES):
        sys.exit(f"--sources={','.join(sorted(unknown))}: expected some of {SOURCES}")

    with tempfile.TemporaryDirectory() as folder:
        # float32 as it is, or what the rasters hold, compressed.
        codec = {} if options.codec == "none" else {"codec": options.codec}
        codec |= {"dtype": None} if codec else {}
        make(Path(folder), scenes=4, side=1024, stores={"chips": codec})
        begins = sources(Path(folder), batch=options.batch)
        run = job(options.model, batch=options.batch)
        rates: dict[str, list[float]] = {name: [] for name in wanted}
        shares: dict[str, list[float]] = {name: [] for name in wanted}
        run(begins[wanted[0]], 2)  # compiles
        for _ in range(options.rounds):
            for name in wanted:
                seconds, stood = run(begins[name], options.steps)
                rates[name].append(options.steps * options.batch / seconds)
                shares[name].append(stood / seconds)
    usual = np.median(rates[wanted[0]])
    rows = [
        (
            name,
            measure.spread(each, digits=2),
            f"{np.median(each) / usual:.3f}",
            measure.spread(shares[name], digits=2, factor=100),
        )
        for name, each in rates.items()
    ]
    print(
        f"{options.model}, {options.batch} × {CHIP}² on {measure.device()}, store: "
        f"{options.codec}. Medians (quartiles) of {options.rounds}.\n"
    )
    print(
        measure.table(("batches from", "images/s", "× the first", "% at next()"), rows)
    )


def sources(folder: Path, *, batch: int) -> dict[str, Begin]:
    """Returns for each source what begins its batches."""
    data = prepare.load(folder / "data")
    store = stores.StoreSource(stores.Store(folder / "stores/chips"), split="train")
    rasters = source.ChipSource(data, split="train")
    ready = calls.batch(size=batch, side=CHIP, bands=BANDS)

    def begin(chips: source.ChipSource) -> Iterator[Batch]:
        return pipeline.batches(pipeline.train(chips, batch_size=batch, seed=0))

    return {
        "memory": lambda: itertools.repeat(ready),
        "store": functools.partial(begin, store),
        "GeoTIFF": functools.partial(begin, rasters),
    }


def job(name: str, *, batch: int) -> Callable[[Begin, int], tuple[float, float]]:
    """Returns what trains for some steps and tells how many seconds they took.

    And in how many of them the loop stood at `next(batches)`, whether or not the device
    had work meanwhile.
    """
    model, built = models.build(name, num_classes=1), optimizer.build(steps=1000)
    normalizer = normalize.zscore([calls.MEAN] * BANDS, [calls.DEVIATION] * BANDS)
    mesh = sharding.mesh()
    shape = CHIP, CHIP, BANDS
    make = functools.partial(state.create, model, built, shape=shape, seed=0, ema=False)
    abstract = state.abstract(mesh, make)
    held: Any = state.born(make, abstract, None)
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    function = jax.jit(
        functools.partial(
            step.train_step,
            apply=model.apply,
            loss=losses.build("bce_dice", task="binary"),
            optimizer=built,
            normalizer=normalizer,
            augment=augment.batch(flips=True, turns=True),
            seed=0,
            ema_decay=0.0,
        ),
        donate_argnums=0,
        out_shardings=(places, sharding.replicated(mesh)),
    )

    def run(begin: Begin, steps: int) -> tuple[float, float]:
        nonlocal held
        began, stood = time.perf_counter(), 0.0
        batches = begin()
        for _ in range(steps):
            asked = time.perf_counter()
            each = next(batches)
            stood += time.perf_counter() - asked
            held, measured = function(held, sharding.to_global(each, mesh))
        jax.block_until_ready((held, measured))
        return time.perf_counter() - began, stood

    return run


if __name__ == "__main__":
    main()
