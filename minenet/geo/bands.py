"""Bands of several rasters as one stack, the same for every scene of a collection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from minenet.geo import raster, vector
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
    """

    names: tuple[str, ...]
    picks: tuple[tuple[int, str | int], ...]
    described: bool
    scaled: bool = False


def select(
    infos: Infos,
    *,
    labels: Sequence[str] = ("",),
    bands: Sequence[str | int] | None = None,
    scaled: bool = False,
) -> Stack:
    """Returns the stack of bands that every scene has.

    Args:
        infos: of every scene.
        labels: a word for each image of a scene, to lead the names of its bands where
            there are several images.
        bands: names or 1-based numbers (through all images) in the order wanted; all if
            None.
        scaled: see `Stack`.

    Raises:
        InputError: a band that a scene does not have; names that differ between scenes
            though bands were not chosen.
    """
    listed = [_bands(scene, labels) for scene in infos]
    first, described = listed[0], all(i.described for scene in infos for i in scene)
    alike = all(list(each) == list(first) for each in listed)
    if bands is None:
        same = described and all(each.keys() == first.keys() for each in listed)
        if not alike and not same:
            raise _differ(infos, listed)
        bands = list(first)
    picks, names = [], []
    for band in bands:
        found = {
            _find(band, each, scene) for each, scene in zip(listed, infos, strict=True)
        }
        if len(found) > 1:  # the images of one scene have more bands than another's
            raise _differ(infos, listed)
        picks += found
        by_place = isinstance(band, int)
        names.append(list(first)[band - 1] if by_place and alike else _name(band))
        described = described and (alike or not by_place)
    if not names or len(set(names)) < len(names):
        raise InputError(f"bands: {', '.join(names)}; name each band once")
    return Stack(tuple(names), tuple(picks), described and len(infos[0]) == 1, scaled)


def read(images: Sequence[str], stack: Stack, window: Window | None) -> np.ndarray:
    """Reads a window of a scene.

    Returns:
        `[H, W, C]` float32 with NaN where a band is not valid or beyond the edge.
    """
    if len(images) == 1:
        picked = [band for _, band in stack.picks]
        return raster.read_float(images[0], window, bands=picked, scaled=stack.scaled)
    parts: list[np.ndarray | None] = [None] * len(stack.picks)
    for i, path in enumerate(images):
        places = [k for k, (image, _) in enumerate(stack.picks) if image == i]
        if places:
            picked = [stack.picks[k][1] for k in places]
            part = raster.read_float(path, window, bands=picked, scaled=stack.scaled)
            for j, k in enumerate(places):
                parts[k] = part[..., j]
    return np.stack(parts, axis=-1)


def gsd_m(info: raster.RasterInfo) -> float | None:
    """Returns the side in metres of a pixel at the scene's centre, None without CRS."""
    row, col = info.height / 2, info.width / 2
    corners = [(col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1)]
    pixel = shapely.Polygon([info.affine @ corner for corner in corners])
    area = vector.geodesic_area_m2(pixel, info.crs)
    return math.sqrt(area) if math.isfinite(area) and area > 0 else None


def _bands(scene, labels) -> dict[str, tuple[int, str, int]]:
    """Stacked name → image, own name and number there; image after image."""
    return {
        name if len(scene) == 1 else f"{labels[i]}_{name}": (i, name, number)
        for i, info in enumerate(scene)
        for name, number in zip(info.bands, info.numbers, strict=True)
    }


def _find(band, listed, scene) -> tuple[int, str | int]:
    if isinstance(band, int):
        if not 1 <= band <= len(listed):
            raise InputError(
                f"{scene[0].path}: no band {band}; its scene has {len(listed)}, "
                "numbered from 1"
            )
        image, _, number = list(listed.values())[band - 1]
        return image, number
    if band not in listed:
        raise InputError(
            f"{scene[0].path}: no band {band!r}; its scene has {', '.join(listed)}"
        )
    image, name, _ = listed[band]
    return image, name


def _name(band: str | int) -> str:
    return band if isinstance(band, str) else f"band_{band}"


def _differ(infos, listed) -> InputError:
    at = next((i for i, each in enumerate(listed) if list(each) != list(listed[0])), 0)
    return InputError(
        f"{infos[at][0].path}: bands {', '.join(listed[at])}, but "
        f"{infos[0][0].path} has {', '.join(listed[0])}; choose bands that all scenes "
        "have by name, or by number to take them by their place"
    )
