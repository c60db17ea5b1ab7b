"""Areas on the ellipsoid: the same number in whatever CRS a polygon is drawn."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

LONGEST_M = 1000.0
LONGEST_DEGREES = 0.01


def geodesic_area_m2(geometry: BaseGeometry, crs: object | None) -> float:
    """Returns the area of a polygon in m² on the ellipsoid of its CRS.

    After Karney (2013), through `pyproj.Geod`. The edges of a polygon are straight in
    its CRS, those of the formula are geodesics, so edges are first cut into pieces of
    about a kilometre: along the 60th parallel an edge of 1° is off by 100 m otherwise.

    Args:
        geometry: polygon or multipolygon; holes are taken off.
        crs: EPSG code, WKT, a CRS of pyproj or rasterio, or None.

    Returns:
        m²; NaN without a CRS or with a local one that has no place on Earth.

    >>> one_degree = shapely.box(0, 0, 1, 1)
    >>> round(geodesic_area_m2(one_degree, "EPSG:4326") / 1e6)
    12308
    """
    return float(geodesic_areas_m2([geometry], crs)[0])


def geodesic_areas_m2(
    geometries: Sequence[BaseGeometry] | np.ndarray, crs: object | None
) -> np.ndarray:
    """Returns `geodesic_area_m2` of each polygon, `[N]` float64."""
    shapes = np.asarray(geometries, object)
    way = None if crs is None else _geodetic(crs)
    if way is None or not len(shapes):
        return np.full(len(shapes), np.nan)
    transformer, geod, longest = way
    parts, shape_of_part = shapely.get_parts(
        shapely.segmentize(shapes, longest), return_index=True
    )
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    points, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    lon, lat = transformer.transform(*points.T)  # all at once: a call costs 10 µs
    stops = np.cumsum(np.bincount(ring_of_point, minlength=len(rings)))
    area = np.array(
        [
            abs(geod.polygon_area_perimeter(lon[start:stop], lat[start:stop])[0])
            for start, stop in zip(
                stops - np.diff(stops, prepend=0), stops, strict=True
            )
        ]
    )
    hole = np.diff(part_of_ring, prepend=-1) == 0  # a polygon's first ring is its edge
    shape_of_ring = shape_of_part[part_of_ring]
    area = np.bincount(shape_of_ring, np.where(hole, -area, area), len(shapes))
    return np.where(np.isfinite(area), area, np.nan)


@functools.lru_cache(maxsize=16)
def _geodetic(crs: object):
    """The way to longitude and latitude, the ellipsoid, and the longest edge."""
    crs = pyproj.CRS.from_user_input(crs)
    if crs.geodetic_crs is None:
        return None
    # To the CRS's own datum: a datum shift moves places, not areas.
    transformer = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    if crs.is_geographic:
        return transformer, crs.get_geod(), LONGEST_DEGREES
    metres = crs.axis_info[0].unit_conversion_factor
    return transformer, crs.get_geod(), LONGEST_M / metres
