"""Rasters of any grid read on one: optical, radar, elevation, labels, other dates.

An aligned pixel has one value, whatever window asked for it, and memory does not depend
on the size of a raster. A warped VRT of GDAL cannot promise the first: its
approximation follows the window that is read. Here `lattice` finds the places of pixels
in the source and `gather` the values there. What it does not know, GDAL warps, in fixed
blocks of the grid and each by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import rasterio.warp
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import Resampling

from minenet.geo import gather, grids, handles, lattice, raster, windows
from minenet.geo.grids import Grid
from minenet.geo.windows import Window
from minenet.types import InputError

RADIUS = {"nearest": 1, "bilinear": 1, "cubic": 2, "average": 1, "mode": 1}
"""Resampling → how far it looks, in the coarser of the two pixels.

Cubic or bilinear for what is measured, average for a much finer source, nearest for
classes and mode where they become coarser.
"""

PART = 512
"""Side of what is gathered at once, in target pixels."""

BLOCK = 128
"""Side of a block that GDAL warps, less where the source is much finer."""

SOURCE = 1024
"""About how many source pixels a block may span."""

TOGETHER = 1 << 21
"""Source pixels that one read takes; beyond them each part reads its own."""

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
    masked: bool = True,
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
        masked: see `raster.read`.
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
    options = {"bands": bands, "scaled": scaled, "nodata": nodata, "masked": masked}
    if (moved := grids.whole_pixels(info, grid)) is not None:
        there = windows.shift(inside, *moved)
        image[here] = raster.read_float(path, there, **options)
    else:
        image[here] = _warped(info, grid, inside, resampling, count, **options)
    return image


def _warped(info, grid, window, resampling, count, **options) -> np.ndarray:
    """What a window inside the grid holds of a raster on another one."""
    scale = source_pixels(info, grid)
    stretch = tuple(gather.stretch(resampling, step) for step in scale)
    if None in stretch:
        return _blockwise(info, grid, window, resampling, count, scale, **options)
    image = np.full((window.height, window.width, count), np.nan, np.float32)
    for row in range(window.row, window.row_stop, PART):
        for col in range(window.col, window.col_stop, PART):
            part = windows.intersect(Window(row, col, PART, PART), window)
            here = windows.shift(part, -window.row, -window.col).slices
            _gather(image[here], info, grid, part, resampling, stretch, **options)
    return image


def _gather(image, info, grid, window, method, stretch, **options) -> None:
    """Fills a view of an image with what lies near the places of its pixels."""
    rows, cols = lattice.places(info, grid, window)
    inside = (rows >= 0) & (rows < info.height) & (cols >= 0) & (cols < info.width)
    if not inside.any():
        return
    everywhere = inside.all()
    if everywhere:
        rows, cols = rows.reshape(-1), cols.reshape(-1)
    else:
        rows, cols = rows[inside], cols[inside]
    first, count = zip(
        *(
            _span(at, gather.reach(method, wider))
            for at, wider in zip((rows, cols), stretch, strict=True)
        ),
        strict=True,
    )
    if math.prod(count) > TOGETHER and window.height * window.width > 1:
        for part in _quarters(window):
            here = windows.shift(part, -window.row, -window.col).slices
            _gather(image[here], info, grid, part, method, stretch, **options)
        return
    pixels = raster.read_float(info.path, Window(*first, *count), **options)
    found = gather.values(
        pixels, rows, cols, origin=first, method=method, stretch=stretch
    )
    if everywhere:
        image[...] = found.reshape(image.shape)
    else:
        image[inside] = found


def _span(at: np.ndarray, reach: int) -> tuple[int, int]:
    """First pixel and number of those that points need; beyond the edges too."""
    first = math.floor(at.min()) - reach
    return first, math.floor(at.max() + gather.EDGE) + reach + 1 - first


def _quarters(window: Window) -> Iterator[Window]:
    height, width = -(-window.height // 2), -(-window.width // 2)
    for row in range(window.row, window.row_stop, height):
        for col in range(window.col, window.col_stop, width):
            yield windows.intersect(Window(row, col, height, width), window)


def _blockwise(info, grid, window, resampling, count, scale, **options) -> np.ndarray:
    """Warps the blocks that a window inside the grid touches."""
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


def source_pixels(info: raster.RasterInfo, grid: Grid) -> tuple[float, float]:
    """Returns rows and columns of a raster that a step of one pixel of a grid crosses.

    Args:
        info: of the raster.
        grid: at whose middle it is measured.
    """
    row, col = grid.height / 2, grid.width / 2
    rows, cols = lattice.to_source(info, grid, [row, row, row + 1], [col, col + 1, col])
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
    rows, cols = lattice.to_source(info, grid, down.ravel(), right.ravel())
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
