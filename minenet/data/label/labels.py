"""Labels: from masks and polygons to one raster of class ids a scene, made once.

Every scene gets a uint8 raster on its own grid, with ids of classes and 255 where
nothing is known, so that training and scoring read labels in one way. Classes that may
overlap have a band each, of 0 and 1, and 255 in all of them. Masks and polygons are
read in strips: a scene may be larger than memory.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas
import numpy as np

from minenet.data.label import targets
from minenet.data.label.classes import Rule
from minenet.data.label.outlines import Read, from_polygons
from minenet.data.scenes import Scene
from minenet.geo import align, raster, windows
from minenet.geo.grids import Grid
from minenet.geo.windows import Window
from minenet.types import IGNORE, InputError

ROWS = 1024
"""Of a strip: two blocks of the file that is written."""

FINER = 1.5
"""Pixels of a mask to one of the grid from which on several decide."""


def make(
    scene: Scene,
    info: raster.RasterInfo | Grid,
    polygons: geopandas.GeoDataFrame | None,
    rule: Rule,
    folder: Path,
    *,
    area: geopandas.GeoDataFrame | None = None,
    year: int | None = None,
) -> Scene:
    """Writes the ids of a scene to `folder/<name>.tif` and returns it with them.

    Args:
        scene: with its mask in `label`, if there are no polygons.
        info: of its first image, or its grid.
        polygons: outlines, or None.
        rule: how values become ids.
        folder: of all labels.
        area: polygons outside which nothing counts, for masks too; or None.
        year: of the image, if `rule.year_column` tells that of the outlines.
    """
    if polygons is None:
        read = from_mask(scene.label, rule.ids, channels=rule.channels, grid=scene.onto)
        if area is not None:
            read = _within(read, from_polygons(area, info, Rule({})))
    else:
        read = from_polygons(polygons, info, rule, area=area, year=year)
    path = folder / f"{scene.name}.tif"
    empty = write(scene, info, read, path, channels=rule.channels) == 0
    return dataclasses.replace(
        scene, label=str(path), empty=empty, ignored=empty and rule.ignore_empty
    )


def check_any(
    scenes: Sequence[Scene],
    polygons: geopandas.GeoDataFrame | None,
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
    if polygons.empty:
        raise InputError(f"{source}: no features; give a file with polygons")
    grid, path = scenes[0].grid, next(filter(None, scenes[0].images))
    raise InputError(
        f"{source}: its {len(polygons)} polygons ({_span(polygons.total_bounds)}, "
        f"{polygons.crs and polygons.crs.name}) touch none of {len(scenes)} scenes, "
        f"such as {path} ({_span(grid.bounds)}, {grid.crs}); check places and CRS"
    )


def from_mask(
    path: str,
    ids: Mapping[object, int],
    *,
    channels: Sequence[str] = (),
    grid: Grid | None = None,
) -> Read:
    """Returns a reader of a raster of class values, or of a band for each class.

    What is not valid does not count. But many masks declare their background, 0, as
    nodata: a value that `ids` names keeps its meaning, unless it is 255. A pixel that
    is not known in one band does not count at all, for its weight is one number.

    Args:
        path: of the mask.
        ids: value → id; of bands 0, 1 or 255. Without a value for 1 any one other than
            those that are named is it, the same in all bands.
        channels: names of the classes that have a band each. Bands are taken by name
            where they have just these names, else in this order.
        grid: that it is brought to: by its most frequent value in a pixel where it is
            finer, else by its nearest one. None where it is on it.

    Raises:
        InputError: as many bands as classes are missing; on reading, a value that `ids`
            does not have, or bands that differ.
    """
    info = raster.info(path)
    known = {value: to for value, to in ids.items() if isinstance(value, int | float)}
    named = info.nodata[0] in known and info.nodata[0] != IGNORE
    by_name = {*info.bands} == {*channels}
    if channels and len(info.bands) != len(channels):
        raise InputError(
            f"{path}: {len(info.bands)} bands, expected one for each of "
            f"{', '.join(channels)}"
        )

    values = _values(info, grid, masked=not named)

    def read(window: Window) -> np.ndarray:
        image, valid = values(window, bands=channels if by_name else None)
        if channels:
            return _known_in_all(classified(image, valid))
        if image.shape[-1] > 1 and not (image == image[..., :1]).all():
            raise InputError(
                f"{path}: {image.shape[-1]} bands that differ, expected one band of "
                "class values"
            )
        return classified(image[..., 0], valid[..., 0])

    def classified(mask: np.ndarray, counts: np.ndarray) -> np.ndarray:
        if named:
            counts = counts | (mask == info.nodata[0])
        labels = np.full(mask.shape, IGNORE, np.uint8)
        done = ~counts
        if channels and 1 not in known.values():
            other = np.unique(mask[counts & ~np.isin(mask, list(known))])
            known.update({other[0].item(): 1} if len(other) == 1 else {})
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


def _values(info, grid: Grid | None, *, masked: bool):
    """A reader of values and of which are valid, on a grid."""
    if grid is None:
        return functools.partial(raster.read, info.path)
    finer = max(align.source_pixels(info, grid)) > FINER
    way = {"resampling": "mode" if finer else "nearest", "masked": masked}

    def read(window: Window, bands) -> tuple[np.ndarray, np.ndarray]:
        image = align.read(info.path, grid, window, bands=bands, **way)
        return image, np.isfinite(image)

    return read


def _known_in_all(labels: np.ndarray) -> np.ndarray:
    return np.where(targets.counted(labels)[..., None], labels, np.uint8(IGNORE))


def _within(read: Read, area: Read) -> Read:
    def within(window: Window) -> np.ndarray:
        labels = read(window)
        labels[area(window) != 1] = IGNORE
        return labels

    return within


def write(
    scene: Scene,
    info: raster.RasterInfo | Grid,
    read: Read,
    path: os.PathLike,
    *,
    channels: Sequence[str] = (),
) -> int:
    """Writes the ids of a scene, whole or not at all; or a band for each channel.

    Returns:
        How many pixels hold a class that is not the background.
    """
    positive = 0
    with raster.create(
        path,
        height=scene.height,
        width=scene.width,
        count=len(channels) or 1,
        dtype=np.uint8,
        crs=info.crs,
        affine=info.affine,
        nodata=IGNORE,
        band_names=channels or None,
        cog=False,
    ) as put:
        for strip in windows.strips(scene.height, scene.width, rows=ROWS):
            labels = read(strip)
            positive += int(targets.marked(labels).sum())
            put(labels.reshape(*labels.shape[:2], -1), strip.row)
    return positive


def _span(box: Sequence[float]) -> str:
    left, bottom, right, top = box
    return f"x {left:.6g} to {right:.6g}, y {bottom:.6g} to {top:.6g}"
