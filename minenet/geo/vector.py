"""Polygons: from any vector file onto a raster's grid, and from a map to a GeoPackage."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import rasterio.features
import rasterio.warp
import shapely
from affine import Affine
from pyogrio.errors import DataLayerError, DataSourceError, FieldError
from rasterio.crs import CRS

from minenet.files import replacing
from minenet.geo.area import geodesic_area_m2
from minenet.geo.polygons import polygonize
from minenet.types import InputError

__all__ = ["geodesic_area_m2", "polygonize", "rasterize", "read", "write"]

POLYGON, MULTIPOLYGON, COLLECTION = 3, 6, 7  # shapely's type numbers


def read(
    path: str | os.PathLike[str], *, layer: str | None = None
) -> geopandas.GeoDataFrame:
    """Reads the polygons of a vector file, with their attributes.

    Args:
        path: any vector file that GDAL reads: GeoPackage, GeoJSON, shapefile, …
        layer: needed where the file has several.

    Raises:
        InputError: unreadable; no such layer; several and none chosen; no polygons.
    """
    name = os.fspath(path)
    if not Path(name).exists() and "://" not in name and not name.startswith("/vsi"):
        raise InputError(f"{name}: no such vector file; check the path")
    try:
        layers = [str(row[0]) for row in pyogrio.list_layers(path)]
        if layer is None and len(layers) > 1:
            raise InputError(
                f"{name}: several layers, name one as layer: {', '.join(layers)}"
            )
        if layer is not None and layer not in layers:
            raise InputError(f"{name}: no layer {layer!r}; it has {', '.join(layers)}")
        frame = geopandas.read_file(path, layer=layer)
    except (DataSourceError, DataLayerError, FieldError, OSError) as error:
        raise InputError(
            f"{name}: not a vector file that GDAL can read "
            f"({' '.join(str(error).split())}); give GeoPackage, GeoJSON or a shapefile"
        ) from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise InputError(f"{name}: a table without geometry; give polygons")
    if frame.empty:
        _refuse_silent_features(name)
    elif not _has_polygons(frame.geometry):
        kinds = ", ".join(sorted(set(frame.geom_type.dropna()))) or "no geometry"
        raise InputError(f"{name}: {kinds} where polygons are needed")
    frame.attrs["source"] = name
    return frame


def rasterize(
    polygons: geopandas.GeoDataFrame,
    *,
    crs: CRS | None,
    affine: Affine,
    height: int,
    width: int,
    attribute: str | None = None,
    classes: Mapping[object, int] | None = None,
    all_touched: bool = False,
) -> np.ndarray:
    """Burns polygons onto a grid.

    Polygons are brought to the grid's CRS, invalid ones repaired; where two overlap the
    later wins. A pixel belongs to a polygon that holds its centre.

    Args:
        polygons: in any CRS.
        crs: of the grid; None if neither has one and coordinates are the grid's own.
        affine: of the grid, pixel (col, row) → CRS (x, y); of a window, to burn that.
        height: in pixels.
        width: in pixels.
        attribute: column that tells the class; without it every polygon is 1.
        classes: value of the attribute → id; without it the attribute is the id.
        all_touched: whether every pixel that a polygon touches belongs to it.

    Returns:
        Ids `[H, W]` uint8, 0 where no polygon lies.

    Raises:
        InputError: no CRS on one side only; an attribute or value that is not known.
    """
    source = polygons.attrs.get("source", "polygons")
    ids = _ids(polygons, attribute, classes, source)
    shapes = _on_grid(polygons.geometry, crs, affine, height, width, source)
    keep = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    labels = np.zeros((height, width), np.uint8)
    if keep.any():
        rasterio.features.rasterize(
            zip(shapes[keep], ids[keep].tolist(), strict=True),
            out=labels,
            transform=affine,
            all_touched=all_touched,
        )
    return labels


def write(
    path: str | os.PathLike[str], frame: geopandas.GeoDataFrame, *, layer: str
) -> None:
    """Writes polygons to a GeoPackage, whole or not at all; none and no CRS is fine.

    Raises:
        InputError: the file cannot be written: no space, no permission.
    """
    many = (frame.geom_type == "MultiPolygon").any()
    try:
        with replacing(path) as part, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            pyogrio.write_dataframe(
                frame,
                part,
                layer=layer,
                driver="GPKG",
                geometry_type="MultiPolygon" if many else "Polygon",
                promote_to_multi=many,
            )
    except (DataSourceError, DataLayerError, FieldError, OSError) as error:
        raise InputError(
            f"{os.fspath(path)}: cannot be written ({' '.join(str(error).split())}); "
            "see that the disk has space left and the folder may be written to"
        ) from error


def _refuse_silent_features(name: str) -> None:
    """GDAL skips GeoJSON features without a type, and says nothing."""
    if Path(name).suffix.lower() not in {".json", ".geojson"}:
        return
    try:
        count = len(json.loads(Path(name).read_text())["features"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if count:
        raise InputError(
            f"{name}: GDAL reads none of its {count} features; each needs "
            '"type": "Feature"'
        )


def _has_polygons(geometry: geopandas.GeoSeries) -> bool:
    kinds = set(shapely.get_type_id(geometry.to_numpy()).tolist())
    return bool(kinds & {POLYGON, MULTIPOLYGON, COLLECTION})


def _ids(polygons, attribute, classes, source) -> np.ndarray:
    if attribute is None:
        return np.ones(len(polygons), np.uint8)
    if attribute not in polygons.columns:
        columns = ", ".join(c for c in polygons.columns if c != polygons.geometry.name)
        raise InputError(f"{source}: no attribute {attribute!r}; it has {columns}")
    values = polygons[attribute].tolist()
    if classes is None:
        classes = {i: i for i in range(256)}
    unknown = sorted({repr(v) for v in values if v not in classes})
    if unknown:
        raise InputError(
            f"{source}: {attribute} has values without a class: "
            f"{', '.join(unknown[:8])}; known are {', '.join(map(repr, classes))}"
        )
    return np.array([classes[v] for v in values], np.uint8)


def _on_grid(geometry, crs, affine, height, width, source) -> np.ndarray:
    """The polygonal parts in the grid's CRS, None for those surely outside."""
    if (geometry.crs is None) != (crs is None):
        bare = source if geometry.crs is None else "the raster"
        raise InputError(f"{bare}: no CRS, so polygons and raster cannot be matched")
    if crs is not None:
        geometry = geometry.to_crs(crs.to_wkt())
    shapes = geometry.to_numpy().copy()
    broken = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken])
    return shapes
