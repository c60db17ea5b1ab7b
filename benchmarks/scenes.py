"""Scenes that loaders are measured on: as GeoTIFFs, prepared, as stores of chips."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import rasterio
import rasterio.warp

from minenet.geo import align, grids, raster, windows
from minenet.geo.windows import Window
from minenet.types import IGNORE

if TYPE_CHECKING:
    from minenet.data.prepared import Prepared
    from minenet.data.scenes import Scene
    from minenet.data.source import ChipSource

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
    data = prepare.prepare(
        folder / "data",
        images=str(folder / "images"),
        masks=str(folder / "masks"),
        chip_size=CHIP,
        split={"by": "random", "shares": (1 - 1 / (scenes + 1), 1 / (scenes + 1), 0)},
    )
    for name, options in stores.items():
        url = folder / "stores" / name.replace(" ", "_")
        store.fill(
            store.create(url, data, **options), quarantine=folder / "quarantine.jsonl"
        )
    train = source.ChipSource(data, split="train")
    chips = [train[i] for i in range(len(train))]
    for name in ("image", "target"):
        dtype = np.float32 if name == "image" else np.uint8
        np.save(
            folder / f"{name}.npy", np.stack([c[name] for c in chips]).astype(dtype)
        )
    for scene in train_scenes(data):
        grid = grid_of(scene.images[0])
        ids = align.read(scene.label, grid, resampling="nearest")
        with raster.create(
            _label(folder, scene.name),
            height=grid.height,
            width=grid.width,
            count=1,
            dtype=np.uint8,
            crs=grid.crs,
            affine=grid.affine,
            nodata=IGNORE,
        ) as write:
            write(np.nan_to_num(ids, nan=IGNORE).astype(np.uint8), 0)


def train_scenes(data: Prepared) -> list[Scene]:
    """Returns the scenes to train on."""
    named = set(data.index[data.index.split == "train"].scene)
    return [scene for scene in data.scenes if scene.name in named]


def grid_of(path: str) -> grids.Grid:
    """Returns the grid of degrees that a scene is brought to, of torchgeo's pixel."""
    info = raster.info(path)
    bounds = rasterio.transform.array_bounds(info.height, info.width, info.affine)
    affine, *_ = rasterio.warp.calculate_default_transform(
        info.crs, CRS, info.width, info.height, *bounds
    )
    return grids.choose([info], crs=CRS, pixel=affine.a)


class Aligned:
    """Pixels of scenes on grids of degrees; their labels were brought there before."""

    def __init__(self, folder: Path, scenes: Sequence[Scene], resampling: str):
        self._resampling = resampling
        self._images = [scene.images[0] for scene in scenes]
        self._labels = [str(_label(folder, scene.name)) for scene in scenes]
        self._grids = [grid_of(path) for path in self._images]

    def read(self, scene: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Returns image `[H, W, C]` float32 with NaN and class ids `[H, W]`."""
        from minenet.data import chips

        path, grid = self._images[scene], self._grids[scene]
        image = align.read(path, grid, window, resampling=self._resampling)
        labels, valid = raster.read(self._labels[scene], window)
        labels = np.where(valid, labels, np.uint8(IGNORE))[..., 0]
        return image, chips.known(image, labels)


def aligned(folder: Path, *, resampling: str) -> ChipSource:
    """Returns the chips of the scenes on grids of degrees, as they are read there."""
    from minenet.data import prepare, source

    data = prepare.load(folder / "data")
    scenes, parts = [], []
    for scene in train_scenes(data):
        grid = grid_of(scene.images[0])
        scenes.append(dataclasses.replace(scene, height=grid.height, width=grid.width))
        places = windows.grid(grid.height, grid.width, size=CHIP, stride=CHIP)
        parts.append(pd.DataFrame(map(dataclasses.asdict, places)))
        parts[-1]["scene"] = scene.name
    index = pd.concat(parts, ignore_index=True)
    index = index.assign(reach=CHIP // 2, split="train", share_0=0.5, share_1=0.5)
    data = dataclasses.replace(data, scenes=tuple(scenes), index=index)
    pixels = Aligned(folder, scenes, resampling)
    return source.ChipSource(data, split="train", pixels=pixels)


def _label(folder: Path, name: str) -> Path:
    return folder / "aligned" / f"{name}.tif"
