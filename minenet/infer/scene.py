"""From a scene to its map: three files that appear together or not at all."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from absl import logging

from minenet.geo import raster, vector
from minenet.infer import scale
from minenet.infer.bundle import Bundle
from minenet.infer.mosaic import Scene, open_scene, strips, whole
from minenet.infer.predict import Predict
from minenet.types import IGNORE, InputError

__all__ = [
    "Maps",
    "Scene",
    "classify",
    "open_scene",
    "predict_scene",
    "strips",
    "whole",
]


@dataclasses.dataclass(frozen=True)
class Maps:
    """The files of one mapped scene."""

    probability: Path
    classes: Path
    polygons: Path


def predict_scene(
    bundle: Bundle,
    predict: Predict,
    images: Sequence[str | None],
    out: Path,
    *,
    window: int | None = None,
    overlap: float = 0.5,
    min_area_m2: float = 0.0,
    simplify_m: float = 0.0,
    polygons: bool = True,
) -> Maps:
    """Maps one scene, on its own grid.

    `<stem>_probability.tif` has a float32 band per class and NaN where the scene has no
    data, `<stem>_class.tif` the class ids and 255 there, `<stem>.gpkg` the outlines of
    all classes but the background. Where classes may overlap, `<stem>_class.tif` has a
    band of 0 and 1 for each. A scene without any valid pixel has an empty map.

    Args:
        bundle: The model.
        predict: As `predict.predictor` returns it.
        images: Of the scene; the stem of the first that is there names the maps.
        out: Folder of the maps.
        window: Side of the windows; the bundle's if None.
        overlap: Of neighbouring windows, as a share of their side.
        min_area_m2: Smaller polygons are left out.
        simplify_m: About the size of detail that polygons lose.
        polygons: Whether to write them: they take memory in proportion to the scene.

    Raises:
        InputError: The scene cannot be read, or the maps not written. What stood under
            their names before is as it was.
    """
    scene = open_scene(bundle, images)
    scale.check(bundle, scene)
    maps = Maps(
        out / f"{scene.name}_probability.tif",
        out / f"{scene.name}_class.tif",
        out / f"{scene.name}.gpkg",
    )
    _check_names(maps, scene)
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=out, prefix=f".{scene.name}.")
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from error
    with folder as made:
        parts = Maps(*(Path(made) / path.name for path in dataclasses.astuple(maps)))
        _write_rasters(bundle, predict, scene, parts, window or bundle.window, overlap)
        if polygons:
            _write_polygons(bundle, scene, parts, min_area_m2, simplify_m)
        for part, path in zip(*map(dataclasses.astuple, (parts, maps)), strict=True):
            if part.exists():
                os.replace(part, path)
            else:  # polygons of an older map would belie the new one
                path.unlink(missing_ok=True)
    return maps


def classify(
    probability: np.ndarray, *, threshold: float | Sequence[float] | None
) -> np.ndarray:
    """Returns class ids `[H, W]` uint8 of `[H, W, K]`; `IGNORE` where it is NaN.

    Args:
        probability: Of one class, of exclusive ones, or of some that may overlap.
        threshold: Of the one class; None for exclusive ones, where the highest wins;
            one for each of those that overlap: then `[H, W, K]` is returned, 1 where
            the class is.

    >>> classify(np.array([[[0.2], [0.5], [np.nan]]]), threshold=0.5).tolist()
    [[0, 1, 255]]
    >>> classify(np.array([[[0.2, 0.5]]]), threshold=(0.1, 0.5)).tolist()
    [[[1, 1]]]
    """
    nodata = np.isnan(probability[..., 0])
    if threshold is None:
        ids = np.argmax(probability, axis=-1)
    elif np.ndim(threshold) == 0:
        ids = probability[..., 0] >= threshold
    else:
        ids, nodata = probability >= np.asarray(threshold), nodata[..., None]
    return np.where(nodata, IGNORE, ids).astype(np.uint8)


def _check_names(maps: Maps, scene: Scene) -> None:
    """Raises where a map would overwrite its scene, or a folder has its name."""
    for path in dataclasses.astuple(maps):
        if path.is_dir():
            raise InputError(f"{path}: a folder has this name; choose another --out")
        if path.exists() and any(
            image and os.path.exists(image) and path.samefile(image)
            for image in scene.images
        ):
            raise InputError(
                f"{path}: the scene itself would be overwritten; choose another --out"
            )


def _write_rasters(
    bundle: Bundle,
    predict: Predict,
    scene: Scene,
    parts: Maps,
    window: int,
    overlap: float,
) -> None:
    grid = scene.grid
    several = bundle.task == "multilabel"
    common = {
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "affine": grid.affine,
        "tags": {
            "MINENET_TASK": bundle.task,
            "MINENET_CLASSES": ",".join(bundle.classes),
            "MINENET_THRESHOLD": ",".join(map(str, _each(bundle.threshold))),
            "MINENET_WINDOW": window,
            **{f"MINENET_{key.upper()}": value for key, value in bundle.origin.items()},
        },
    }
    empty = True
    with (
        raster.create(
            parts.probability,
            count=bundle.num_classes,
            dtype=np.float32,
            nodata=float("nan"),
            band_names=bundle.classes,
            **common,
        ) as write_probability,
        raster.create(
            parts.classes,
            count=bundle.num_classes if several else 1,
            dtype=np.uint8,
            nodata=IGNORE,
            band_names=bundle.classes if several else ["class"],
            **common,
        ) as write_classes,
    ):
        for row, probability in strips(
            predict,
            scene,
            num_classes=bundle.num_classes,
            window=window,
            overlap=overlap,
        ):
            ids = classify(probability, threshold=bundle.threshold)
            empty &= bool((ids == IGNORE).all())
            write_probability(probability, row)
            write_classes(ids if several else ids[..., None], row)
    if empty:
        logging.warning("%s: no valid pixel, so its map is empty", scene.path)


def _each(threshold: float | Sequence[float] | None) -> Sequence[float]:
    """The thresholds that there are: none, one, or one a class."""
    if threshold is None:
        return ()
    return threshold if isinstance(threshold, Sequence) else (threshold,)


def _write_polygons(
    bundle: Bundle, scene: Scene, parts: Maps, min_area_m2: float, simplify_m: float
) -> None:
    if bundle.task == "multilabel":  # one by one: each has bands of its own
        groups = [([k], {1: name}) for k, name in enumerate(bundle.classes, start=1)]
    else:
        groups = [(None, bundle.classes)]
    frames = [
        vector.polygonize(
            raster.read(parts.classes, bands=bands)[0][..., 0],
            affine=scene.grid.affine,
            crs=scene.grid.crs,
            class_names=names,
            probability=raster.read_float(parts.probability, bands=bands),
            min_area_m2=min_area_m2,
            simplify_m=simplify_m,
        )
        for bands, names in groups
    ]
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    vector.write(parts.polygons, pd.concat(filled, ignore_index=True), layer="mines")
