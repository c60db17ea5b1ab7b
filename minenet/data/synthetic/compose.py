"""A whole scene from its seed, and scenes as files of the kind that people have."""

from __future__ import annotations

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

BANDS = ("B2", "B3", "B4", "B8", "B11", "B12")
"""Sentinel-2's names of blue, green, red, near and two short-wave infrareds."""

UTM = CRS.from_epsg(32723)
GSD_M = 10.0
SCALE = 1e-4
"""Reflectance of one digital number, as in Sentinel-2 Level 2A."""


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
    """
    generator = np.random.default_rng([seed, place])
    image, busy = land.landscape(generator, (height, width))
    count = max(3, round(height * width / 45_000))
    shapes = mines.outlines(generator, busy, count=count)
    for shape in shapes:
        mines.dig(generator, image, shape)
    image = sky.observe(generator, image)
    digital = np.clip(np.round(image / SCALE), 1, 65535).astype(np.uint16)
    digital[~sky.swath(generator, (height, width))] = 0
    # A row of places, a kilometre apart.
    step = width * GSD_M + 1000.0
    affine = Affine(GSD_M, 0, 400_000 + place * step, 0, -GSD_M, 7_800_000)
    placed = [
        shapely.transform(s, lambda p: np.stack(affine @ p.T, -1)) for s in shapes
    ]
    frame = geopandas.GeoDataFrame(
        {"site": [f"{place}-{i}" for i in range(len(placed))]},
        geometry=placed,
        crs=UTM.to_wkt(),
    )
    return Synthetic(digital, frame, affine, UTM)


def write(
    folder: Path, *, seed: int, scenes: int, height: int = 768, width: int = 768
) -> None:
    """Writes scene_000.tif, … and mines.gpkg; the latter last."""
    frames = []
    for place in range(scenes):
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
        frames.append(made.mines)
    every = pandas.concat(frames, ignore_index=True)
    vector.write(folder / "mines.gpkg", every, layer="mines")
