"""Bands of several rasters as one stack, the same for every scene of a collection.

A sensor gives bands one name whatever a file calls them, and tells what stored numbers
are; rasters on several grids are read on the one that was chosen for the scene.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely

from minenet.geo import align, band_names, grids, raster, vector
from minenet.geo.grids import Grid, Rule
from minenet.geo.sensor_table import Sensor
from minenet.geo.windows import Window
from minenet.types import InputError

Infos = Sequence[Sequence[raster.RasterInfo]]
"""For each scene, what each of its images says about itself."""


@dataclass(frozen=True)
class Stack:
    """Which band of which image comes where.

    Attributes:
        names: of the channels.
        picks: for each channel the place of its image, and its name or 1-based number
            there.
        described: whether the names come from the rasters, so that other files may be
            matched by name.
        scaled: whether values are multiplied with the rasters' own scale and offset.
        scales: what each channel is multiplied with beside that; nothing if empty.
        offsets: added to each then.
        nodata: stored number of each channel that is not valid, or None.
        rule: how to choose the grid of a scene; None if its rasters must share one.
        resampling: of each image, where it is brought to another grid.
    """

    names: tuple[str, ...]
    picks: tuple[tuple[int, str | int], ...]
    described: bool
    scaled: bool = False
    scales: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    nodata: tuple[float | None, ...] = ()
    rule: Rule | None = None
    resampling: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: dict) -> Stack:
        """Returns the stack that `dataclasses.asdict` made `value` from."""
        rule = value.get("rule")
        return cls(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
            | {
                "picks": tuple((image, band) for image, band in value["picks"]),
                "rule": None if rule is None else Rule(*rule),
            }
        )


def select(
    infos: Infos,
    *,
    labels: Sequence[str] = ("",),
    bands: Sequence[str | int] | None = None,
    scaled: bool = False,
    sensors: Sequence[Sensor | None] = (),
) -> Stack:
    """Returns the stack of bands that every scene has.

    Args:
        infos: of every scene; None for an image that a scene lacks but others have.
        labels: a word for each image of a scene, to lead the names of its bands where
            there are several images.
        bands: names or 1-based numbers (through all images) in the order wanted; all if
            None. Of a sensor, its own names or those of its product.
        scaled: see `Stack`.
        sensors: of each image, or None. Channels are named by it, numbers that it calls
            no data are not valid, and with `scaled` its scale applies to files that
            state none.

    Raises:
        InputError: a band that a scene does not have; names that differ between scenes
            though bands were not chosen.
    """
    sensors = sensors or (None,) * len(labels)
    infos = _filled(infos)
    listed = [band_names.listed(scene, labels, sensors) for scene in infos]
    first = listed[0]
    described = all(i.described for scene in infos for i in scene)
    alike = all(list(each) == list(first) for each in listed)
    if bands is None:
        named = described or all(sensor is not None for sensor in sensors)
        same = named and all(each.keys() == first.keys() for each in listed)
        if not alike and not same:
            raise _differ(infos, listed)
        bands = list(first)
    picks, names = [], []
    for band in bands:
        found = {
            band_names.find(band, each, scene, labels, sensors)
            for each, scene in zip(listed, infos, strict=True)
        }
        if len({place[:2] for place in found}) > 1:  # other bands, or other names
            raise _differ(infos, listed)
        image, own, name = next(iter(found))
        picks.append((image, own))
        by_place = isinstance(band, int)
        names.append(name if alike or not by_place else f"band_{band}")
        described = described and (alike or not by_place)
    if not names or len(set(names)) < len(names):
        raise InputError(f"bands: {', '.join(names)}; name each band once")
    stack = Stack(tuple(names), tuple(picks), described and len(infos[0]) == 1, scaled)
    return _physical(stack, infos, labels, sensors)


def read(
    images: Sequence[str | None],
    stack: Stack,
    window: Window | None,
    *,
    grid: Grid | None = None,
) -> np.ndarray:
    """Reads a window of a scene.

    Args:
        images: of the scene; None for a sensor or a date that it lacks.
        stack: bands to read.
        window: the whole scene if None.
        grid: that the window is of; None where all images are on it.

    Returns:
        `[H, W, C]` float32 with NaN where a band is not valid or beyond the edge, and
        in all bands of an image that is None: training calls them not `present`.
    """
    if grid is not None and window is None:
        window = Window(0, 0, grid.height, grid.width)
    if len(images) == 1 and images[0] is not None:
        image = _read(
            0, images[0], [band for _, band in stack.picks], stack, window, grid
        )
        return _scaled(image, stack)
    parts: list[np.ndarray | None] = [None] * len(stack.picks)
    for i, path in enumerate(images):
        places = [k for k, (image, _) in enumerate(stack.picks) if image == i]
        if places and path is not None:
            picked = [stack.picks[k][1] for k in places]
            part = _read(i, path, picked, stack, window, grid)
            for j, k in enumerate(places):
                parts[k] = part[..., j]
    shape = next(part.shape for part in parts if part is not None)
    nothing = np.full(shape, np.nan, np.float32)
    parts = [nothing if part is None else part for part in parts]
    return _scaled(np.stack(parts, axis=-1), stack)


def place(infos: Sequence[raster.RasterInfo | None], stack: Stack) -> tuple[Grid, bool]:
    """Returns the grid of a scene, and whether its images must be brought to it.

    Args:
        infos: of its images, None for one that it lacks.
        stack: its rule chooses.

    Raises:
        InputError: several grids without a rule; an image that shares no place with the
            grid.
    """
    present = [info for info in infos if info is not None]
    if stack.rule is None:
        raster.match(present)
        placed = next((info for info in present if info.crs is not None), present[0])
        return Grid.of(placed), False
    rule = stack.rule._asdict()
    if rule["like"] is not None:
        rule["like"] = present.index(infos[rule["like"]] or present[0])
    grid = grids.choose(present, **rule)
    for info in present:
        grids.check_overlap(info, grid)
    return grid, not all(grids.is_on(info, grid) for info in present)


def gsd_m(info: raster.RasterInfo | Grid) -> float | None:
    """Returns the side in metres of a pixel at the scene's centre, None without CRS."""
    row, col = info.height / 2, info.width / 2
    corners = [(col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1)]
    pixel = shapely.Polygon([info.affine @ corner for corner in corners])
    area = vector.geodesic_area_m2(pixel, info.crs)
    return math.sqrt(area) if math.isfinite(area) and area > 0 else None


