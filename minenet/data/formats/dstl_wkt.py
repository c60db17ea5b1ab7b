"""Outlines of DSTL's Kaggle challenge: WKT in a table, on a plane of their own.

Each picture spans x from 0 to Xmax and y from 0 down to Ymin, which `grid_sizes.csv`
gives. A picture of W x H pixels meets its outlines where x is multiplied by
W² / (W + 1) / Xmax and y by H² / (H + 1) / Ymin, the challenge's own rule.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import shapely
from affine import Affine

from minenet.data.formats import tables
from minenet.files import replacing
from minenet.geo import vector
from minenet.types import InputError

CLASSES = (
    "buildings",
    "structures",
    "roads",
    "tracks",
    "trees",
    "crops",
    "fast water",
    "slow water",
    "large vehicles",
    "small vehicles",
)
"""Of ClassType 1 to 10; they overlap."""

COLUMNS = ("ImageId", "ClassType", "MultipolygonWKT")

Sizes = Mapping[str, tuple[float, float]]
"""Picture → Xmax, Ymin."""

Outlines = Mapping[str, Mapping[int, shapely.Geometry]]
"""Picture → ClassType → polygons."""


def read_sizes(path: str | os.PathLike[str]) -> Sizes:
    """Returns the span of each picture from `grid_sizes.csv`.

    Raises:
        InputError: no such table; a picture twice; Xmax not above 0, or Ymin not below.
    """
    frame = tables.read(path, ("Xmax", "Ymin"))
    sizes: dict[str, tuple[float, float]] = {}
    # The column of pictures has no name.
    rows = zip(frame[frame.columns[0]], frame["Xmax"], frame["Ymin"], strict=True)
    for image_id, xmax, ymin in rows:
        where = f"{os.fspath(path)}: {image_id}"
        try:
            size = float(xmax), float(ymin)
        except ValueError:
            size = math.nan, math.nan
        if not (0 < size[0] < math.inf and -math.inf < size[1] < 0):
            raise InputError(
                f"{where}: Xmax {xmax}, Ymin {ymin}; expected numbers above and below 0"
            )
        if image_id in sizes:
            raise InputError(f"{where}: two rows; keep one")
        sizes[image_id] = size
    return sizes


def read_outlines(path: str | os.PathLike[str]) -> Outlines:
    """Returns the polygons of a table such as `train_wkt_v4.csv`, or of a submission.

    Raises:
        InputError: no such table; a class that is none; WKT that is none, has NaN, or
            is not of polygons; two rows of one picture and class.
    """
    frame = tables.read(path, COLUMNS)
    outlines: dict[str, dict[int, shapely.Geometry]] = {}
    for image_id, kind, wkt in zip(*(frame[c] for c in COLUMNS), strict=True):
        where = f"{os.fspath(path)}: {image_id}, ClassType {kind}"
        if kind not in {str(i) for i in range(1, len(CLASSES) + 1)}:
            raise InputError(f"{where}: expected 1 to {len(CLASSES)}")
        mine = outlines.setdefault(image_id, {})
        if int(kind) in mine:
            raise InputError(f"{where}: two rows; keep one")
        mine[int(kind)] = _parsed(wkt, where)
    return outlines


def affine(height: int, width: int, size: tuple[float, float]) -> Affine:
    """Returns pixel (col, row) → x, y of a picture's plane.

    Args:
        height: in pixels.
        width: in pixels.
        size: Xmax, Ymin.
    """
    return Affine.scale(
        size[0] * (width + 1) / width**2, size[1] * (height + 1) / height**2
    )


def rasterize(
    outlines: Mapping[int, shapely.Geometry],
    *,
    height: int,
    width: int,
    size: tuple[float, float],
) -> np.ndarray:
    """Returns labels `[H, W, 10]` uint8 of a picture's outlines."""
    labels = np.zeros((height, width, len(CLASSES)), np.uint8)
    for kind, outline in outlines.items():
        labels[..., kind - 1] = vector.rasterize(
            geopandas.GeoDataFrame(geometry=[outline]),
            crs=None,
            affine=affine(height, width, size),
            height=height,
            width=width,
        )
    return labels


def write(
    path: str | os.PathLike[str],
    labels: Iterable[tuple[str, np.ndarray]],
    sizes: Sizes,
    *,
    min_area_px: float = 0.0,
    simplify_px: float = 0.0,
) -> int:
    """Writes a submission, a row a picture and class, and returns how many rows.

    Args:
        path: of the table.
        labels: picture and its `[H, W, 10]` of 0 and 1, in the order wanted.
        sizes: of at least these pictures.
        min_area_px: patches of fewer pixels are dropped.
        simplify_px: how far an outline may leave the pixels' edges; 0 keeps them.

    Raises:
        InputError: a picture without a size, or twice; labels of other shape; the disk.
    """
    rows, seen = [], set()
    for image_id, masks in labels:
        if image_id not in sizes or image_id in seen:
            why = "twice" if image_id in seen else "not in the grid sizes"
            raise InputError(f"{image_id}: {why}; a submission needs each once")
        if masks.ndim != 3 or masks.shape[-1] != len(CLASSES):
            raise InputError(
                f"{image_id}: labels must be [H, W, {len(CLASSES)}], got {masks.shape}"
            )
        seen.add(image_id)
        place = affine(*masks.shape[:2], sizes[image_id])
        for i in range(len(CLASSES)):
            outline = _outlined(masks[..., i], min_area_px, simplify_px)
            outline = shapely.transform(
                outline, lambda p, place=place: np.stack(place @ p.T, axis=-1)
            )
            # A pixel is about 3e-6 wide.
            wkt = shapely.to_wkt(outline, rounding_precision=12)
            rows.append((image_id, i + 1, wkt))
    with replacing(Path(path)) as part:
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(part, index=False)
    return len(rows)


def _parsed(wkt: str, where: str) -> shapely.Geometry:
    try:
        with np.errstate(invalid="ignore"):  # told below
            outline = shapely.from_wkt(wkt)
    except (shapely.errors.ShapelyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{where}: not WKT ({reason})") from error
    if outline.geom_type not in ("MultiPolygon", "Polygon", "GeometryCollection"):
        raise InputError(f"{where}: {outline.geom_type}, expected MULTIPOLYGON")
    if outline.geom_type == "GeometryCollection" and not outline.is_empty:
        raise InputError(f"{where}: GEOMETRYCOLLECTION, expected MULTIPOLYGON")
    if not np.isfinite(shapely.get_coordinates(outline)).all():
        raise InputError(f"{where}: WKT has NaN or infinite coordinates; mend the row")
    return outline


def _outlined(
    mask: np.ndarray, min_area_px: float, simplify_px: float
) -> shapely.MultiPolygon:
    """The patches of a mask in pixels."""
    shapes = vector.polygonize(
        (mask != 0).astype(np.uint8),
        affine=Affine.identity(),
        crs=None,
        class_names=["class"],
    ).geometry.to_numpy()
    shapes = shapes[shapely.area(shapes) >= min_area_px]
    if simplify_px > 0:
        shapes = shapely.simplify(shapes, simplify_px)
    whole = shapely.MultiPolygon(list(shapes))
    if whole.is_valid:
        return whole
    # Outlines that touch along a line after they were simplified.
    parts = shapely.get_parts(shapely.union_all(shapely.make_valid(shapes)))
    return shapely.MultiPolygon([p for p in parts if p.geom_type == "Polygon"])
