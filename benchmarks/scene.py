"""A scene from GeoTIFF to GeoTIFF by overlapping windows: speed and memory.

    python -m benchmarks.scene
    python -m benchmarks.scene --peer --width=10000 --heights=2500,5000,10000 --bands=3

The model is a 1×1 convolution: what is measured is everything around a model. Windows
of 256 with half overlap and Gaussian weights, float32 probability and uint8 class
maps. The peer is MONAI's sliding window with the same windows on the scene as one
tensor; it writes plain GeoTIFFs, minenet COGs. Every line is a fresh process. The error
is the largest difference to the model applied to the untiled scene.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks import measure, peers
from minenet.geo import bands, handles, raster
from minenet.geo.windows import Window

# What needs JAX or torch is imported in the functions of either side: the memory of a
# process is then that of one library.

WINDOW, BATCH, OVERLAP = 256, 8, 0.5
OFFSET, SCALE = 3000.0, 700.0
ROWS = 512
"""Of the strips in which scenes are made and maps checked."""

Map = Callable[[], tuple[Path, Path]]
"""Maps the scene and returns the files of probability and class."""


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--peer", action="store_true", help="MONAI in the same run")
    options.add_argument("--width", type=int, default=4096)
    options.add_argument("--heights", default="1024,2048,4096")
    options.add_argument("--bands", type=int, default=6)
    options.add_argument("--rounds", type=int, default=3, help="processes a line")
    options = options.parse_args()

    libraries = ["minenet", "monai"] if options.peer else ["minenet"]
    rows = []
    for height in map(int, options.heights.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scene.tif"
            make(path, height=height, width=options.width, count=options.bands)
            found = measure.alternate(
                "benchmarks.scene",
                {name: {"library": name, "path": str(path)} for name in libraries},
                rounds=options.rounds,
            )
        own = np.median(found["minenet"]["seconds"])
        for name, facts in found.items():
            times = np.array(facts["seconds"])
            rates = height * options.width / 1e6 / times
            rows.append(
                (
                    f"{height} × {options.width} × {options.bands}",
                    name,
                    f"{facts['start']:.1f}",
                    measure.spread(times, digits=1),
                    measure.spread(rates, digits=1),
                    facts["peak"] >> 20,
                    f"{facts['error']:.0e}",
                    f"{np.median(times) / own:.2f}",
                )
            )
    print(f"On {measure.device()}. Medians (quartiles).\n")
    header = "scene|library|compile s|s|Mpx/s|peak MiB|error|× minenet"
    print(measure.table(header.split("|"), rows))


def make(path: Path, *, height: int, width: int, count: int) -> None:
    """Writes a scene of smooth land and noise, strip by strip."""
    generator = np.random.default_rng(0)
    with raster.create(
        path,
        height=height,
        width=width,
        count=count,
        dtype=np.uint16,
        crs=rasterio.CRS.from_epsg(32722),
        affine=rasterio.Affine(10, 0, 400_000, 0, -10, 7_800_000),
    ) as write:
        cols = np.arange(width)[:, None]
        for row in range(0, height, ROWS):
            rows = np.arange(row, min(row + ROWS, height))[:, None, None]
            land = 3000 + 1000 * np.sin(rows / 90) * np.cos(cols / 70)
            noise = generator.integers(-100, 100, (*land.shape[:2], count), np.int16)
            write((land + noise).astype(np.uint16), row)


def weights(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel `[count, 1]` and bias `[1]` of the 1×1 convolution."""
    kernel = np.linspace(-1, 1, count, dtype=np.float32)[:, None]
    return kernel, np.full(1, -0.5, np.float32)


def minenet(path: Path, out: Path) -> tuple[Map, float]:
    """Returns minenet's mapping and the seconds of compiling its one program."""
    from minenet.infer import bundle as bundle_
    from minenet.infer import predict, scene
    from minenet.ops import normalize

    info = raster.info(path)
    count = len(info.bands)
    kernel, bias = weights(count)
    bundle = bundle_.Bundle(
        model={"name": "linear"},
        variables={"params": {"Dense_0": {"kernel": kernel, "bias": bias}}},
        task="binary",
        classes=("mine",),
        contract=bundle_.contract(bands.select([[info]]), [info]),
        normalizer=normalize.zscore([OFFSET] * count, [SCALE] * count),
        threshold=0.5,
        window=WINDOW,
        origin={},
    )
    predictor = predict.predictor(bundle, batch_size=BATCH)
    began = time.perf_counter()
    blank = np.zeros((WINDOW, WINDOW, count), np.float32)
    list(predictor([blank] * BATCH))
    start = time.perf_counter() - began

    def call() -> tuple[Path, Path]:
        maps = scene.predict_scene(
            bundle, predictor, [str(path)], out, overlap=OVERLAP, polygons=False
        )
        return maps.probability, maps.classes

    return call, start


def monai(path: Path, out: Path) -> tuple[Map, float]:
    """Returns MONAI's mapping; nothing is compiled."""
    torch, inferers = peers.torch(), peers.monai_inferers()
    kernel, bias = weights(len(raster.info(path).bands))
    model = torch.nn.Conv2d(len(kernel), 1, 1)
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(kernel.T[..., None, None]))
        model.bias.copy_(torch.from_numpy(bias))

    def call() -> tuple[Path, Path]:
        with rasterio.open(path) as dataset, torch.no_grad():
            image = torch.from_numpy(dataset.read(out_dtype=np.float32))[None]
            probability = inferers.sliding_window_inference(
                image,
                WINDOW,
                BATCH,
                lambda windows: torch.sigmoid(model((windows - OFFSET) / SCALE)),
                overlap=OVERLAP,
                mode="gaussian",
            )[0].numpy()
            classes = (probability >= 0.5).astype(np.uint8)
            options = dataset.profile | {"count": 1, "tiled": True}
        options |= {"driver": "GTiff", "blockxsize": 512, "blockysize": 512}
        paths = out / "probability.tif", out / "class.tif"
        for file, array in zip(paths, (probability, classes), strict=True):
            predictor = 3 if array.dtype.kind == "f" else 2
            kind = {"dtype": array.dtype, "predictor": predictor, "compress": "deflate"}
            with rasterio.open(file, "w", **options | kind) as dataset:
                dataset.write(array)
        return paths

    return call, 0.0


def error(path: Path, probability: Path) -> float:
    """Returns how far a map is from the model applied pixel by pixel."""
    info, worst = raster.info(path), 0.0
    kernel, bias = weights(len(info.bands))
    for row in range(0, info.height, ROWS):
        window = Window(row, 0, min(ROWS, info.height - row), info.width)
        scaled = (raster.read_float(path, window).astype(float) - OFFSET) / SCALE
        exact = 1 / (1 + np.exp(-(scaled @ kernel + bias)))
        found = raster.read_float(probability, window)
        worst = max(worst, float(np.abs(found - exact).max()))
    return worst


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Does one line of the table in this process."""
    path = Path(task["path"])
    begin = {"minenet": minenet, "monai": monai}[task["library"]]
    with tempfile.TemporaryDirectory(dir=path.parent) as out:
        with rasterio.Env(GDAL_CACHEMAX=handles.CACHE_BYTES):
            call, start = begin(path, Path(out))
            began = time.perf_counter()
            probability, _ = call()
            seconds = time.perf_counter() - began
        facts = {"start": start, "seconds": [seconds], "peak": measure.peak_bytes()}
        return {**facts, "error": error(path, probability)}


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        print(json.dumps(work(json.loads(sys.argv[1]))))
    else:
        main()
