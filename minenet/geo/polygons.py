"""From a class map to polygons with areas and probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import geopandas
import numpy as np
import rasterio.features
import shapely
import shapely.affinity
from affine import Affine
from rasterio.crs import CRS
from scipy import ndimage

from minenet.geo.area import geodesic_area_m2
from minenet.types import IGNORE

COLUMNS = ["class", "mean_probability", "max_probability", "area_m2"]


def polygonize(
    labels: np.ndarray,
    *,
    affine: Affine,
    crs: CRS | None,
    class_names: Sequence[str] | Mapping[int, str],
    probability: np.ndarray | None = None,
    min_area_m2: float = 0.0,
    simplify_m: float = 0.0,
    background: Sequence[int] = (0, IGNORE),
) -> geopandas.GeoDataFrame:
    """Returns one polygon for each connected patch of a class.

    Args:
        labels: class ids `[H, W]` uint8.
        affine: pixel (col, row) → CRS (x, y).
        crs: or None.
        class_names: id → name, in the order of the probability's bands. A sequence
            names ids 0, 1, …; one lone name is id 1, as in a binary task.
        probability: `[H, W]` or `[H, W, K]` float; NaN does not count.
        min_area_m2: smaller patches are dropped. Not applied without a CRS.
        simplify_m: about the size of detail to remove. Not applied without a CRS.
        background: ids that are no objects.

    Returns:
        A frame with class, mean_probability, max_probability, area_m2 (geodesic; NaN
        without a CRS) and geometry.
    """
    names = _names(class_names)
    patches, ids = _patches(labels, background)
    shapes = np.array(
        [None] * len(ids), dtype=object
    )
    for shape, patch in rasterio.features.shapes(patches, mask=patches > 0):
        shapes[int(patch) - 1] = shapely.geometry.shape(shape)
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken])
    mean, most = _probabilities(patches, ids, probability, names)
    pixel = geodesic_area_m2(_placed([shapely.box(0, 0, *labels.shape[::-1])], affine)[0], crs)
    pixel /= labels.size
    area = np.array([geodesic_area_m2(s, crs) for s in _placed(shapes, affine)])
    keep = ~(area < min_area_m2)
    shapes, ids, area, mean, most = (x[keep] for x in (shapes, ids, area, mean, most))
    if simplify_m > 0 and len(shapes) and np.isfinite(pixel):
        nodes = shapely.transform(shapely.segmentize(shapes, 1.0), np.round)
        shapes = shapely.coverage_simplify(nodes, simplify_m / pixel**0.5)
        area = np.array([geodesic_area_m2(s, crs) for s in _placed(shapes, affine)])
    return geopandas.GeoDataFrame(
        {
            "class": np.array([names.get(i, str(i)) for i in ids.tolist()], object),
            "mean_probability": mean,
            "max_probability": most,
            "area_m2": area.astype(float),
        },
        geometry=_placed(shapes, affine),
        crs=None if crs is None else crs.to_wkt(),
    )


def _names(class_names) -> dict[int, str]:
    if isinstance(class_names, Mapping):
        return dict(class_names)
    return dict(enumerate(class_names, start=int(len(class_names) == 1)))


def _placed(shapes, affine: Affine) -> np.ndarray:
    def place(points):
        return np.stack(affine @ points.T, axis=-1)

    return shapely.transform(np.asarray(shapes, object), place)


def _patches(labels, background) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the patches from 1; returns `[H, W]` int32 and the class id of each."""
    patches, ids = np.zeros(labels.shape, np.int32), []
    for value in np.unique(labels):
        if value in background:
            continue
        found, count = ndimage.label(labels == value)
        patches += np.where(found, found + len(ids), 0).astype(np.int32)
        ids += [int(value)] * count
    return patches, np.array(ids, int)


def _probabilities(patches, ids, probability, names):
    if probability is None:
        nothing = np.full(len(ids), np.nan)
        return nothing, nothing
    probability = probability.reshape(*patches.shape, -1)
    band = {value: place for place, value in enumerate(names)}
    total, count = np.zeros(len(ids) + 1), np.zeros(len(ids) + 1)
    most = np.full(len(ids) + 1, -np.inf)
    for row, values in zip(patches, probability, strict=True):
        where = np.flatnonzero(row)
        patch = row[where]
        value = values[where, [band.get(i, 0) for i in ids[patch - 1].tolist()]]
        known = np.isfinite(value)
        patch, value = patch[known], value[known].astype(float)
        np.add.at(total, patch, value)
        np.add.at(count, patch, 1)
        np.maximum.at(most, patch, value)
    with np.errstate(invalid="ignore"):
        mean = total / count
    return mean[1:], np.where(np.isfinite(most), most, np.nan)[1:]
