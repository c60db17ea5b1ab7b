"""An area of interest cut into the rectangles that a download or a map goes by."""

from __future__ import annotations

import geopandas
import numpy as np
import shapely

from minenet.types import InputError

METRES_A_DEGREE = 111_320.0, 110_540.0
"""Of longitude and of latitude, at the equator."""


def grid(
    area: geopandas.GeoDataFrame, *, size: int, gsd_m: float
) -> geopandas.GeoDataFrame:
    """Returns the cells of a regular grid that an area reaches into.

    As asm-mapping-deeplearning tiles its areas: cells go from the western edge
    eastwards and from the northern edge southwards, and metres become degrees by the
    figures of the equator. Away from it a cell is narrower on the ground, never wider,
    so a tile of `size` pixels always covers its cell.

    Args:
        area: polygons, in any CRS.
        size: side of a cell in pixels.
        gsd_m: metres a pixel.

    Returns:
        Columns `tile` (0, 1, …), `row`, `col` and `geometry`, in EPSG:4326, row by row.

    Raises:
        InputError: no CRS, no area, or a side that is not above 0.

    >>> area = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    >>> len(grid(area, size=1000, gsd_m=60))
    4
    """
    if not (size > 0 and gsd_m > 0):
        raise InputError(f"size: {size}, gsd_m: {gsd_m}, expected numbers above 0")
    if area.crs is None:
        raise InputError("area of interest: no CRS; give it one (ogr2ogr -a_srs)")
    shape = shapely.union_all(shapely.make_valid(area.geometry.to_crs(4326).to_numpy()))
    if shape.is_empty:
        raise InputError("area of interest: empty; give polygons")
    west, south, east, north = shape.bounds
    wide, high = (size * gsd_m / metres for metres in METRES_A_DEGREE)
    rows = np.arange(max(1, np.ceil((north - south) / high)), dtype=int)
    cols = np.arange(max(1, np.ceil((east - west) / wide)), dtype=int)
    row, col = (each.ravel() for each in np.meshgrid(rows, cols, indexing="ij"))
    left, top = west + col * wide, north - row * high
    cells = shapely.box(left, top - high, left + wide, top)
    shapely.prepare(shape)
    keep = shapely.intersects(shape, cells)
    return geopandas.GeoDataFrame(
        {"tile": np.arange(keep.sum()), "row": row[keep], "col": col[keep]},
        geometry=cells[keep],
        crs=4326,
    )
