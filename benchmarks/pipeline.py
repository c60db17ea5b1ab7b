"""Chips a second: minenet's pipeline and, on request, torchgeo's.

    python -m benchmarks.pipeline
    python -m benchmarks.pipeline --peer --side=2048 --scenes=4

Windows of 256², six uint16 bands and a mask, as float32 batches of 8. From COGs
(deflate, blocks of 512²) as they lie, at random places; from the same brought to one
grid of degrees, which torchgeo does in a WarpedVRT; and from stores of chips, beside a
memory map of whole chips. minenet finds the invalid pixels too.

Every line is a process of its own, and the processes take turns. GDAL's cache is cut to
64 MiB on both sides: blocks are then decoded, as they are where an archive is larger
than memory.
"""

from __future__ import annotations

import argparse
import functools
import itertools
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
import rasterio.warp

from benchmarks import measure, peers
from benchmarks.scenes import CHIP, CRS, aligned, make
from minenet.geo import handles

# What needs JAX or torch is imported in the functions of either side: the memory of a
# process is then that of one library.

BATCH, BANDS = 8, 6
CACHE_BYTES = 64 << 20
RUN = 4
"""Batches that are timed together: single ones come in bursts from the threads."""

STORES = {
    "none float32": {},
    "none uint16": {"dtype": None},
    "zstd float32": {"codec": "zstd"},
    "zstd uint16": {"codec": "zstd", "dtype": None},
    "blosc uint16": {"codec": "blosc", "dtype": None},
}
METHODS = ("nearest", "bilinear", "cubic")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--peer", action="store_true", help="torchgeo in the same run")
    options.add_argument("--side", type=int, default=2048, help="of a scene")
    options.add_argument("--scenes", type=int, default=4)
    options.add_argument("--seconds", type=float, default=4, help="to read a process")
    options.add_argument("--rounds", type=int, default=2, help="processes a line")
    options.add_argument("--only", default="", help="lines whose name has this")
    options = options.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), scenes=options.scenes, side=options.side, stores=STORES)
        tasks = {
            name: {"folder": folder, "seconds": options.seconds, **task}
            for name, task in lines(options.peer).items()
            if options.only in name
        }
        found = measure.alternate("benchmarks.pipeline", tasks, rounds=options.rounds)
    rates = {name: np.median(facts["rates"]) for name, facts in found.items()}
    rows = []
    for name, facts in found.items():
        peer = rates.get(against(name)) if options.peer else None
        rows.append(
            (
                name,
                measure.spread(facts["rates"]),
                "–" if "workers" in name else measure.spread(facts["cpu"], digits=1),
                facts["peak"] >> 20,
                f"{rates[name] / peer:.1f}" if peer else "–",
            )
        )
    print(
        f"On {measure.device()}. {options.scenes} scenes of {options.side}² × {BANDS} "
        "uint16. Medians (quartiles).\n"
    )
    header = "loader", "chips/s", "CPU ms a chip", "peak MiB", "× torchgeo"
    print(measure.table(header, rows))
    if options.peer:
        print(
            "\n× torchgeo: without workers, on the same files; reprojected where the "
            "line is. As it is,\ntorchgeo's VRT takes the nearest pixel."
        )


def lines(peer: bool) -> dict[str, dict[str, Any]]:
    """Returns the task of every line of the table."""
    found: dict[str, dict[str, Any]] = {
        "GeoTIFF": {"kind": "rasters"},
        "GeoTIFF, 1 thread": {"kind": "rasters", "threads": 1},
    }
    for method in METHODS:
        found[f"reprojected, {method}"] = {"kind": "aligned", "method": method}
    for name in STORES:
        found[f"store, {name}"] = {"kind": "store", "store": name}
    found["memory map of float32 chips"] = {"kind": "map"}
    if peer:
        for name, task in {
            "torchgeo": {},
            "torchgeo, 2 workers": {"workers": 2},
            "torchgeo reprojected": {"crs": CRS},
            "torchgeo reprojected, 2 workers": {"crs": CRS, "workers": 2},
            "torchgeo reprojected, bilinear": {"crs": CRS, "method": "bilinear"},
        }.items():
            found[name] = {"kind": "torchgeo", **task}
    return found