def _read(i, path, picked, stack, window, grid) -> np.ndarray:
    options = {"bands": picked, "scaled": stack.scaled}
    if stack.nodata:
        found = zip(stack.picks, stack.nodata, strict=True)
        options["nodata"] = [value for (image, _), value in found if image == i]
    if grid is None:
        return raster.read_float(path, window, **options)
    resampling = stack.resampling[i] if stack.resampling else "cubic"
    return align.read(path, grid, window, resampling=resampling, **options)


def _scaled(image: np.ndarray, stack: Stack) -> np.ndarray:
    if stack.scales:
        image *= np.array(stack.scales, np.float32)
        image += np.array(stack.offsets, np.float32)
    return image


def _filled(infos: Infos) -> list[list[raster.RasterInfo]]:
    """For an image that a scene lacks, what the first scene that has it says."""
    columns = zip(*infos, strict=True)
    usual = [next(info for info in column if info is not None) for column in columns]
    return [
        [info or known for info, known in zip(scene, usual, strict=True)]
        for scene in infos
    ]


def _physical(stack: Stack, infos, labels, sensors) -> Stack:
    """The stack with what sensors say of its channels' numbers."""
    if not any(sensors):
        return stack
    scales, offsets, nodata = [], [], []
    for (image, _), name in zip(stack.picks, stack.names, strict=True):
        sensor, scaling = sensors[image], (1.0, 0.0)
        try:
            band = sensor and sensor.band(
                name.removeprefix(band_names.led(labels, image, ""))
            )
        except InputError:
            band = None
        stated = any(
            (scene[image].scales, scene[image].offsets)
            != ((1.0,) * len(scene[image].scales), (0.0,) * len(scene[image].offsets))
            for scene in infos
        )
        if band and stack.scaled and not stated:
            scaling = band.scale, band.offset
        scales.append(scaling[0])
        offsets.append(scaling[1])
        nodata.append(sensor.nodata if band else None)
    scaled = any(s != 1 for s in scales) or any(offsets)
    return replace(
        stack,
        scales=tuple(scales) if scaled else (),
        offsets=tuple(offsets) if scaled else (),
        nodata=tuple(nodata) if any(n is not None for n in nodata) else (),
    )


def _differ(infos, listed) -> InputError:
    at = next((i for i, each in enumerate(listed) if list(each) != list(listed[0])), 0)
    return InputError(
        f"{infos[at][0].path}: bands {', '.join(listed[at])}, but "
        f"{infos[0][0].path} has {', '.join(listed[0])}; choose bands that all scenes "
        "have by name, or by number to take them by their place"
    )
