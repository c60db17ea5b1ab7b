"""Geometries that are not valid: what of them is an area, and how many there were."""

from __future__ import annotations

import numpy as np
import shapely

POLYGON, MULTIPOLYGON, COLLECTION = 3, 6, 7  # shapely's type numbers


def polygonal(shapes: np.ndarray) -> np.ndarray:
    """Returns shapes repaired where they are invalid, and of them what has an area.

    Args:
        shapes: `[N]` of any kind, None where there is none.

    Returns:
        `[N]` polygons and multipolygons, empty where nothing has an area.
    """
    shapes = shapely.force_2d(shapes)
    broken = ~(shapely.is_valid(shapes) | shapely.is_missing(shapes))
    # "structure": parts that overlap stay filled, as who drew them meant; the default
    # would cut a hole there.
    shapes[broken] = shapely.make_valid(
        shapes[broken], method="structure", keep_collapsed=False
    )
    kinds = shapely.get_type_id(shapes)
    for i in np.flatnonzero((kinds != POLYGON) & (kinds != MULTIPOLYGON)):
        parts = [
            part
            for part in shapely.get_parts(shapely.get_parts(shapes[i]))
            if shapely.get_type_id(part) == POLYGON
        ]
        shapes[i] = shapely.MultiPolygon(parts)
    return shapes


def faults(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tells of each shape whether it must be repaired, and whether it has no area.

    >>> bow_tie = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    >>> broken, empty = faults(np.array([bow_tie, shapely.Point(0, 0), None]))
    >>> broken.tolist(), empty.tolist()
    ([True, False, False], [False, True, True])
    """
    shapes = np.asarray(shapes, object)
    broken = ~(shapely.is_valid(shapes) | shapely.is_missing(shapes))
    areas = shapely.area(polygonal(shapes))
    return broken, ~(areas > 0)
