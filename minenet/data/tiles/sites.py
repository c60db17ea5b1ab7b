"""Sites gathered into groups, and the boxes to download around them.

After Detecting_Mining_Areas_India: neighbouring polygons become one image, because a
download a polygon would be thousands of images that show the same ground.
"""

from __future__ import annotations

import geopandas
import numpy as np
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from minenet.types import InputError

EARTH_KM = 6373.0
MARGIN_DEG = 0.02
STARTS, STEPS = 10, 300


def centres(polygons: geopandas.GeoDataFrame) -> np.ndarray:
    """Returns lon, lat `[N, 2]` of each site: the mean of its exterior vertices.

    Raises:
        InputError: no CRS, or a feature without a polygon.
    """
    points, site = _vertices(polygons)
    return _means(points, site, len(polygons))


def group(centres: np.ndarray, *, count: int, seed: int = 0) -> np.ndarray:
    """Returns the group of each site `[N]`, from 0 in the order of the sites.

    k-means (Lloyd 1982) on the sphere, so that a degree counts what it measures on the
    ground, begun by k-means++ (Arthur and Vassilvitskii 2007); the best of ten starts.
    No group is empty.

    Args:
        centres: `[N, 2]` lon, lat in degrees.
        count: of groups.
        seed: draws the starts.

    Raises:
        InputError: more groups than different places.
    """
    lon, lat = np.radians(np.asarray(centres, float)).T
    points = np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1
    )
    places = len(np.unique(points, axis=0))
    if not 1 <= count <= places:
        raise InputError(
            f"count: {count} groups, expected 1 to {places}, as many as sites have "
            "places"
        )
    generator = np.random.default_rng(seed)
    runs = [_lloyd(points, _starts(points, count, generator)) for _ in range(STARTS)]
    labels = min(runs, key=lambda run: run[1])[0]
    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[labels]


def extent_boxes(
    polygons: geopandas.GeoDataFrame,
    groups: np.ndarray,
    *,
    margin_deg: float = MARGIN_DEG,
) -> geopandas.GeoDataFrame:
    """Returns a box a group: the extent of its polygons and a margin.

    Args:
        polygons: in any CRS.
        groups: `[N]` of each polygon.
        margin_deg: on each side, in degrees; 0.02° are about 2.2 km.

    Returns:
        Columns `group`, `polygons` (how many) and `geometry`, in EPSG:4326.
    """
    names, of, shapes = _grouped(polygons, groups)
    bounds = pd.DataFrame(shapely.bounds(shapes)).groupby(of)
    low, high = bounds.min()[[0, 1]], bounds.max()[[2, 3]]
    return _boxes(names, of, low.to_numpy() - margin_deg, high.to_numpy() + margin_deg)


def square_boxes(
    polygons: geopandas.GeoDataFrame,
    groups: np.ndarray,
    *,
    half_km: tuple[float, float] = (5.0, 5.0),
) -> geopandas.GeoDataFrame:
    """Returns a box of one size a group, around the mean of all its vertices.

    Args:
        polygons: in any CRS.
        groups: `[N]` of each polygon.
        half_km: from the centre to the east and to the north.

    Returns:
        As `extent_boxes`. Polygons may stick out, see `outside`.
    """
    names, of, _ = _grouped(polygons, groups)
    points, site = _vertices(polygons)
    middle = _means(points, of[site], len(names))
    degrees = np.degrees(np.array(half_km) / EARTH_KM)
    half = np.stack(
        [degrees[0] / np.cos(np.radians(middle[:, 1])), np.full(len(names), degrees[1])]
    )
    return _boxes(names, of, middle - half.T, middle + half.T)


def outside(
    polygons: geopandas.GeoDataFrame, groups: np.ndarray, boxes: geopandas.GeoDataFrame
) -> list:
    """Returns the groups with a polygon that sticks out of the group's box."""
    names, of, shapes = _grouped(polygons, groups)
    box = boxes.set_index("group").geometry.loc[names].to_numpy()
    return sorted(set(names[of[~shapely.covers(box[of], shapes)]].tolist()))


def _vertices(polygons: geopandas.GeoDataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Exterior vertices `[M, 2]`, a ring's first not twice, and the site of each."""
    shapes = _geographic(polygons)
    parts, site = shapely.get_parts(shapes, return_index=True)
    rings = shapely.get_exterior_ring(parts)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    if lonely := set(range(len(shapes))) - set(site[ring].tolist()):
        source = polygons.attrs.get("source", "polygons")
        raise InputError(f"{source}: feature {min(lonely)} has no polygon; drop it")
    repeat = np.diff(ring, append=-1) != 0
    return points[~repeat], site[ring[~repeat]]


def _geographic(polygons: geopandas.GeoDataFrame) -> np.ndarray:
    if polygons.crs is None:
        source = polygons.attrs.get("source", "polygons")
        raise InputError(f"{source}: no CRS; give it one (ogr2ogr -a_srs)")
    return polygons.geometry.to_crs(4326).to_numpy()


def _grouped(polygons, groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if len(groups) != len(polygons):
        raise InputError(
            f"groups: {len(groups)} for {len(polygons)} polygons, expected one each"
        )
    names, of = np.unique(np.asarray(groups), return_inverse=True)
    return names, of, _geographic(polygons)


def _means(points: np.ndarray, of: np.ndarray, count: int) -> np.ndarray:
    sums = [np.bincount(of, axis, count) for axis in points.T]
    return np.stack(sums, 1) / np.bincount(of, minlength=count)[:, None]


def _boxes(names, of, low, high) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(
        {"group": names, "polygons": np.bincount(of)},
        geometry=shapely.box(*low.T, *high.T),
        crs=4326,
    )


def _starts(points: np.ndarray, count: int, generator) -> np.ndarray:
    """Chosen one by one: of a few drawn by squared distance, what helps most."""
    chosen = [int(generator.integers(len(points)))]
    away = ((points - points[chosen[0]]) ** 2).sum(1)
    draws = 2 + int(np.log(count))
    for _ in range(count - 1):
        drawn = generator.choice(len(points), draws, p=away / away.sum())
        far = ((points[drawn, None] - points) ** 2).sum(-1)
        left = np.minimum(away, far)
        best = int(np.argmin(left.sum(1)))
        chosen.append(int(drawn[best]))
        away = left[best]
    return points[chosen]


def _lloyd(points: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, float]:
    labels = np.full(len(points), -1)
    for _ in range(STEPS):
        away, nearest = cKDTree(means).query(points)
        for lost in np.setdiff1d(np.arange(len(means)), nearest):
            # A mean that lost its sites takes the one that lies farthest off.
            alone = np.bincount(nearest, minlength=len(means))[nearest] == 1
            farthest = np.argmax(np.where(alone, -1, away))
            nearest[farthest], away[farthest] = lost, 0.0
        if (nearest == labels).all():
            break
        labels = nearest
        sums = np.stack([np.bincount(labels, axis) for axis in points.T], 1)
        means = sums / np.bincount(labels)[:, None]
    return labels, float((away**2).sum())