def against(name: str) -> str:
    """Returns the line of torchgeo that a line is compared with."""
    if "reprojected" not in name:
        return "torchgeo"
    same = "bilinear" in name and "torchgeo" not in name
    return f"torchgeo reprojected{', bilinear' * same}"


def rasters(folder: Path, *, threads: int = 0) -> Iterator[dict[str, Any]]:
    """Yields batches of the training stream, with jitter; `threads` as usual if 0."""
    from minenet.data import pipeline, prepare, source

    data = prepare.load(folder / "data")
    return stream(source.ChipSource(data, split="train"), pipeline, threads)


def aligned_rasters(folder: Path, *, method: str) -> Iterator[dict[str, Any]]:
    """Yields batches of the scenes on a grid of degrees."""
    from minenet.data import pipeline, source

    data = aligned(folder, resampling=method)
    return stream(source.ChipSource(data, split="train"), pipeline)


def stored(folder: Path, *, store: str) -> Iterator[dict[str, Any]]:
    """Yields batches of the training stream from a store, with jitter."""
    from minenet.data import pipeline
    from minenet.data import store as stores

    found = stores.Store(folder / "stores" / store.replace(" ", "_"))
    return stream(stores.StoreSource(found, split="train"), pipeline)


def stream(source, pipeline, threads: int = 0) -> Iterator[dict[str, Any]]:
    """Yields batches as training gets them."""
    stream = pipeline.train(source, batch_size=BATCH, seed=0)
    return pipeline.batches(stream, **{"threads": threads} if threads else {})


def mapped(folder: Path) -> Iterator[dict[str, Any]]:
    """Yields batches of whole chips from a plain memory map."""
    image, target = (
        np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("image", "target")
    )
    generator = np.random.default_rng(0)
    while True:
        some = generator.integers(0, len(image), BATCH)
        yield {"image": image[some], "target": target[some].astype(np.float32)}


def torchgeo(
    folder: Path, *, workers: int = 0, crs: str | None = None, method: str = ""
) -> Iterator[dict[str, Any]]:
    """Yields batches of the same scenes, sampled at random places."""
    torch, torchgeo = peers.torch(), peers.torchgeo()
    import pyproj

    class Images(torchgeo.datasets.RasterDataset):
        filename_glob = "*.tif"

    class Masks(Images):
        is_image = False

    if method:

        class Images(Images):
            def _load_warp_file(self, path):
                resampling = rasterio.warp.Resampling[method]
                with rasterio.open(path) as file:
                    return rasterio.vrt.WarpedVRT(
                        file, crs=self.crs, resampling=resampling
                    )

    index = pd.read_csv(folder / "data" / "index.csv")
    names = sorted(set(index[index.split == "train"].scene))
    images, masks = (
        kind(
            [str(folder / place / f"{name}.tif") for name in names],
            crs=crs and pyproj.CRS(crs),
        )
        for kind, place in ((Images, "images"), (Masks, "masks"))
    )
    both = images & masks
    loader = torch.utils.data.DataLoader(
        both,
        batch_size=BATCH,
        sampler=torchgeo.samplers.RandomGeoSampler(both, size=CHIP, length=1 << 20),
        collate_fn=torchgeo.datasets.stack_samples,
        num_workers=workers,
    )
    return iter(loader)


KINDS = {
    "rasters": rasters,
    "aligned": aligned_rasters,
    "store": stored,
    "map": mapped,
    "torchgeo": torchgeo,
}


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Does one line of the table in this process."""
    handles.CACHE_BYTES = CACHE_BYTES
    make = functools.partial(KINDS[task.pop("kind")], Path(task.pop("folder")))
    seconds = task.pop("seconds")
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        batches = make(**task)
        for _ in range(2 * RUN):
            next(batches)
        rates: list[float] = []
        cpu: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(rates) < 2:
            began, used = time.perf_counter(), time.process_time()
            for batch in itertools.islice(batches, RUN):
                shape = tuple(batch["image"].shape)
            rates.append(RUN * BATCH / (time.perf_counter() - began))
            cpu.append((time.process_time() - used) / (RUN * BATCH) * 1e3)
    assert sorted(shape) == sorted((BATCH, BANDS, CHIP, CHIP)), shape
    return {"rates": rates, "cpu": cpu, "peak": measure.peak_bytes()}


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        print(json.dumps(work(json.loads(sys.argv[1]))), flush=True)
    else:
        main()
