"""Polygons: from any vector file onto a grid, and from a map to a GeoPackage."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import geopandas
import numpy as np
import pyproj
import rasterio.features
import rasterio.warp
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from minenet.files import replacing
from minenet.geo import handles
from minenet.geo.area import geodesic_area_m2
from minenet.geo.polygons import polygonize
from minenet.geo.repair import COLLECTION, MULTIPOLYGON, POLYGON, polygonal
from minenet.types import IGNORE, InputError, UnreadableError

LARGEST_JSON = 256 << 20
"""Bytes; a GeoJSON beyond it is not read a second time to count its features."""

__all__ = ["geodesic_area_m2", "ids", "polygonize", "rasterize", "read", "write"]


def read(
    path: str | os.PathLike[str], *, layer: str | None = None
) -> geopandas.GeoDataFrame:
    """Reads the polygons of a vector file, with their attributes.

    Args:
        path: any vector file that GDAL reads: GeoPackage, GeoJSON, shapefile, …
        layer: needed where the file has several.

    Returns:
        The features, `attrs["source"]` with the file's name and `attrs["dropped"]` with
        the number of features of a GeoJSON that GDAL passed over without a word.

    Raises:
        UnreadableError: it is missing or damaged.
        InputError: no such layer; several and none chosen; no polygons.
    """
    name = os.fspath(path)
    if not Path(name).exists() and "://" not in name and not name.startswith("/vsi"):
        raise UnreadableError(f"{name}: no such vector file; check the path")
    with _told(f"{name}: not a vector file that GDAL can read", "give another, whole"):
        layers = geopandas.list_layers(path)["name"].tolist()
    if layer is None and len(layers) > 1:
        raise InputError(f"{name}: choose one of its layers: {', '.join(layers)}")
    if layer is not None and layer not in layers:
        raise InputError(f"{name}: no layer {layer!r}; it has {', '.join(layers)}")
    with _told(f"{name}: cannot be read", "copy or download it again"):
        frame = geopandas.read_file(path, layer=layer)
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise InputError(f"{name}: a table without geometry; give polygons")
    dropped = _features(name) - len(frame)
    if frame.empty and dropped > 0:
        raise InputError(
            f"{name}: GDAL reads none of its {dropped} features; each needs "
            '"type": "Feature"'
        )
    if not frame.empty and not _has_polygons(frame.geometry):
        kinds = ", ".join(sorted(set(frame.geom_type.dropna()))) or "no geometry"
        raise InputError(f"{name}: {kinds} where polygons are needed")
    frame.attrs |= {"source": name, "dropped": max(0, dropped)}
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
    numbers = ids(polygons, attribute=attribute, classes=classes)
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)])
    x, y = affine @ corners.T
    bounds = (x.min(), y.min(), x.max(), y.max())
    shapes = _on_grid(polygons.geometry, crs, bounds, source)
    keep = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    labels = np.zeros((height, width), np.uint8)
    if keep.any():
        with handles.quiet():  # pixel coordinates are a grid like any other
            rasterio.features.rasterize(
                zip(shapes[keep], numbers[keep].tolist(), strict=True),
                out=labels,
                transform=affine,
                all_touched=all_touched,
            )
    return labels


def ids(
    polygons: geopandas.GeoDataFrame,
    *,
    attribute: str | None = None,
    classes: Mapping[object, int] | None = None,
) -> np.ndarray:
    """Returns the class id of each polygon, `[N]` uint8.

    Arguments and errors are those of `rasterize`.
    """
    source = polygons.attrs.get("source", "polygons")
    if attribute is None:
        return np.ones(len(polygons), np.uint8)
    if attribute not in polygons.columns:
        columns = ", ".join(c for c in polygons.columns if c != polygons.geometry.name)
        raise InputError(f"{source}: no attribute {attribute!r}; it has {columns}")
    if classes is None:
        classes = {value: value for value in range(IGNORE + 1)}
    values = polygons[attribute].tolist()
    unknown = sorted({repr(value) for value in values if value not in classes})
    if unknown:
        known = ", ".join(map(repr, classes)) if len(classes) < 256 else "0 to 255"
        raise InputError(
            f"{source}: {attribute} has values without a class: "
            f"{', '.join(unknown[:8])}; known are {known}"
        )
    if wrong := [i for i in classes.values() if not 0 <= i <= IGNORE]:
        raise InputError(f"class ids must be 0 to {IGNORE}, got {wrong}")
    return np.array([classes[value] for value in values], np.uint8)


def write(
    path: str | os.PathLike[str], frame: geopandas.GeoDataFrame, *, layer: str
) -> None:
    """Writes polygons to a GeoPackage, whole or not at all; none and no CRS is fine.

    Raises:
        InputError: the file cannot be written: no space, no permission.
    """
    several = bool((frame.geom_type == "MultiPolygon").any())
    with (
        _told(
            f"{os.fspath(path)}: cannot be written",
            "see that the disk has space",
            InputError,
        ),
        replacing(path) as part,
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            frame.to_file(
                part,
                layer=layer,
                driver="GPKG",
                engine="pyogrio",
                geometry_type="MultiPolygon" if several else "Polygon",
                promote_to_multi=several,
            )
        if len(geopandas.read_file(part, layer=layer, columns=[])) != len(frame):
            raise OSError("not all features were taken")


@contextlib.contextmanager
def _told(
    what: str, hint: str, kind: type[InputError] = UnreadableError
) -> Iterator[None]:
    """Says a failure of GDAL on one line; pyogrio's errors derive from these."""
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        raise kind(f"{what} ({' '.join(str(error).split())}); {hint}") from error


