"""From a class map to polygons with their areas and probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import geopandas
import numpy as np
import rasterio.features
import shapely
import shapely.geometry
from affine import Affine
from rasterio.crs import CRS
from scipy import ndimage

from minenet.geo.area import geodesic_areas_m2
from minenet.types import IGNORE

ROWS = 256
"""Rows that are looked at together where a whole scene would take too much memory."""


def polygonize(
    labels: np.ndarray,
    *,
    affine: Affine,
    crs: CRS | None,
    class_names: Mapping[int, str] | Sequence[str],
    probability: np.ndarray | None = None,
    min_area_m2: float = 0.0,
    simplify_m: float = 0.0,
    background: Sequence[int] = (0, IGNORE),
) -> geopandas.GeoDataFrame:
    """Returns one polygon for each patch of a class, patches joined by pixels' sides.

    Without simplification the polygons cover their pixels exactly. With it, the area
    between the outline and its replacement stays below `simplify_m`² at each dropped
    corner (Visvalingam and Whyatt 1993), and polygons that share an edge still do.
    It measures area, so it may run on pixels and hold on the ground as well.

    Args:
        labels: class ids `[H, W]` uint8.
        affine: pixel (col, row) → CRS (x, y).
        crs: of the polygons; None where the map has none. Then `area_m2` is NaN and
            `min_area_m2` and `simplify_m` do nothing, as there is no metre.
        class_names: id → name, in the order of the probability's bands. A sequence
            names the ids 0, 1, …; a single name is that of id 1, the binary task.
        probability: `[H, W]` or `[H, W, K]` float, a band per class; NaN is left out.
        min_area_m2: patches smaller than this on the ground are dropped.
        simplify_m: about the size of the corners to smooth away; 0 keeps every pixel.
        background: ids that are no objects.

    Returns:
        Columns `class`, `mean_probability`, `max_probability` (both NaN without
        probability), `area_m2` (geodesic, of the polygon as written) and `geometry`;
        ordered by class id, then from the top of the scene. No patch, no rows.

    Raises:
        ValueError: an id without a name, or not one probability band per name.
    """
    names = _names(class_names)
    patches, ids = _patches(labels, background)
    if unnamed := set(ids.tolist()) - set(names):
        raise ValueError(f"labels has ids without a name: {unnamed}; named: {names}")
    mean, most = _probabilities(patches, ids, probability, list(names))
    shapes = _outlines(patches, len(ids))
    area = _areas(shapes, affine, crs)
    keep = ~(area < min_area_m2)  # NaN stays
    shapes, area = shapes[keep], area[keep]
    if simplify_m > 0 and crs is not None and len(shapes):
        row, col = labels.shape[0] // 2, labels.shape[1] // 2
        middle = np.array([shapely.box(col, row, col + 1, row + 1)])
        (pixel_m2,) = _areas(middle, affine, crs)
        shapes = _simplified(shapes, simplify_m / pixel_m2**0.5)
        area = _areas(shapes, affine, crs)
    return geopandas.GeoDataFrame(
        {
            "class": np.array([names[i] for i in ids[keep].tolist()], object),
            "mean_probability": mean[keep],
            "max_probability": most[keep],
            "area_m2": area,
        },
        geometry=_placed(shapes, affine),
        crs=None if crs is None else crs.to_wkt(),
    )


def _names(class_names: Mapping[int, str] | Sequence[str]) -> dict[int, str]:
    if isinstance(class_names, Mapping):
        return dict(class_names)
    return dict(enumerate(class_names, start=1 if len(class_names) == 1 else 0))


def _patches(
    labels: np.ndarray, background: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers patches from 1: `[H, W]` int32, 0 elsewhere, and the id of each."""
    rows = range(0, len(labels), ROWS)
    values = set().union(*(np.unique(labels[r : r + ROWS]).tolist() for r in rows))
    patches, ids = None, []
    for value in sorted(values.difference(background)):
        here = labels == value
        found, count = ndimage.label(here, output=np.int32)
        if patches is None:  # most maps have one class: no second array of this size
            patches = found
        else:
            np.add(found, len(ids), out=patches, where=here)
        ids += [value] * count
    if patches is None:
        patches = np.zeros(labels.shape, np.int32)
    return patches, np.array(ids, int)


def _outlines(patches: np.ndarray, count: int) -> np.ndarray:
    """The polygon of each patch in pixels, (col, row)."""
    shapes = np.empty(count, object)
    mask = patches > 0
    for shape, patch in rasterio.features.shapes(patches, mask=mask, connectivity=4):
        shapes[int(patch) - 1] = shapely.geometry.shape(shape)
    return shapes


def _simplified(shapes: np.ndarray, tolerance: float) -> np.ndarray:
    # Neighbours must share vertices, not just lie on one line: a vertex per pixel.
    nodes = shapely.transform(shapely.segmentize(shapes, 1.0), np.round)
    return shapely.coverage_simplify(nodes, tolerance)


def _placed(shapes: np.ndarray, affine: Affine) -> np.ndarray:
    def place(points):
        return np.stack(affine @ points.T, axis=-1)

    return shapely.transform(shapes, place)


def _areas(shapes: np.ndarray, affine: Affine, crs: CRS | None) -> np.ndarray:
    return geodesic_areas_m2(
        _placed(shapes, affine), None if crs is None else crs.to_wkt()
    )


def _probabilities(
    patches: np.ndarray,
    ids: np.ndarray,
    probability: np.ndarray | None,
    names: list[int],
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the maximum over each patch of its own class's probability."""
    total, count = np.zeros(len(ids)), np.zeros(len(ids))
    most = np.full(len(ids), -np.inf)
    if probability is not None:
        if probability.ndim == 2:
            probability = probability[..., None]
        bands = probability.shape[-1]
        if probability.shape[:2] != patches.shape or bands not in (1, len(names)):
            raise ValueError(
                f"probability must be {patches.shape} with a band for each of "
                f"{len(names)} names, got {probability.shape}"
            )
        band = [names.index(i) if bands > 1 else 0 for i in ids.tolist()]
        band = np.array(band, int)
        for row in range(0, len(patches), ROWS):
            rows, cols = np.nonzero(patches[row : row + ROWS])
            patch = patches[row + rows, cols] - 1
            value = probability[row + rows, cols, band[patch]].astype(float)
            known = np.isfinite(value)
            np.add.at(total, patch[known], value[known])
            np.add.at(count, patch[known], 1)
            np.maximum.at(most, patch[known], value[known])
    nothing = count == 0
    mean = total / np.where(nothing, 1, count)
    return np.where(nothing, np.nan, mean), np.where(nothing, np.nan, most)
