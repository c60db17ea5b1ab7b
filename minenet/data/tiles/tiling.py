"""What imagery of polygons to fetch: their clusters, and a row for each image.

Three ways, one table: clusters on the tiles of the world (mining-net), sites in groups
with a box each (Detecting_Mining_Areas_India), an area of interest in cells
(asm-mapping-deeplearning). What fetches imagery needs only the table.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import geopandas
import numpy as np
import pandas as pd

from minenet import files
from minenet.data.tiles import clusters, sites
from minenet.geo import aoi, vector, world
from minenet.types import InputError

TILE = ("tile_ix", "tile_iy")
BOX = ("west", "south", "east", "north")
WORLD = world.Grid()
COLUMNS = ("cluster", *TILE, "year", *BOX)


class Tiling(NamedTuple):
    """Clusters, and the images that show them.

    Attributes:
        clusters: a row a cluster, in EPSG:4326: `cluster`, its number; what the way
            tells of it; `geometry`.
        tiles: a row an image: `COLUMNS`. The box is in degrees; `tile_ix` and `tile_iy`
            are of the world's grid, -1 where the box is none of its tiles; `year` is -1
            where none was asked for. A tile that several clusters claim has a row for
            each.
    """

    clusters: geopandas.GeoDataFrame
    tiles: pd.DataFrame


def write(
    out: str | os.PathLike[str],
    polygons: geopandas.GeoDataFrame,
    *,
    how: str = "clusters",
    years: Sequence[int] = (),
    **options: Any,
) -> Tiling:
    """Writes `clusters.gpkg`, to look at, and `tiles.csv`, to fetch by; returns both.

    `tiles.csv` appears last: where it is, all is there.

    Args:
        out: folder.
        polygons: mines or an area of interest, in any CRS.
        how: one of `WAYS`.
        years: of the images; each tile gets a row a year.
        **options: of the way: the keyword arguments of `by_cluster`, `by_site`,
            `by_cell`.

    Raises:
        InputError: an unknown way or option; years that are none; polygons that the way
            cannot take; no space, no permission.
    """
    if how not in WAYS:
        raise InputError(f"how: {how!r}, expected one of {', '.join(WAYS)}")
    known = dict(list(inspect.signature(WAYS[how]).parameters.items())[1:])
    if unknown := [name for name in options if name not in known]:
        raise InputError(
            f"{unknown[0]}: no option of {how!r}; it has {', '.join(known)}"
        )
    needed = [name for name, each in known.items() if each.default is each.empty]
    if missing := [name for name in needed if name not in options]:
        raise InputError(f"{how!r} needs {' and '.join(missing)}")
    made = each_year(WAYS[how](polygons, **options), years)
    out = Path(out)
    with files.replacing(out / "tiles.csv") as part:
        made.tiles.to_csv(part, index=False)
        # Heights, which KML brings along, tell nothing here.
        flat = made.clusters.set_geometry(made.clusters.geometry.force_2d())
        vector.write(out / "clusters.gpkg", flat, layer="clusters")
    return made


def by_cluster(
    polygons: geopandas.GeoDataFrame,
    *,
    buffer_deg: float = clusters.BUFFER_DEG,
    country: str | None = None,
    countries: Sequence[str] = (),
    resolution: float = WORLD.resolution,
    size: int = WORLD.size,
) -> Tiling:
    """Returns polygons that share tiles as clusters, with the tiles that they claim.

    Args:
        polygons: mines, in any CRS.
        buffer_deg: ground around a polygon's extent that it claims too, in degrees.
        country: column of country codes, if there is one.
        countries: codes to take; all if empty.
        resolution: side of a pixel of the world's grid in degrees.
        size: side of a tile in pixels.
    """
    if countries and country is None:
        raise InputError("countries: give country too, the column of the codes")
    if country is None:
        polygons, country = polygons.assign(country=""), "country"
    grid = world.Grid(resolution, size)
    found, tiles = clusters.make(
        polygons, grid=grid, buffer_deg=buffer_deg, country=country, countries=countries
    )
    tiles = tiles.rename(columns={"cluster_id": "cluster"})
    boxes = [grid.bounds(ix, iy) for ix, iy in tiles[list(TILE)].to_numpy().tolist()]
    tiles[list(BOX)] = np.reshape(boxes, (-1, 4))
    return Tiling(found.rename(columns={"cluster_id": "cluster"}), tiles)


def by_site(
    polygons: geopandas.GeoDataFrame,
    *,
    count: int | None = None,
    column: str | None = None,
    margin_deg: float = sites.MARGIN_DEG,
    half_km: tuple[float, float] | None = None,
    seed: int = 0,
) -> Tiling:
    """Returns groups of neighbouring sites as clusters, with one box each.

    Args:
        polygons: sites, in any CRS.
        count: of groups, by k-means. One of the two:
        column: that tells the group, a whole number.
        margin_deg: around the extent of a group, in degrees.
        half_km: from a box's centre to the east and to the north, for boxes of one size
            instead; the clusters' column `outside` tells where a polygon sticks out.
        seed: of k-means.
    """
    if (count is None) == (column is None):
        raise InputError("count, column: give one of the two to say what is a group")
    if column is None:
        groups = sites.group(sites.centres(polygons), count=count, seed=seed)
    else:
        groups = _whole(polygons, column)
    if half_km is None:
        found = sites.extent_boxes(polygons, groups, margin_deg=margin_deg)
    else:
        found = sites.square_boxes(polygons, groups, half_km=half_km)
    stray = found["group"].isin(sites.outside(polygons, groups, found))
    found = found.assign(outside=stray).rename(columns={"group": "cluster"})
    return Tiling(found, _boxes(found))


def by_cell(polygons: geopandas.GeoDataFrame, *, size: int, gsd_m: float) -> Tiling:
    """Returns the cells of a regular grid over an area, each a cluster of one box.

    Args:
        polygons: the area of interest, in any CRS.
        size: side of a cell in pixels.
        gsd_m: metres a pixel.
    """
    found = aoi.grid(polygons, size=size, gsd_m=gsd_m)
    found = found.rename(columns={"tile": "cluster"})
    return Tiling(found, _boxes(found))


def each_year(tiling: Tiling, years: Sequence[int]) -> Tiling:
    """Returns the tiling with a row a tile and year, year by year within a tile."""
    whole = sorted({int(year) for year in years if int(year) == year > 0})
    if len(whole) < len(years):
        raise InputError(f"years: {list(years)}, expected different whole numbers")
    tiles = tiling.tiles.merge(pd.DataFrame({"year": whole or [-1]}), how="cross")
    return tiling._replace(tiles=tiles[list(COLUMNS)])


def _boxes(found: geopandas.GeoDataFrame) -> pd.DataFrame:
    boxes = found.geometry.bounds.set_axis(BOX, axis=1)
    return found[["cluster"]].assign(**dict.fromkeys(TILE, -1)).join(boxes)


def _whole(polygons: geopandas.GeoDataFrame, column: str) -> np.ndarray:
    source = polygons.attrs.get("source", "polygons")
    if column not in polygons.columns:
        columns = ", ".join(c for c in polygons.columns if c != polygons.geometry.name)
        raise InputError(f"{source}: no column {column!r}; it has {columns}")
    numbers = pd.to_numeric(polygons[column], errors="coerce").to_numpy(float)
    if not (np.isfinite(numbers) & (numbers == np.rint(numbers))).all():
        raise InputError(
            f"{source}: {column} must hold a whole number for each polygon"
        )
    return numbers.astype(np.int64)


WAYS: dict[str, Callable[..., Tiling]] = {
    "clusters": by_cluster,
    "sites": by_site,
    "aoi": by_cell,
}
