"""Labels: from masks and polygons to one raster of class ids a scene, made once.

Every scene gets a uint8 raster on its own grid, with ids of classes and 255 where
nothing is known, so that training and scoring read labels in one way. Masks and
polygons are read in strips: a scene may be larger than memory.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import geopandas
import numpy as np
import pyproj
import rasterio.transform
import shapely
from affine import Affine

from minenet.data.classes import Rule
from minenet.data.scenes import Scene
from minenet.geo import raster, vector, windows
from minenet.geo.windows import Window
from minenet.types import IGNORE, InputError

Read = Callable[[Window], np.ndarray]
"""From a window inside the scene to its ids `[H, W]` uint8."""

ROWS = 1024
"""Of a strip: two blocks of the file that is written."""


def make(
    scene: Scene,
    info: raster.RasterInfo,
    polygons: geopandas.GeoDataFrame | None,
    rule: Rule,
    folder: Path,
) -> Scene:
    """Writes the ids of a scene to `folder/<name>.tif` and returns it with them.

    Args:
        scene: with its mask in `label`, if there are no polygons.
        info: of its first image.
        polygons: outlines, or None.
        rule: how values become ids.
        folder: of all labels.
    """
    if polygons is None:
        read = from_mask(scene.label, rule.ids)
    else:
        read = from_polygons(polygons, info, rule)
    path = folder / f"{scene.name}.tif"
    empty = write(scene, info, read, path) == 0
    return dataclasses.replace(
        scene, label=str(path), empty=empty, ignored=empty and rule.ignore_empty
    )


def check_any(
    scenes: Sequence[Scene],
    polygons: geopandas.GeoDataFrame | None,
    infos: Mapping[str, raster.RasterInfo],
) -> None:
    """Raises `InputError` where no scene holds any class."""
    if not all(scene.empty for scene in scenes):
        return
    if polygons is None:
        raise InputError(
            f"masks: no pixel of any class in {len(scenes)} scenes; check the masks "
            "and values"
        )
    source = polygons.attrs.get("source", "polygons")
    info = infos[scenes[0].name]
    box = rasterio.transform.array_bounds(info.height, info.width, info.affine)
    raise InputError(
        f"{source}: its {len(polygons)} polygons ({_span(polygons.total_bounds)}, "
        f"{polygons.crs and polygons.crs.name}) touch none of {len(scenes)} scenes, "
        f"such as {info.path} ({_span(box)}, {info.crs}); check places and CRS"
    )


def from_mask(path: str, ids: Mapping[object, int]) -> Read:
    """Returns a reader of a raster of class values.

    What is not valid does not count. But many masks declare their background, 0, as
    nodata: a value that `ids` names keeps its meaning, unless it is 255.

    Raises:
        InputError: on reading, a value that `ids` does not have, or bands that differ.
    """
    info = raster.info(path)
    known = {value: to for value, to in ids.items() if isinstance(value, int | float)}
    named = info.nodata[0] in known and info.nodata[0] != IGNORE

    def read(window: Window) -> np.ndarray:
        image, valid = raster.read(path, window)
        if image.shape[-1] > 1 and not (image == image[..., :1]).all():
            raise InputError(
                f"{path}: {image.shape[-1]} bands that differ, expected one band of "
                "class values"
            )
        mask, counts = image[..., 0], valid[..., 0]
        if named:
            counts = counts | (mask == info.nodata[0])
        labels = np.full(mask.shape, IGNORE, np.uint8)
        done = ~counts
        for value, to in known.items():
            here = counts & (mask == value)
            labels[here] = to
            done |= here
        if not done.all():
            strange = np.unique(mask[~done])[:8].tolist()
            raise InputError(
                f"{path}: values {', '.join(f'{v:g}' for v in strange)} without a "
                f"class; known are {', '.join(f'{v:g}' for v in known)}, name others "
                "in values"
            )
        return labels

    return read


def from_polygons(
    polygons: geopandas.GeoDataFrame, info: raster.RasterInfo, rule: Rule
) -> Read:
    """Returns a reader that burns polygons onto the grid of a raster."""
    near = _near(polygons, info)
    # Keys were read as numbers where they look like it; columns may hold them as text.
    classes = {str(value): to for value, to in rule.ids.items()} | dict(rule.ids)

    def read(window: Window) -> np.ndarray:
        return vector.rasterize(
            near,
            crs=info.crs,
            affine=info.affine @ Affine.translation(window.col, window.row),
            height=window.height,
            width=window.width,
            attribute=rule.attribute,
            classes=classes if rule.attribute else None,
            all_touched=rule.all_touched,
        )

    return read


def write(scene: Scene, info: raster.RasterInfo, read: Read, path: os.PathLike) -> int:
    """Writes the ids of a scene, whole or not at all.

    Returns:
        How many pixels hold a class that is not the background.
    """
    positive = 0
    with raster.create(
        path,
        height=scene.height,
        width=scene.width,
        count=1,
        dtype=np.uint8,
        crs=info.crs,
        affine=info.affine,
        nodata=IGNORE,
        cog=False,
    ) as put:
        for strip in windows.strips(scene.height, scene.width, rows=ROWS):
            labels = read(strip)
            positive += int(((labels != 0) & (labels != IGNORE)).sum())
            put(labels[..., None], strip.row)
    return positive


def _near(polygons, info) -> geopandas.GeoDataFrame:
    """The polygons whose boxes meet the scene's: others need no reprojection."""
    if polygons.crs is None or info.crs is None:
        return polygons  # one plane, or a mistake that `rasterize` names
    x, y = rasterio.transform.xy(
        info.affine,
        [0, 0, info.height, info.height],
        [0, info.width, 0, info.width],
        offset="ul",
    )
    there = pyproj.Transformer.from_crs(info.crs.to_wkt(), polygons.crs, always_xy=True)
    box = min(x), min(y), max(x), max(y)
    left, bottom, right, top = there.transform_bounds(*box)
    rim = 0.02 * max(right - left, top - bottom)  # edges bend on the way
    if not np.isfinite(rim) or left > right:  # at a pole, or over the date line
        return polygons
    box = shapely.box(left - rim, bottom - rim, right + rim, top + rim)
    near = polygons.iloc[np.sort(polygons.sindex.query(box))]
    near = near.to_crs(info.crs.to_wkt())
    near.attrs = polygons.attrs
    return near


def _span(box: Sequence[float]) -> str:
    left, bottom, right, top = box
    return f"x {left:.6g} to {right:.6g}, y {bottom:.6g} to {top:.6g}"
