"""Bands around outlines, in metres on the ground, whatever the CRS."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import shapely
from rasterio.crs import CRS

from minenet.geo.repair import polygonal

QUARTER = 32
"""Sides of a quarter circle: a corner is narrower by 0.03 % of the width at most."""


def metres(crs: CRS | None, x: float, y: float) -> tuple[float, float]:
    """Returns metres on the ground to a unit of x and of y at a place in a CRS.

    Without a CRS, or with a local one that has no place on Earth, a unit is a metre.

    >>> [round(m) for m in metres(CRS.from_epsg(4326), 0, 60)]
    [55800, 111412]
    """
    if crs is None:
        return 1.0, 1.0
    plane = pyproj.CRS.from_wkt(crs.to_wkt())
    if plane.geodetic_crs is None:
        return 1.0, 1.0
    there = pyproj.Transformer.from_crs(plane, plane.geodetic_crs, always_xy=True)
    step = 1e-4 if plane.is_geographic else 1.0
    lon, lat = there.transform([x, x + step, x], [y, y, y + step])
    geod = plane.get_geod()
    apart = [
        geod.inv(lon[0], lat[0], lon[i], lat[i])[2] / step
        if math.isfinite(lon[i])
        else 1
        for i in (1, 2)
    ]
    return apart[0], apart[1]


def bands(
    shapes: np.ndarray, *, width_m: float, crs: CRS | None, at: tuple[float, float]
) -> np.ndarray:
    """Returns the places within a distance of the outlines of polygons.

    Polygons are joined first: where two of them touch or overlap no outline is left.

    Args:
        shapes: `[N]`, repaired if they need it.
        width_m: distance on each side, in metres on the ground.
        crs: of the shapes.
        at: x, y near them, where the CRS's unit is measured: over a scene it hardly
            changes.

    Returns:
        `[0]` or `[1]` polygons.
    """
    area = shapely.union_all(polygonal(shapes))
    if area.is_empty:
        return np.empty(0, object)
    unit = np.array(metres(crs, *at))
    near = shapely.transform(area, lambda points: points * unit)
    band = shapely.buffer(shapely.boundary(near), width_m, quad_segs=QUARTER)
    return np.array([shapely.transform(band, lambda points: points / unit)], object)
