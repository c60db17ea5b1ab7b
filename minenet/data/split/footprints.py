"""Where windows lie on the ground, on one plane for scenes in any CRS."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyproj
import shapely

from minenet.geo.raster import RasterInfo

PLANE = "EPSG:6933"
"""Cylindrical equal-area: a block has one area wherever it lies."""

CONFORMAL = "EPSG:3395"
"""Mercator on the ellipsoid: what lies nearest on the plane lies nearest on Earth."""

APART = 1e9
"""Distance in metres between scenes that nothing places; farther than Earth is wide."""

RING = [0, 3, 6, 7, 8, 5, 2, 1]
"""Of the nine points of a window those around it, in turn."""


def boxes(info: RasterInfo, windows: np.ndarray, *, scene: int) -> np.ndarray:
    """Returns boxes `[N, 4]` (left, bottom, right, top) in metres around windows.

    Without a CRS a pixel counts as a metre, and each scene has a plane of its own.

    Args:
        info: of the windows' raster.
        windows: `[N, 4]` row, col, height, width in pixels.
        scene: a number of the scene, to keep those without a CRS apart.
    """
    x, y = _points(info, windows, scene, PLANE)
    return np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], axis=1)


def of_scenes(infos: Mapping[str, RasterInfo], names: Sequence[str]) -> np.ndarray:
    """Returns the box `[N, 4]` of each scene that is named."""
    numbers, found = {name: i for i, name in enumerate(infos)}, []
    for name in names:
        whole = [[0, 0, infos[name].height, infos[name].width]]
        found.append(boxes(infos[name], whole, scene=numbers[name]))
    return np.concatenate(found)


def of_windows(
    infos: Mapping[str, RasterInfo], index: pd.DataFrame, *, grow: float = 0
) -> np.ndarray:
    """Returns the box `[N, 4]` of each window, without what lies off its scene.

    Args:
        infos: of each scene's first image, by the scene's name.
        index: windows, as `chips.index` lists them.
        grow: pixels to add on each side; below 0 to take off.
    """
    found = np.empty((len(index), 4))
    for i, name, rows, spans in _spans(infos, index, grow):
        found[rows] = boxes(infos[name], spans, scene=i)
    return found


def outlines(
    infos: Mapping[str, RasterInfo],
    index: pd.DataFrame,
    *,
    grow: float = 0,
    plane: str = CONFORMAL,
) -> np.ndarray:
    """Returns the polygon `[N]` of each window, as `of_windows` returns its box.

    A window of a scene that lies askew on the plane fills its outline, not its box.
    """
    found = np.empty(len(index), object)
    for i, name, rows, spans in _spans(infos, index, grow):
        points = np.stack(_points(infos[name], spans, i, plane), axis=-1)
        found[rows] = shapely.polygons(points[:, RING])
    return found


def _spans(infos, index, grow):
    """Yields number, name, rows and windows `[N, 4]` of each scene of the index."""
    numbers = {name: i for i, name in enumerate(infos)}
    row, col, height, width = (
        index[name].to_numpy(float) for name in ("row", "col", "height", "width")
    )
    for name, rows in index.groupby("scene", sort=False).indices.items():
        info = infos[name]
        top, left = (np.maximum(at[rows] - grow, 0) for at in (row, col))
        bottom = np.minimum((row + height)[rows] + grow, info.height)
        right = np.minimum((col + width)[rows] + grow, info.width)
        spans = np.stack([top, left, bottom - top, right - left], axis=1)
        yield numbers[name], name, rows, spans


def _points(info, windows, scene, plane) -> tuple[np.ndarray, np.ndarray]:
    """Corners, middles of edges and centres `[N, 9]`, down each column from the left.

    The middles too: straight lines bend on the way to the plane.
    """
    row, col, height, width = np.asarray(windows, float).reshape(-1, 4).T
    down, right = np.meshgrid([0, 0.5, 1], [0, 0.5, 1])
    rows = row[:, None] + height[:, None] * down.ravel()
    cols = col[:, None] + width[:, None] * right.ravel()
    if info.crs is None:
        return cols + (1 + scene) * APART, -rows
    a, b, c, d, e, f = info.affine[:6]
    x, y = a * cols + b * rows + c, d * cols + e * rows + f
    return _to_plane(info.crs.to_wkt(), plane).transform(x, y)


@functools.lru_cache(maxsize=64)
def _to_plane(wkt: str, plane: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(wkt, plane, always_xy=True)
