"""How far apart windows lie on the ground, in metres wherever on Earth they are.

Boxes come from `footprints.boxes` on its conformal plane.
"""

from __future__ import annotations

import functools

import numpy as np
import pyproj
import shapely

from minenet.data.footprints import APART, CONFORMAL


def nearest(boxes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns metres from each box to the nearest of the others, and which that is.

    Args:
        boxes: `[N, 4]` left, bottom, right, top.
        others: `[M, 4]`.

    Returns:
        Metres `[N]`, 0 where they touch or overlap; places `[N]` among the others. With
        no others, and between scenes that nothing places, the distance is infinite.
    """
    if not len(boxes) or not len(others):
        return np.full(len(boxes), np.inf), np.full(len(boxes), -1)
    shapes, tree = shapely.box(*boxes.T), shapely.STRtree(shapely.box(*others.T))
    (_, at) = tree.query_nearest(shapes, all_matches=False)
    lines = shapely.shortest_line(shapes, tree.geometries[at])
    ends = shapely.get_coordinates(lines).reshape(-1, 2, 2)
    return metres(ends[:, 0], ends[:, 1]), at


def metres(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the metres `[N]` between points `[N, 2]` of the conformal plane."""
    unplaced = (a[:, 0] > APART / 2) | (b[:, 0] > APART / 2)
    away = np.hypot(*(a - b).T)
    away[unplaced & (away > APART / 2)] = np.inf
    placed = ~unplaced
    if placed.any():
        to_degrees, geod = _earth()
        ends = [to_degrees.transform(*each[placed].T) for each in (a, b)]
        away[placed] = geod.inv(*ends[0], *ends[1])[2]
    return away


def centres(boxes: np.ndarray) -> np.ndarray:
    """Returns the middle `[N, 2]` of each box."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


@functools.lru_cache(maxsize=1)
def _earth() -> tuple[pyproj.Transformer, pyproj.Geod]:
    plane = pyproj.CRS.from_user_input(CONFORMAL)
    to_degrees = pyproj.Transformer.from_crs(plane, plane.geodetic_crs, always_xy=True)
    return to_degrees, plane.get_geod()
