"""From outlines to labels: what was drawn, burnt onto the grid of a scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import geopandas
import numpy as np
import pandas as pd
import pyproj
import shapely
from affine import Affine
from scipy import ndimage

from minenet.data.label.classes import Rule
from minenet.geo import outlines, raster, vector
from minenet.geo.grids import Grid
from minenet.geo.windows import Window
from minenet.types import IGNORE, InputError

Read = Callable[[Window], np.ndarray]
"""From a window inside the scene to its ids `[H, W]`, or `[H, W, K]`, uint8."""

CLASS = "class_id"
"""The column of ids that `join` adds."""


def from_polygons(
    polygons: geopandas.GeoDataFrame,
    info: raster.RasterInfo | Grid,
    rule: Rule,
    *,
    area: geopandas.GeoDataFrame | None = None,
    year: int | None = None,
) -> Read:
    """Returns a reader that burns polygons onto the grid of a raster.

    A pixel is 255 where it does not count: near an outline (`rule.ignore_m`), outside
    of the area of interest, in a polygon that `rule` calls 255, and everywhere if no
    polygon at all is of the image's year.

    Args:
        polygons: outlines; where two overlap the later wins, unless `rule.channels`
            gives each class a channel. One of id 0 burns into none of these.
        info: of the raster, or any grid.
        rule: how values become ids.
        area: polygons that were looked at in full; everywhere if None.
        year: of the image, if `rule.year_column` tells that of the outlines.

    Raises:
        InputError: no such column; a year that is none; channels without an attribute
            that tells them apart.
    """
    _check_attribute(polygons, rule)
    of_year, looked_at = _of_year(polygons, rule, year)
    near = select(of_year, info, margin_m=rule.ignore_m)
    within = None if area is None else select(area, info)
    # Keys were read as numbers where they look like it; columns may hold them as text.
    classes = {str(value): to for value, to in rule.ids.items()} | dict(rule.ids)
    ids = vector.ids(
        near,
        attribute=rule.attribute,
        classes=classes if rule.attribute else None,
    )
    drawn = near.assign(**{CLASS: ids})
    drawn.attrs = near.attrs
    blurred = _bands(drawn, info, rule.ignore_m)

    def read(window: Window) -> np.ndarray:
        place = {
            "crs": info.crs,
            "affine": info.affine @ Affine.translation(window.col, window.row),
            "height": window.height,
            "width": window.width,
        }
        touched = {"all_touched": rule.all_touched}
        if rule.channels:
            labels = _channels(drawn, rule, **touched, **place)
        else:
            labels = vector.rasterize(drawn, attribute=CLASS, **touched, **place)
        if not looked_at:
            labels[:] = IGNORE
        if len(blurred):
            labels[vector.rasterize(blurred, **place) != 0] = IGNORE
        if within is not None:
            labels[vector.rasterize(within, **place) == 0] = IGNORE
        return labels

    return read


def select(
    polygons: geopandas.GeoDataFrame,
    info: raster.RasterInfo | Grid,
    *,
    margin_m: float = 0.0,
) -> geopandas.GeoDataFrame:
    """Returns the polygons whose boxes meet a scene's: others need no reprojection.

    Args:
        polygons: of a collection.
        info: of the scene.
        margin_m: around it, on the ground.
    """
    if polygons.crs is None or info.crs is None:
        return polygons  # one plane, or a mistake that `rasterize` names
    corners = np.array(
        [(0, 0), (info.width, 0), (0, info.height), (info.width, info.height)], float
    )
    x, y = info.affine @ corners.T
    pad_x, pad_y = 0.0, 0.0
    if margin_m:
        unit = outlines.metres(info.crs, float(x.mean()), float(y.mean()))
        pad_x, pad_y = margin_m / unit[0], margin_m / unit[1]
    there = pyproj.Transformer.from_crs(info.crs.to_wkt(), polygons.crs, always_xy=True)
    left, bottom, right, top = there.transform_bounds(
        x.min() - pad_x, y.min() - pad_y, x.max() + pad_x, y.max() + pad_y
    )
    rim = 0.02 * max(right - left, top - bottom)  # edges bend on the way
    if not np.isfinite(rim) or left > right:  # at a pole, or over the date line
        return polygons
    box = shapely.box(left - rim, bottom - rim, right + rim, top + rim)
    near = polygons.iloc[np.sort(polygons.sindex.query(box))]
    near = near.to_crs(info.crs.to_wkt())
    near.attrs = polygons.attrs
    return near


def join(
    layers: Sequence[tuple[geopandas.GeoDataFrame, Rule]],
    *,
    order: Sequence[int] = (),
) -> geopandas.GeoDataFrame:
    """Returns the polygons of several layers as one, with their ids in `CLASS`.

    Args:
        layers: polygons, each with the rule that tells its classes; where two layers
            overlap the later wins.
        order: ids of classes from the lowest to the highest, to let classes decide
            before layers do; others lie below.

    Raises:
        InputError: as `vector.ids`; a layer without a CRS beside one with; channels
            without an attribute that tells them apart.
    """
    first, parts = layers[0][0], []
    for polygons, rule in layers:
        _check_attribute(polygons, rule)
        classes = {str(value): to for value, to in rule.ids.items()} | dict(rule.ids)
        ids = vector.ids(
            polygons,
            attribute=rule.attribute,
            classes=classes if rule.attribute else None,
        )
        if (polygons.crs is None) != (first.crs is None):
            raise InputError(
                f"{polygons.attrs.get('source', 'polygons')}: CRS {polygons.crs}, but "
                f"{first.attrs.get('source', 'the first layer')} has {first.crs}; give "
                "both one (ogr2ogr)"
            )
        part = polygons if first.crs is None else polygons.to_crs(first.crs)
        if part.geometry.name != "geometry":
            part = part.rename_geometry("geometry")
        parts.append(part.assign(**{CLASS: ids}))
    whole = pd.concat(parts, ignore_index=True)
    if order:
        rank = {id_: i for i, id_ in enumerate(order)}
        height = whole[CLASS].map(lambda id_: rank.get(id_, -1)).to_numpy()
        whole = whole.iloc[np.argsort(height, kind="stable")].reset_index(drop=True)
    sources = [polygons.attrs.get("source", "polygons") for polygons, _ in layers]
    dropped = sum(polygons.attrs.get("dropped", 0) for polygons, _ in layers)
    whole.attrs = {"source": ", ".join(sources), "dropped": dropped}
    return whole


def signed_distance(
    inside: np.ndarray, *, pixel_m: tuple[float, float], limit_m: float
) -> np.ndarray:
    """Returns how far the middle of each pixel lies from the outline of a mask.

    With `limit_m` a window that is read with as much around it has the distances of the
    whole scene. They are those of `losses.signed_distance` less half a pixel.

    Args:
        inside: `[H, W]` bool.
        pixel_m: height and width of a pixel.
        limit_m: larger distances are cut to it.

    Returns:
        `[H, W]` float32 in metres, negative inside.

    >>> row = np.array([[False, False, True, True]])
    >>> signed_distance(row, pixel_m=(10, 10), limit_m=12).tolist()
    [[12.0, 5.0, -5.0, -12.0]]
    """
    half = sum(pixel_m) / 4

    def far(side: np.ndarray) -> np.ndarray:
        if side.all():  # no outline: as far as can be
            return np.full(side.shape, limit_m + half)
        return ndimage.distance_transform_edt(side, sampling=pixel_m)

    inside = np.asarray(inside, bool)
    distance = np.where(inside, half - far(inside), far(~inside) - half)
    return np.clip(distance, -limit_m, limit_m).astype(np.float32)


def years(polygons: geopandas.GeoDataFrame, column: str) -> np.ndarray:
    """Returns the year of each polygon, `[N]` float, NaN where none is given.

    Raises:
        InputError: no such column; a value that does not begin with a year.
    """
    source = polygons.attrs.get("source", "polygons")
    if column not in polygons.columns:
        columns = ", ".join(c for c in polygons.columns if c != polygons.geometry.name)
        raise InputError(f"{source}: no column {column!r}; it has {columns}")
    values = polygons[column]
    text = values.astype(str).str.strip().str.extract(r"^(\d{4})(?!\d)", expand=False)
    found = pd.to_numeric(text).to_numpy(float)
    wrong = np.isnan(found) & values.notna().to_numpy()
    if wrong.any():
        raise InputError(
            f"{source}: {column} has {values[wrong].iloc[0]!r}, expected a year or a "
            "date that begins with it, such as 2019 or 2019-06-30"
        )
    return found


def _check_attribute(polygons: geopandas.GeoDataFrame, rule: Rule) -> None:
    if rule.channels and rule.attribute is None:
        raise InputError(
            f"attribute: none, but {polygons.attrs.get('source', 'polygons')} must say "
            f"which of {', '.join(rule.channels)} a polygon is; name its column"
        )


def _of_year(polygons, rule: Rule, year: int | None):
    """The polygons that hold for an image, and whether anybody drew any for it."""
    if rule.year_column is None:
        return polygons, True
    if year is None:
        raise InputError(
            f"year_column: {rule.year_column} tells the year of outlines, but that of "
            "the image is not known; name it in the table"
        )
    found = years(polygons, rule.year_column)
    keep = np.isnan(found) | (found <= year if rule.until else found == year)
    looked_at = bool(keep.any()) or rule.until
    chosen = polygons[keep]
    chosen.attrs = polygons.attrs
    return chosen, looked_at


def _channels(drawn, rule: Rule, **options) -> np.ndarray:
    """Burns each class by itself, `[H, W, K]`; id 255 lies over all of them."""
    shape = options["height"], options["width"], len(rule.channels)
    labels = np.zeros(shape, np.uint8)
    for id_ in np.unique(drawn[CLASS]).tolist():  # 255 comes last
        chosen = drawn[drawn[CLASS] == id_]
        chosen.attrs = drawn.attrs
        here = vector.rasterize(chosen, **options) != 0
        if id_ == IGNORE:
            labels[here] = IGNORE
        elif id_ > 0:
            labels[here, id_ - 1] = 1
    return labels


def _bands(drawn, info, width_m: float) -> geopandas.GeoDataFrame:
    """The bands around the outlines of each class, in the CRS of the scene."""
    parts: list[np.ndarray] = []
    if width_m > 0 and len(drawn):
        bare = info.crs is None or drawn.crs is None
        placed = drawn if bare else drawn.to_crs(info.crs.to_wkt())
        at = info.affine @ (info.width / 2, info.height / 2)
        for id_ in sorted(set(placed[CLASS].tolist()) - {IGNORE}):
            shapes = placed.geometry[placed[CLASS] == id_].to_numpy()
            parts.append(outlines.bands(shapes, width_m=width_m, crs=info.crs, at=at))
    shapes = np.concatenate([np.empty(0, object), *parts])
    crs = None if info.crs is None else info.crs.to_wkt()
    return geopandas.GeoDataFrame(geometry=list(shapes), crs=crs)
