"""A whole scene from its seed, and scenes as files of the kind that people have."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pandas
import shapely
from affine import Affine
from rasterio.crs import CRS

from minenet.data.synthetic import land, mines, sky
from minenet.geo import raster, vector
from minenet.types import InputError

BANDS = ("B2", "B3", "B4", "B8", "B11", "B12")
"""Sentinel-2's names of blue, green, red, near and two short-wave infrareds."""

UTM = CRS.from_epsg(32723)
GSD_M = 10.0
SCALE = 1e-4
"""Reflectance of one digital number, as in Sentinel-2 Level 2A."""

MINE_EVERY = 45_000
"""Pixels to a mine."""

SMALLEST = 32
"""Pixels of a side below which there is no room for a landscape."""


@dataclass(frozen=True)
class Synthetic:
    """A scene and its truth.

    Attributes:
        image: `[H, W, 6]` uint16, reflectance × 10 000, 0 where there is no data.
        mines: Outlines in the CRS.
        affine: Pixel (col, row) → CRS (x, y).
        crs: UTM.
    """

    image: np.ndarray
    mines: geopandas.GeoDataFrame
    affine: Affine
    crs: CRS


def scene(
    seed: int, *, height: int = 768, width: int = 768, place: int = 0
) -> Synthetic:
    """Returns a scene, a pure function of its arguments.

    Args:
        seed: Of every draw.
        height: In pixels of 10 m.
        width: In pixels of 10 m.
        place: Scenes of different places do not overlap.

    Raises:
        InputError: A side is shorter than 32 pixels.

    >>> made = scene(0, height=64, width=96)
    >>> made.image.shape, made.image.dtype.name, len(made.mines) > 0
    ((64, 96, 6), 'uint16', True)
    """
    if min(height, width) < SMALLEST:
        raise InputError(
            f"synthetic scenes of height={height} and width={width} are too small: "
            f"give at least {SMALLEST} pixels for each"
        )
    generator = np.random.default_rng([seed, place])
    image, busy = land.landscape(generator, (height, width))
    count = max(2, round(height * width / MINE_EVERY))
    planned = mines.plan(generator, busy, count=count)
    for mine in planned:
        mines.dig(generator, image, mine)
    image = sky.observe(generator, image)
    digital = np.clip(np.round(image / SCALE), 1, 65535).astype(np.uint16)
    digital[~sky.swath(generator, (height, width))] = 0
    affine = _affine(place, height=height, width=width)
    placed = [
        shapely.transform(mine.outline, lambda p: np.stack(affine @ p.T, -1))
        for mine in planned
    ]
    frame = geopandas.GeoDataFrame(
        {"site": [f"{place}-{i}" for i in range(len(placed))]},
        geometry=placed,
        crs=UTM.to_wkt(),
    )
    return Synthetic(digital, frame, affine, UTM)


def _affine(place: int, *, height: int, width: int) -> Affine:
    """Returns where a place lies: in rows within the zone, a kilometre apart."""
    down, right = height * GSD_M + 1000, width * GSD_M + 1000
    row, col = divmod(place, max(1, int(400_000 // right)))
    return Affine(GSD_M, 0, 400_000 + col * right, 0, -GSD_M, 7_800_000 - row * down)


def write(
    folder: Path, *, seed: int, scenes: int, height: int = 768, width: int = 768
) -> None:
    """Writes scene_000.tif, … and mines.gpkg; the latter last."""

    def save(place: int) -> geopandas.GeoDataFrame:
        made = scene(seed, height=height, width=width, place=place)
        with raster.create(
            folder / f"scene_{place:03}.tif",
            height=height,
            width=width,
            count=len(BANDS),
            dtype=np.uint16,
            crs=made.crs,
            affine=made.affine,
            nodata=0,
            band_names=BANDS,
            scales=[SCALE] * len(BANDS),
        ) as put:
            put(made.image, 0)
        return made.mines

    # NumPy and SciPy let other threads run; few, for a scene takes its memory.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        every = pandas.concat(pool.map(save, range(scenes)), ignore_index=True)
    vector.write(folder / "mines.gpkg", every, layer="mines")
