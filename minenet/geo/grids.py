"""Grids: where the pixels of a scene lie, taken from a raster or made.

Several rasters of a scene need one grid. Which, is the user's choice: nothing here
guesses a CRS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import rasterio.warp
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from minenet.geo import handles, raster
from minenet.types import InputError

SAME = 1e-3
"""Pixels by which two grids may differ and still be one."""


class Rule(NamedTuple):
    """Which grid a scene's rasters are brought to; see `choose`."""

    like: int | None = None
    crs: str | None = None
    pixel: float | None = None


@dataclass(frozen=True)
class Grid:
    """Where pixels lie.

    Attributes:
        crs: or None where coordinates are pixels of a plain picture.
        affine: pixel (col, row) → CRS (x, y).
        height: in pixels.
        width: in pixels.
    """

    crs: CRS | None
    affine: Affine
    height: int
    width: int

    @classmethod
    def of(cls, info: raster.RasterInfo) -> Grid:
        """Returns the grid of a raster."""
        return cls(info.crs, info.affine, info.height, info.width)

    def to_json(self) -> dict:
        """Returns the grid as JSON holds it; `from_json` is the inverse."""
        crs = None if self.crs is None else self.crs.to_wkt()
        size = {"height": self.height, "width": self.width}
        return {"crs": crs, "affine": list(self.affine[:6]), **size}

    @classmethod
    def from_json(cls, value: dict) -> Grid:
        """Returns the grid that `to_json` told of."""
        crs = None if value["crs"] is None else CRS.from_wkt(value["crs"])
        return cls(crs, Affine(*value["affine"]), value["height"], value["width"])

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The left, bottom, right and top of the box around it."""
        corners = [(0, 0), (self.width, 0), (0, self.height), (self.width, self.height)]
        x, y = self.affine @ np.array(corners, float).T
        return x.min(), y.min(), x.max(), y.max()


def choose(
    infos: Sequence[raster.RasterInfo],
    *,
    like: int | None = None,
    crs: str | CRS | None = None,
    pixel: float | None = None,
) -> Grid:
    """Returns the grid that the rasters of a scene are brought to.

    Args:
        infos: of the rasters.
        like: place of the raster whose grid it is.
        crs: of a grid of its own; that of the rasters if None.
        pixel: its pixel's side in units of the CRS: metres, degrees. Such grids begin
            at multiples of it, so that scenes side by side share their pixels, and
            cover all of the rasters.

    Raises:
        InputError: rasters of several grids and no word on which to take; a size that
            makes no sense in that CRS.
    """
    first = infos[0]
    if like is not None:
        return Grid.of(infos[like])
    if pixel is None:
        if crs is not None:
            raise InputError(
                f"grid: {crs} needs a pixel size too, in units of that CRS"
            )
        _refuse_several(infos)
        return Grid.of(first)
    if crs is None:
        if other := next((i for i in infos if i.crs != first.crs), None):
            raise _mixed(other, first)
        target = first.crs
    else:
        target = _crs(crs)
    boxes = np.array([_bounds(Grid.of(info), target, info.path) for info in infos])
    left, bottom = np.floor(boxes[:, :2].min(0) / pixel + SAME)
    right, top = np.ceil(boxes[:, 2:].max(0) / pixel - SAME)
    height, width = int(top - bottom), int(right - left)
    if min(height, width) < 2 or max(height, width) >= 2**31:
        raise InputError(
            f"grid: a pixel of {pixel:g} gives {height} x {width} pixels over "
            f"{first.path}; it is in units of {_name(target)}"
        )
    return Grid(
        target,
        Affine(pixel, 0, left * pixel, 0, -pixel, top * pixel),
        height,
        width,
    )


def check_overlap(info: raster.RasterInfo, grid: Grid) -> None:
    """Raises `InputError` where a raster and a grid share no place."""
    refuse_bare(info, grid)
    left, bottom, right, top = _bounds(Grid.of(info), grid.crs, info.path)
    west, south, east, north = grid.bounds
    if min(right, east) <= max(left, west) or min(top, north) <= max(bottom, south):
        raise InputError(
            f"{info.path}: x {left:.6g} to {right:.6g}, y {bottom:.6g} to {top:.6g} "
            f"share nothing with the grid, x {west:.6g} to {east:.6g}, y {south:.6g} "
            f"to {north:.6g} ({_name(grid.crs)}); check which files belong together"
        )


def whole_pixels(info: raster.RasterInfo, grid: Grid) -> tuple[int, int] | None:
    """Returns rows and columns from the raster's origin to the grid's, if whole."""
    if info.crs != grid.crs:
        return None
    apart = ~info.affine @ grid.affine
    corners = np.array([(0, 0), (grid.width, 0), (0, grid.height)], float)
    cols, rows = apart @ corners.T - corners.T
    col, row = round(cols[0]), round(rows[0])
    if max(np.abs(cols - col).max(), np.abs(rows - row).max()) > SAME:
        return None
    return row, col


def is_on(info: raster.RasterInfo, grid: Grid) -> bool:
    """Returns whether the pixels of a raster are those of a grid."""
    same = (info.height, info.width) == (grid.height, grid.width)
    return same and whole_pixels(info, grid) == (0, 0)


def refuse_bare(info: raster.RasterInfo, grid: Grid) -> None:
    """Raises `InputError` where a raster or a grid alone has a CRS."""
    if (info.crs is None) != (grid.crs is None):
        raise InputError(
            f"{info.path}: {_name(info.crs)}, but the grid has {_name(grid.crs)}; give "
            "the raster a CRS (gdal_edit)"
        )


def _bounds(grid: Grid, crs: CRS | None, path: str):
    """The box in another CRS around a grid."""
    if grid.crs == crs:
        return grid.bounds
    try:
        if grid.crs is None or crs is None:
            raise CRSError("no CRS")
        box = rasterio.warp.transform_bounds(grid.crs, crs, *grid.bounds)
        if not np.isfinite(box).all():
            raise CRSError("outside of where it is defined")
    except CRSError as error:
        raise InputError(
            f"{path}: {_name(grid.crs)} cannot be brought to {_name(crs)} "
            f"({handles.one_line(error)}); give another CRS"
        ) from error
    return box


def _crs(crs: str | CRS) -> CRS:
    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        raise InputError(
            f"grid: {crs!r} is no CRS; give one like EPSG:32723"
        ) from error


def _name(crs: CRS | None) -> str:
    return "no CRS" if crs is None else crs.to_string()


def _refuse_several(infos: Sequence[raster.RasterInfo]) -> None:
    first = infos[0]
    for other in infos[1:]:
        if other.crs != first.crs:
            raise _mixed(other, first)
        grid = Grid.of(first)
        if not is_on(other, grid):
            raise InputError(
                f"{other.path}: other pixels than those of {first.path}; choose the "
                "grid: that of one raster, or a pixel size"
            )


def _mixed(other: raster.RasterInfo, first: raster.RasterInfo) -> InputError:
    return InputError(
        f"{other.path}: {_name(other.crs)}, but {first.path} has {_name(first.crs)}; "
        "choose the grid: that of one raster, or a CRS and a pixel size"
    )
