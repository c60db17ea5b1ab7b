"""Areas on the ellipsoid, the same whatever CRS a polygon is drawn in."""

from __future__ import annotations

import functools

import numpy as np
import pyproj
import shapely

SEGMENT = {"degree": 0.01, "metre": 1000.0}


def geodesic_area_m2(geometry, crs) -> float:
    """Returns the area of a polygon in m² on the ellipsoid of its CRS.

    After Karney 2013 through `pyproj.Geod`. Edges are straight in the CRS, not
    geodesics, so long ones are cut into pieces of about a kilometre first.

    Args:
        geometry: shapely polygon or multipolygon, holes are taken off.
        crs: anything pyproj reads, or None.

    Returns:
        m²; NaN without a CRS, or with one that is not on Earth.
    """
    if crs is None:
        return float("nan")
    transformer, geod, longest = _geodetic(pyproj.CRS.from_user_input(crs).to_wkt())
    if transformer is None:
        return float("nan")
    area = 0.0
    for part in shapely.get_parts(shapely.segmentize(geometry, longest)):
        rings = shapely.get_rings(part)
        for i, ring in enumerate(rings):
            lon, lat = transformer.transform(*shapely.get_coordinates(ring).T)
            size = abs(geod.polygon_area_perimeter(lon, lat)[0])
            area += size if i == 0 else -size
    return area if np.isfinite(area) else float("nan")


@functools.lru_cache(maxsize=16)
def _geodetic(wkt: str):
    crs = pyproj.CRS.from_wkt(wkt)
    if crs.geodetic_crs is None:
        return None, None, None
    transformer = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    unit = crs.axis_info[0]
    longest = 0.01 if crs.is_geographic else 1000 / unit.unit_conversion_factor
    return transformer, crs.get_geod(), longest