def _features(name: str) -> int:
    """How many features a GeoJSON holds; GDAL skips those without a type silently."""
    path = Path(name)
    if path.suffix.lower() not in {".json", ".geojson"}:
        return 0
    try:
        if path.stat().st_size > LARGEST_JSON:
            return 0
        return len(json.loads(path.read_text())["features"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _has_polygons(geometry: geopandas.GeoSeries) -> bool:
    kinds = set(shapely.get_type_id(geometry.to_numpy()).tolist())
    return bool(kinds & {POLYGON, MULTIPOLYGON, COLLECTION})


def _on_grid(
    geometry: geopandas.GeoSeries,
    crs: CRS | None,
    bounds: tuple[float, float, float, float],
    source: str,
) -> np.ndarray:
    """The polygonal parts in the grid's CRS, empty where they lie elsewhere."""
    if (geometry.crs is None) != (crs is None):
        bare = source if geometry.crs is None else "the raster"
        raise InputError(
            f"{bare}: no CRS, so polygons and raster cannot be laid on each other; "
            "give both one (gdal_edit, ogr2ogr)"
        )
    if crs is None:
        return polygonal(geometry.to_numpy())
    other = pyproj.CRS.from_wkt(crs.to_wkt())
    if geometry.crs == other:
        return polygonal(geometry.to_numpy())
    shapes = geometry.to_numpy()
    box = _bounds_in(geometry.crs, crs, bounds)
    if box is None:
        shapes = polygonal(shapes)
    else:
        # A country's outline need not exist in a UTM zone, its part here does; and
        # between two vertices far apart a straight line would bend.
        near = shapely.intersects(shapely.envelope(shapes), box)
        shapes = np.where(near, shapes, None)
        shapes = shapely.clip_by_rect(polygonal(shapes), *box.bounds)
        shapes = shapely.segmentize(shapes, box.length / 256)
    shapes = geopandas.GeoSeries(shapes, crs=geometry.crs).to_crs(other).to_numpy()
    finite = np.isfinite(shapely.bounds(shapes)).all(axis=1)
    return np.where(finite, shapes, None)


def _bounds_in(target, crs, bounds):
    """The box around `bounds` in another CRS with a margin, None where it has none."""
    try:
        box = rasterio.warp.transform_bounds(crs, target.to_wkt(), *bounds)
    except CRSError:
        return None
    left, bottom, right, top = box
    if not np.isfinite(box).all() or left >= right or bottom >= top:
        return None
    return shapely.box(*box).buffer(0.1 * max(right - left, top - bottom)).envelope
