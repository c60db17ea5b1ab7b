"""Scenes that loaders are measured on: as GeoTIFFs, prepared, as stores of chips."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.warp

from minenet.geo import raster

if TYPE_CHECKING:
    from minenet.data.prepared import Prepared

CHIP = 256
CRS = "EPSG:4326"
"""Of the one grid that scenes are brought to."""


def make(
    folder: Path,
    *,
    scenes: int,
    side: int,
    stores: Mapping[str, Mapping[str, Any]],
) -> None:
    """Writes images/, masks/, what is prepared of them, stores/ and arrays of chips.

    Args:
        folder: to write to.
        scenes: how many to train on.
        side: of a scene in pixels.
        stores: options of each store by its name.
    """
    from minenet.data import prepare, source, store, synthetic

    made = synthetic.scene(0, height=512, width=512)
    tiles = (-(-side // 512),) * 2
    generator = np.random.default_rng(0)
    land = np.tile(made.image, (*tiles, 1))[:side, :side]
    for number in range(scenes + 1):  # one has to be held out
        noise = generator.integers(0, 20, land.shape, np.uint16)  # as compressible
        image = np.roll(land, generator.integers(0, 512, 2), (0, 1)) + noise
        mask = (image[..., :1] > np.median(image[..., 0])).astype(np.uint8)
        place = 5e5 + number * 10 * (side + 64), 8e6
        for kind, array in (("images", image), ("masks", mask)):
            with raster.create(
                folder / kind / f"scene_{number}.tif",
                height=side,
                width=side,
                count=array.shape[-1],
                dtype=array.dtype,
                crs=made.crs,
                affine=rasterio.Affine(10, 0, place[0], 0, -10, place[1]),
            ) as write:
                write(array, 0)
    shares = (1 - 1 / (scenes + 1), 1 / (scenes + 1), 0)
    options: dict[str, Any] = {
        "images": str(folder / "images"),
        "masks": str(folder / "masks"),
        "chip_size": CHIP,
        "split": {"by": "random", "shares": shares},
    }
    data = prepare.prepare(folder / "data", **options)
    grid = {"crs": CRS, "pixel": pixel(data.scenes[0].images[0])}
    prepare.prepare(folder / "aligned", grid=grid, **options)
    for name, codec in stores.items():
        filled = store.create(folder / "stores" / name.replace(" ", "_"), data, **codec)
        store.fill(filled, quarantine=folder / "quarantine.jsonl")
    train = source.ChipSource(data, split="train")
    chips = [train[i] for i in range(len(train))]
    for name in ("image", "target"):
        dtype = np.float32 if name == "image" else np.uint8
        np.save(
            folder / f"{name}.npy", np.stack([c[name] for c in chips]).astype(dtype)
        )


def pixel(path: str) -> float:
    """Returns the side in degrees that torchgeo gives to a raster's pixels."""
    info = raster.info(path)
    bounds = rasterio.transform.array_bounds(info.height, info.width, info.affine)
    affine, *_ = rasterio.warp.calculate_default_transform(
        info.crs, CRS, info.width, info.height, *bounds
    )
    return affine.a


def aligned(folder: Path, *, resampling: str) -> Prepared:
    """Returns the scenes on grids of degrees, resampled in one way."""
    from minenet.data import prepare

    data = prepare.load(folder / "aligned")
    stack = dataclasses.replace(data.stack, resampling=(resampling,))
    return dataclasses.replace(data, stack=stack)
