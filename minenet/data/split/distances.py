"""How far apart windows lie on the ground, in metres wherever on Earth they are.

Shapes and points come from the conformal plane of `footprints`.
"""

from __future__ import annotations

import functools

import numpy as np
import pyproj
import shapely

from minenet.data.split.footprints import APART, CONFORMAL


def nearest(shapes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns metres from each shape to the nearest of the others, and which that is.

    Args:
        shapes: `[N]` polygons.
        others: `[M]` polygons.

    Returns:
        Metres `[N]`, 0 where they touch or overlap; places `[N]` among the others. With
        no others, and between scenes that nothing places, the distance is infinite.
    """
    if not len(shapes) or not len(others):
        return np.full(len(shapes), np.inf), np.full(len(shapes), -1)
    tree = shapely.STRtree(others)
    (_, at) = tree.query_nearest(shapes, all_matches=False)
    lines = shapely.shortest_line(shapes, tree.geometries[at])
    ends = shapely.get_coordinates(lines).reshape(-1, 2, 2)
    return metres(ends[:, 0], ends[:, 1]), at


def metres(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the metres `[N]` between points `[N, 2]`, on the ellipsoid."""
    away = np.hypot(*(a - b).T)
    placed = (a[:, 0] < APART / 2) & (b[:, 0] < APART / 2)
    away[~placed & (away > APART / 2)] = np.inf
    if placed.any():
        to_degrees, geod = _earth()
        ends = [to_degrees.transform(*each[placed].T) for each in (a, b)]
        away[placed] = geod.inv(*ends[0], *ends[1])[2]
    return away


def positions(points: np.ndarray) -> np.ndarray:
    """Returns points in space `[N, 3]`, whose straight distances are metres.

    Those are chords: short by 0.1 % at 1 000 km. Points that nothing places stay on
    their own planes, farther from each other than Earth is wide.
    """
    placed = points[:, 0] < APART / 2
    found = np.column_stack([points, np.zeros(len(points))])
    if placed.any():
        to_degrees, geod = _earth()
        lon, lat = np.radians(to_degrees.transform(*points[placed].T))
        normal = geod.a / np.sqrt(1 - geod.es * np.sin(lat) ** 2)
        x, y = normal * np.cos(lat) * np.cos(lon), normal * np.cos(lat) * np.sin(lon)
        found[placed] = np.stack([x, y, normal * (1 - geod.es) * np.sin(lat)], axis=1)
    return found


@functools.lru_cache(maxsize=1)
def _earth() -> tuple[pyproj.Transformer, pyproj.Geod]:
    plane = pyproj.CRS.from_user_input(CONFORMAL)
    to_degrees = pyproj.Transformer.from_crs(plane, plane.geodetic_crs, always_xy=True)
    return to_degrees, plane.get_geod()
