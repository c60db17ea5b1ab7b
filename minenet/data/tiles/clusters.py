"""Mines that share tiles, gathered into clusters: what is downloaded and kept together.

After mining-net: each polygon claims the tiles around it, polygons that lie on each
other's tiles are one cluster, and its number follows from what it is made of, so that
the same polygons get the same number on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import geopandas
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely.geometry.base import BaseGeometry

from minenet.geo.world import Grid
from minenet.types import InputError

BUFFER_DEG = 0.01


def connected(shapes: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Returns the number of the cluster of each shape, `[N]` from 0.

    Two are linked if one's shape reaches into the other's box.

    Args:
        shapes: `[N]` geometries.
        boxes: `[N, 4]` the ground that each claims: west, south, east, north.
    """
    tree = shapely.STRtree(shapes)
    i, j = tree.query(shapely.box(*boxes.T), predicate="intersects")
    links = coo_array((np.ones(len(i)), (i, j)), shape=(len(shapes), len(shapes)))
    return connected_components(links, directed=False)[1]


def identity(country: str, footprint: BaseGeometry) -> int:
    """Returns a number below 2⁶² that names a cluster, the same on every machine.

    The first 64 bits of SHA-256 over country and footprint as JSON; 2⁶² leaves room in
    the signed integers of databases and arrays.
    """
    content = {"country": country, "footprint": footprint.__geo_interface__}
    text = json.dumps(content, sort_keys=True)
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) % 2**62


def make(
    polygons: geopandas.GeoDataFrame,
    *,
    grid: Grid | None = None,
    buffer_deg: float = BUFFER_DEG,
    country: str = "ISO3_CODE",
    countries: Sequence[str] = (),
) -> tuple[geopandas.GeoDataFrame, pd.DataFrame]:
    """Gathers polygons into clusters and lists the tiles of each.

    Args:
        polygons: mines, in any CRS.
        grid: of the tiles; that of the world if None.
        buffer_deg: ground around a polygon's extent that it claims too, in degrees.
        country: column of country codes.
        countries: codes to take; all if empty.

    Returns:
        Clusters with columns `cluster_id`, `country` (of most of its polygons),
        `polygons` (how many) and `geometry` (all of them), in EPSG:4326; and tiles with
        columns `cluster_id`, `tile_ix`, `tile_iy`. A tile may have several clusters.

    Raises:
        InputError: no CRS or column; no polygon of these countries; a buffer below 0.
    """
    grid, frame = grid or Grid(), _chosen(polygons, country, countries)
    if not 0 <= buffer_deg < 90:
        raise InputError(f"buffer_deg: {buffer_deg}, expected 0 to 90 degrees")
    shapes = frame.geometry.to_numpy()
    # The envelope of a buffer with square caps is the envelope, grown.
    grown = shapely.bounds(shapes) + buffer_deg * np.array([-1, -1, 1, 1])
    spans = grid.span(np.clip(grown, [-180, -90] * 2, [180, 90] * 2))
    first = np.array([grid.bounds(ix, iy) for ix, iy, _, _ in spans.tolist()])
    last = np.array([grid.bounds(ix, iy) for _, _, ix, iy in spans.tolist()])
    # West and north of the first tile, south and east of the last.
    labels = connected(shapes, np.where([1, 0, 0, 1], first, last))
    found, tiles = [], []
    for members in pd.Series(labels).groupby(labels).indices.values():
        footprint = _joined(shapes[members])
        code = frame[country].iloc[members].fillna("").mode().iloc[0]
        number = identity(code, footprint)
        found.append((number, code, len(members), footprint))
        tiles += [(number, ix, iy) for ix, iy in _claimed(spans[members])]
    columns = ["cluster_id", "country", "polygons", "geometry"]
    return (
        geopandas.GeoDataFrame(pd.DataFrame(found, columns=columns), crs=4326),
        pd.DataFrame(tiles, columns=["cluster_id", "tile_ix", "tile_iy"]),
    )


def _chosen(polygons, country, countries) -> geopandas.GeoDataFrame:
    source = polygons.attrs.get("source", "polygons")
    if polygons.crs is None:
        raise InputError(f"{source}: no CRS; give it one (ogr2ogr -a_srs)")
    if country not in polygons.columns:
        columns = ", ".join(c for c in polygons.columns if c != polygons.geometry.name)
        raise InputError(f"{source}: no column {country!r}; it has {columns}")
    frame = polygons[~(polygons.geometry.isna() | polygons.geometry.is_empty)]
    if countries:
        frame = frame[frame[country].isin(list(countries))]
    if frame.empty:
        known = ", ".join(sorted(map(str, polygons[country].dropna().unique()))[:12])
        raise InputError(
            f"{source}: no polygon of {', '.join(countries) or 'any country'}; "
            f"{country} has {known}"
        )
    return frame.to_crs(4326)


def _joined(shapes: np.ndarray) -> BaseGeometry:
    """A cluster of one keeps its own shape, more become one multipolygon."""
    parts = shapely.get_parts(shapes)
    return shapes[0] if len(shapes) == 1 else shapely.MultiPolygon(parts.tolist())


def _claimed(spans: np.ndarray) -> list[tuple[int, int]]:
    tiles = {
        (ix, iy)
        for first_ix, first_iy, last_ix, last_iy in spans.tolist()
        for ix in range(first_ix, last_ix + 1)
        for iy in range(first_iy, last_iy + 1)
    }
    return sorted(tiles)
