"""Where windows lie on the ground, on one plane for scenes in any CRS."""

from __future__ import annotations

import functools

import numpy as np
import pyproj

from minenet.geo.raster import RasterInfo

PLANE = "EPSG:6933"
"""Cylindrical equal-area: a block has one area wherever it lies."""

APART = 1e9
"""Distance in metres between scenes that nothing places; farther than Earth is wide."""


def boxes(info: RasterInfo, windows: np.ndarray, *, scene: int) -> np.ndarray:
    """Returns boxes `[N, 4]` (left, bottom, right, top) in metres around windows.

    Without a CRS a pixel counts as a metre, and each scene has a plane of its own.

    Args:
        info: of the windows' raster.
        windows: `[N, 4]` row, col, height, width in pixels.
        scene: a number of the scene, to keep those without a CRS apart.
    """
    row, col, height, width = np.asarray(windows, float).reshape(-1, 4).T
    # The middles of the edges too: straight lines bend on the way to the plane.
    down, right = np.meshgrid([0, 0.5, 1], [0, 0.5, 1])
    rows = row[:, None] + height[:, None] * down.ravel()
    cols = col[:, None] + width[:, None] * right.ravel()
    if info.crs is None:
        x, y = cols + (1 + scene) * APART, -rows
    else:
        a, b, c, d, e, f = info.affine[:6]
        x, y = _to_plane(info.crs.to_wkt()).transform(
            a * cols + b * rows + c, d * cols + e * rows + f
        )
    return np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], axis=1)


@functools.lru_cache(maxsize=64)
def _to_plane(wkt: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(wkt, PLANE, always_xy=True)
