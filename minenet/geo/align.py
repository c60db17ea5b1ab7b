"""Rasters of any grid read on one: optical, radar, elevation, labels, other dates.

A grid is cut into fixed blocks and each is warped by itself, from the source pixels
that it needs and no others. So an aligned pixel has one value, whatever window asked
for it, and memory does not depend on the size of a raster. A warped VRT of GDAL cannot
promise the first: its approximation follows the window that is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import rasterio.warp
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import Resampling

from minenet.geo import grids, handles, raster, windows
from minenet.geo.grids import Grid
from minenet.geo.windows import Window
from minenet.types import InputError

RADIUS = {"nearest": 1, "bilinear": 1, "cubic": 2, "average": 1, "mode": 1}
"""Resampling → how far it looks, in the coarser of the two pixels.

Cubic or bilinear for what is measured, average for a much finer source, nearest for
classes and mode where they become coarser.
"""

BLOCK = 128
"""Side of a block in target pixels, less where the source is much finer."""

SOURCE = 1024
"""About how many source pixels a block may span."""

TOGETHER = 1 << 23
"""Source pixels that one read takes; beyond them each block reads its own."""

PLANE = CRS.from_epsg(3857)
"""GDAL wants some CRS; the same for both sides changes nothing."""


def read(
    path: raster.StrPath,
    grid: Grid,
    window: Window | None = None,
    *,
    bands: raster.Bands | None = None,
    scaled: bool = False,
    nodata: Sequence[float | None] | None = None,
    resampling: str = "cubic",
) -> np.ndarray:
    """Reads a window of a grid from a raster on any other.

    Where the raster's pixels are the grid's, they come as they are. Else a pixel is
    made of the valid ones near it, band by band, so that a hole may lose up to a pixel
    at its rim.

    Args:
        path: any raster that GDAL reads.
        grid: that the window is of.
        window: may reach beyond the grid, where nothing is valid; the grid if None.
        bands: 1-based numbers or names, in the order wanted; all data bands if None.
        scaled: whether to apply the file's scale and offset.
        nodata: see `raster.read`.
        resampling: one of `RADIUS`.

    Returns:
        `[H, W, C]` float32 with NaN where a band is not valid or beyond an edge.

    Raises:
        InputError: as `raster.read`; a CRS on one side only.
    """
    if resampling not in RADIUS:
        raise InputError(
            f"resampling: {resampling!r}, expected one of {', '.join(RADIUS)}"
        )
    info = raster.info(path)
    grids.refuse_bare(info, grid)
    window = window or Window(0, 0, grid.height, grid.width)
    count = len(info.numbers if bands is None else bands)
    image = np.full((window.height, window.width, count), np.nan, np.float32)
    inside = windows.clip(window, grid.height, grid.width)
    if inside is None:
        return image
    here = windows.shift(inside, -window.row, -window.col).slices
    options = {"bands": bands, "scaled": scaled, "nodata": nodata}
    if (moved := grids.whole_pixels(info, grid)) is not None:
        there = windows.shift(inside, *moved)
        image[here] = raster.read_float(path, there, **options)
    else:
        image[here] = _warped(info, grid, inside, resampling, count, **options)
    return image


def _warped(info, grid, window, resampling, count, **options) -> np.ndarray:
    """Warps the blocks that a window inside the grid touches."""
    scale = _source_pixels(info, grid)
    side = BLOCK
    while side > 8 and side * max(scale) > SOURCE:
        side //= 2
    margin = [math.ceil(RADIUS[resampling] * max(1.0, s)) + 2 for s in scale]
    blocks = [
        (block, _needed(info, grid, block, margin))
        for block in _blocks(window, grid, side)
    ]
    image = np.full((window.height, window.width, count), np.nan, np.float32)
    needed = [source for _, source in blocks if source is not None]
    if not needed:
        return image
    row, col = min(n.row for n in needed), min(n.col for n in needed)
    stop = max(n.row_stop for n in needed), max(n.col_stop for n in needed)
    every = Window(row, col, stop[0] - row, stop[1] - col)
    pixels = None
    if every.height * every.width <= TOGETHER:
        pixels = raster.read_float(info.path, every, **options)
    for block, source in blocks:
        if source is None:
            continue
        if pixels is None:
            part = raster.read_float(info.path, source, **options)
        else:
            part = pixels[windows.shift(source, -every.row, -every.col).slices]
        warped = _warp(part, info, source, grid, block, resampling, scale)
        shared = windows.intersect(block, window)
        to = windows.shift(shared, -window.row, -window.col).slices
        image[to] = warped[windows.shift(shared, -block.row, -block.col).slices]
    return image


def _blocks(window: Window, grid: Grid, side: int) -> Iterator[Window]:
    for row in range(window.row // side * side, window.row_stop, side):
        for col in range(window.col // side * side, window.col_stop, side):
            yield windows.clip(Window(row, col, side, side), grid.height, grid.width)


def _warp(part, info, source, grid, block, resampling, scale) -> np.ndarray:
    warped = np.full((part.shape[-1], block.height, block.width), np.nan, np.float32)
    with handles.environment(), handles.quiet():
        rasterio.warp.reproject(
            np.ascontiguousarray(np.moveaxis(part, -1, 0)),
            warped,
            src_transform=info.affine @ Affine.translation(source.col, source.row),
            src_crs=info.crs or PLANE,
            src_nodata=np.nan,
            dst_transform=grid.affine @ Affine.translation(block.col, block.row),
            dst_crs=grid.crs or PLANE,
            dst_nodata=np.nan,
            resampling=Resampling[resampling],
            # Else one band without a value would be filled with numbers of no meaning.
            UNIFIED_SRC_NODATA="NO",
            # Else GDAL guesses them from the extent of each block.
            XSCALE=min(1.0, 1 / scale[1]),
            YSCALE=min(1.0, 1 / scale[0]),
        )
    return np.moveaxis(warped, 0, -1)


def _source_pixels(info: raster.RasterInfo, grid: Grid) -> tuple[float, float]:
    """Rows and columns of the source that a step of one target pixel crosses."""
    row, col = grid.height / 2, grid.width / 2
    rows, cols = _to_source(info, grid, [row, row, row + 1], [col, col + 1, col])
    crossed = [float(np.hypot(*(at[1:] - at[0]))) for at in (rows, cols)]
    if not all(math.isfinite(c) and c > 0 for c in crossed):
        return 1.0, 1.0  # the middle of the grid is no place for the source's CRS
    return crossed[0], crossed[1]


def _needed(info, grid, block: Window, margin: Sequence[int]) -> Window | None:
    """The source pixels that a block is made of, None where there are none."""
    steps = np.linspace(0, 1, 9)
    down, right = np.meshgrid(
        block.row + steps * block.height, block.col + steps * block.width
    )
    rows, cols = _to_source(info, grid, down.ravel(), right.ravel())
    known = np.isfinite(rows) & np.isfinite(cols)
    if not known.any():
        return None
    row, col = math.floor(rows[known].min()), math.floor(cols[known].min())
    height = math.ceil(rows[known].max()) - row
    width = math.ceil(cols[known].max()) - col
    wanted = Window(
        row - margin[0],
        col - margin[1],
        height + 2 * margin[0],
        width + 2 * margin[1],
    )
    return windows.clip(wanted, info.height, info.width)


def _to_source(info, grid, rows, cols) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the source at rows and columns of a grid."""
    x, y = grid.affine @ (np.asarray(cols, float), np.asarray(rows, float))
    if info.crs != grid.crs:
        with handles.environment():
            x, y = rasterio.warp.transform(grid.crs, info.crs, x, y)
    cols, rows = ~info.affine @ (np.asarray(x), np.asarray(y))
    return rows, cols
