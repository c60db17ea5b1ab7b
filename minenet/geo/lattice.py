"""Where the pixels of a grid lie in a raster on another one.

Asking PROJ for every pixel costs more than reading them. So places are computed on a
lattice of the grid, and are linear between its points where that is close. The lattice
is the same whoever asks, and so is every place, to the last bit.
"""

from __future__ import annotations

import numpy as np
import rasterio.warp
from numpy.typing import ArrayLike

from minenet.geo import handles, raster, windows
from minenet.geo.grids import Grid
from minenet.geo.windows import Window

CELL = 64
"""Pixels of the grid between two points of the lattice."""

CLOSE = 0.01
"""Pixels of the raster by which places between the points may be off."""


def places(
    info: raster.RasterInfo, grid: Grid, window: Window
) -> tuple[np.ndarray, np.ndarray]:
    """Returns where the centres of a grid's pixels lie in a raster.

    Half-way along the sides of each cell of the lattice it is seen whether places are
    `CLOSE` to linear. Where they are not, each is computed.

    Args:
        info: of the raster.
        grid: of the pixels.
        window: of the grid.

    Returns:
        Rows and columns `[H, W]` float64; the first pixel lies between 0 and 1. Not
        finite where the raster's CRS has no such place.
    """
    cells = Window(
        window.row // CELL,
        window.col // CELL,
        -(-window.row_stop // CELL) - window.row // CELL,
        -(-window.col_stop // CELL) - window.col // CELL,
    )
    halves = [
        (start + np.arange(2 * count + 1) / 2) * CELL
        for start, count in ((cells.row, cells.height), (cells.col, cells.width))
    ]
    down, right = np.meshgrid(*halves, indexing="ij")
    exact = np.stack(to_source(info, grid, down.ravel(), right.ravel()))
    exact = exact.reshape(2, *down.shape)
    corners = exact[:, ::2, ::2]
    with np.errstate(invalid="ignore", over="ignore"):
        found = _between(
            corners,
            (np.arange(window.row, window.row_stop) + 0.5) / CELL - cells.row,
            (np.arange(window.col, window.col_stop) + 0.5) / CELL - cells.col,
        )
        across = (corners[:, :, 1:] + corners[:, :, :-1]) / 2 - exact[:, ::2, 1::2]
        along = (corners[:, 1:] + corners[:, :-1]) / 2 - exact[:, 1::2, ::2]
    across, along = (np.abs(off).max(0) <= CLOSE for off in (across, along))
    close = across[1:] & across[:-1] & along[:, 1:] & along[:, :-1]
    for row, col in np.argwhere(~close).tolist():
        cell = Window((cells.row + row) * CELL, (cells.col + col) * CELL, CELL, CELL)
        cell = windows.intersect(cell, window)
        down, right = np.mgrid[cell.slices] + 0.5
        exact = np.stack(to_source(info, grid, down.ravel(), right.ravel()))
        here = windows.shift(cell, -window.row, -window.col).slices
        found[:, *here] = exact.reshape(2, *down.shape)
    return found[0], found[1]


def _between(corners: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Bilinear values of `corners [2, n, m]` at ascending rows and columns from 0."""
    cell = rows.astype(int)
    past = (rows - cell)[:, None]
    along = corners[:, cell] * (1 - past) + corners[:, cell + 1] * past
    found = np.empty((len(along), len(rows), len(cols)))
    cell = cols.astype(int)
    for i in range(corners.shape[2] - 1):
        here = slice(*np.searchsorted(cell, (i, i + 1)))
        past = cols[here] - i
        np.multiply(along[..., i, None], 1 - past, out=found[..., here])
        found[..., here] += along[..., i + 1, None] * past
    return found


def to_source(
    info: raster.RasterInfo, grid: Grid, rows: ArrayLike, cols: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and columns of a raster at rows and columns of a grid."""
    x, y = grid.affine @ (np.asarray(cols, float), np.asarray(rows, float))
    if info.crs != grid.crs:
        with handles.environment():
            x, y = rasterio.warp.transform(grid.crs, info.crs, x, y)
    cols, rows = ~info.affine @ (np.asarray(x), np.asarray(y))
    return rows, cols
