"""Chips a second from GeoTIFFs: minenet's pipeline and, on request, torchgeo's.

    python -m benchmarks.pipeline
    python -m benchmarks.pipeline --peer --side=2048 --scenes=4

Both read random windows of 256², six uint16 bands and a mask, from the same COGs
(deflate, blocks of 512²), as float32 batches of 8, in one process. minenet finds the
invalid pixels too, and reads in threads. GDAL's cache is cut to 64 MiB on both sides:
blocks are then decoded, as they are where an archive is larger than memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio

from benchmarks import measure, peers
from minenet.geo import handles, raster

# What needs JAX or torch is imported in the functions of either side: the memory of a
# process is then that of one library.

CHIP, BATCH, BANDS = 256, 8, 6
CACHE_BYTES = 64 << 20
RUN = 4
"""Batches that are timed together: single ones come in bursts from the threads."""


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--peer", action="store_true", help="torchgeo in the same run")
    options.add_argument("--side", type=int, default=2048, help="of a scene")
    options.add_argument("--scenes", type=int, default=4)
    options.add_argument("--chips", type=int, default=640, help="to read a process")
    options.add_argument("--rounds", type=int, default=2, help="processes a line")
    options = options.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), scenes=options.scenes, side=options.side)
        common = {"folder": folder, "chips": options.chips}
        tasks = {
            f"minenet, {threads} thread{'s' * (threads > 1)}": common
            | {"library": "minenet", "threads": threads}
            for threads in (1, 2)
        }
        if options.peer:
            tasks["torchgeo, no workers"] = common | {"library": "torchgeo"}
        found = measure.alternate("benchmarks.pipeline", tasks, rounds=options.rounds)
    first = np.median(next(iter(found.values()))["rates"])
    rows = [
        (
            name,
            measure.spread(facts["rates"]),
            facts["peak"] >> 20,
            f"{np.median(facts['rates']) / first:.2f}",
        )
        for name, facts in found.items()
    ]
    print(
        f"On {measure.device()}. {options.scenes} scenes of {options.side}² × {BANDS} "
        "uint16. Medians (quartiles).\n"
    )
    print(measure.table(("loader", "chips/s", "peak MiB", "× the first"), rows))


def make(folder: Path, *, scenes: int, side: int) -> None:
    """Writes images/ and masks/, and prepares them: every scene is for training."""
    from minenet.data import prepare, synthetic

    made = synthetic.scene(0, height=512, width=512)
    tiles = (-(-side // 512),) * 2
    generator = np.random.default_rng(0)
    land = np.tile(made.image, (*tiles, 1))[:side, :side]
    for number in range(scenes + 1):  # one has to be held out
        noise = generator.integers(0, 20, land.shape, np.uint16)  # as compressible
        image = np.roll(land, generator.integers(0, 512, 2), (0, 1)) + noise
        mask = (image[..., :1] > np.median(image[..., 0])).astype(np.uint8)
        for kind, array in (("images", image), ("masks", mask)):
            with raster.create(
                folder / kind / f"scene_{number}.tif",
                height=side,
                width=side,
                count=array.shape[-1],
                dtype=array.dtype,
                crs=made.crs,
                affine=rasterio.Affine(10, 0, number * 10 * (side + 64), 0, -10, 0),
            ) as write:
                write(array, 0)
    prepare.prepare(
        folder / "data",
        images=str(folder / "images"),
        masks=str(folder / "masks"),
        chip_size=CHIP,
        split={"by": "random", "shares": (1 - 1 / (scenes + 1), 1 / (scenes + 1), 0)},
    )


def minenet(folder: Path, *, threads: int) -> Iterator[dict[str, Any]]:
    """Yields batches of the training stream, with jitter."""
    from minenet.data import pipeline, prepare, source

    data = prepare.load(folder / "data")
    stream = pipeline.train(
        source.ChipSource(data, split="train"), batch_size=BATCH, seed=0
    )
    return pipeline.batches(stream, threads=threads)


def torchgeo(folder: Path, *, chips: int) -> Iterator[dict[str, Any]]:
    """Yields batches of the same scenes, sampled at random places."""
    torch, torchgeo = peers.torch(), peers.torchgeo()

    class Images(torchgeo.datasets.RasterDataset):
        filename_glob = "*.tif"

    class Masks(Images):
        is_image = False

    index = pd.read_csv(folder / "data" / "index.csv")
    names = sorted(set(index[index.split == "train"].scene))
    images, masks = (
        kind([str(folder / place / f"{name}.tif") for name in names])
        for kind, place in ((Images, "images"), (Masks, "masks"))
    )
    both = images & masks
    loader = torch.utils.data.DataLoader(
        both,
        batch_size=BATCH,
        sampler=torchgeo.samplers.RandomGeoSampler(both, size=CHIP, length=chips),
        collate_fn=torchgeo.datasets.stack_samples,
    )
    return iter(loader)


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Does one line of the table in this process."""
    handles.CACHE_BYTES = CACHE_BYTES
    folder, chips, warmup = Path(task["folder"]), task["chips"], 2 * RUN
    steps = chips // BATCH
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        if task["library"] == "minenet":
            batches = minenet(folder, threads=task["threads"])
        else:
            batches = torchgeo(folder, chips=chips + warmup * BATCH)
        for _ in range(warmup):
            next(batches)
        rates = []
        for _ in range(steps // RUN):
            began = time.perf_counter()
            for _ in range(RUN):
                batch = next(batches)
            rates.append(RUN * BATCH / (time.perf_counter() - began))
    shape = tuple(batch["image"].shape)
    assert sorted(shape) == sorted((BATCH, BANDS, CHIP, CHIP)), shape
    return {"rates": rates, "peak": measure.peak_bytes()}


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        print(json.dumps(work(json.loads(sys.argv[1]))))
    else:
        main()
