"""Whole scenes, strip by strip: memory depends on the width, never on the height."""

from __future__ import annotations

import dataclasses
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from minenet.data import bands
from minenet.geo import raster, vector, windows
from minenet.data.bands import Stack
from minenet.geo.raster import RasterInfo
from minenet.geo.windows import Window
from minenet.infer import blend
from minenet.infer import bundle as bundle_
from minenet.infer.bundle import Bundle
from minenet.infer.predict import Predict
from minenet.types import IGNORE, InputError

GROUP = 32
"""Windows handed to the predictor at a time: bounds the memory of a wide scene."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """The images of one place, and how to read the model's bands from them."""

    images: tuple[str, ...]
    grid: RasterInfo
    stack: Stack

    @property
    def name(self) -> str:
        """The stem of the first image."""
        return Path(self.images[0]).stem

    @property
    def extent(self) -> Window:
        """The window of all its pixels."""
        return Window(0, 0, self.grid.height, self.grid.width)


@dataclasses.dataclass(frozen=True)
class Maps:
    """The files of one mapped scene."""

    probability: Path
    classes: Path
    polygons: Path


def open_scene(bundle: Bundle, images: Sequence[str]) -> Scene:
    """Returns the scene of some images on one grid.

    Raises:
        InputError: One cannot be read, grids differ, or a band is missing.
    """
    infos = [raster.info(image) for image in images]
    raster.match(infos)
    grid = next((info for info in infos if info.crs is not None), infos[0])
    stack = bundle_.stack(bundle.contract, infos)
    return Scene(tuple(map(str, images)), grid, stack)


def whole(predict: Predict, scene: Scene, **tiling) -> np.ndarray:
    """Returns all strips of a small scene as one `[H, W, K]`."""
    return np.concatenate([strip for _, strip in strips(predict, scene, **tiling)])


def strips(
    predict: Predict, scene: Scene, *, num_classes: int, window: int, overlap: float = 0.5
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the blended probabilities of a scene from top to bottom.

    Beyond the scene's edges the windows see its reflection. All windows have the weights
    of `blend.profile`, so a pixel's value does not depend on where strips are cut.

    Args:
        predict: As `predict.predictor` returns it.
        scene: To be mapped.
        num_classes: `K`.
        window: Side of the windows, in pixels.
        overlap: Of neighbouring windows, as a share of their side.

    Yields:
        The first row of each strip, and `[rows, width, K]` float32, NaN where no band
        of the scene is valid.
    """
    height, width = scene.grid.height, scene.grid.width
    stride = windows.stride(window, overlap=overlap)
    grid = windows.grid(
        height, width, size=window, stride=stride, margin=window - stride
    )
    profile = blend.profile(window, stride)
    weight = np.outer(profile, profile)[..., None]
    left = grid[0].col
    span = left + np.arange(grid[-1].col_stop - left)
    cols = blend.reflect(span, width)
    total = np.zeros((window, len(cols), num_classes), np.float32)
    for row, line in itertools.groupby(grid, key=lambda each: each.row):
        strip, valid = _read(scene, row, window, cols)
        origins = [each.col - left for each in line]
        seen = [col for col in origins if not _blank(strip[:, col : col + window])]
        for at in range(0, len(seen), GROUP):
            group = seen[at : at + GROUP]
            parts = np.stack([strip[:, col : col + window] for col in group])
            for col, part in zip(group, predict(parts), strict=True):
                total[:, col : col + window] += part * weight
        first, last = max(row, 0), min(row + stride, height)
        if first < last:
            inside = np.s_[first - row : last - row]
            result = total[inside, -left : -left + width].copy()
            result[~valid[inside]] = np.nan
            yield first, result
        total = np.concatenate([total[stride:], np.zeros_like(total[:stride])])


def predict_scene(
    bundle: Bundle,
    predict: Predict,
    images: Sequence[str],
    out: Path,
    *,
    window: int | None = None,
    overlap: float = 0.5,
    min_area_m2: float = 0.0,
    simplify_m: float = 0.0,
    polygons: bool = True,
) -> Maps:
    """Maps one scene: three files that appear together or not at all.

    Args:
        bundle: The model.
        predict: As `predict.predictor` returns it.
        images: Of the scene, on one grid.
        out: Folder of the maps.
        window: Side of the windows; the bundle's if None.
        overlap: Of neighbouring windows, as a share of their side.
        min_area_m2: Smaller polygons are left out.
        simplify_m: About the size of detail that polygons lose.
        polygons: Whether to write them: they take memory in proportion to the scene.

    Raises:
        InputError: The scene cannot be read, or the maps not written.
    """
    scene = open_scene(bundle, images)
    maps = Maps(
        out / f"{scene.name}_probability.tif",
        out / f"{scene.name}_class.tif",
        out / f"{scene.name}.gpkg",
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=out, prefix=f".{scene.name}.")
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error})") from error
    with folder as made:
        parts = Maps(*(Path(made) / path.name for path in dataclasses.astuple(maps)))
        _write_rasters(bundle, predict, scene, parts, window or bundle.window, overlap)
        if polygons:
            _write_polygons(bundle, scene, parts, min_area_m2, simplify_m)
        for part, path in zip(
            dataclasses.astuple(parts), dataclasses.astuple(maps), strict=True
        ):
            if part.exists():
                os.replace(part, path)
    return maps


def classify(probability: np.ndarray, *, threshold: float | None) -> np.ndarray:
    """Returns class ids `[H, W]` uint8 of `[H, W, K]`; `IGNORE` where it is NaN.

    Args:
        probability: Of K = 1 class, or of exclusive ones.
        threshold: Of the one class; None for exclusive ones, where the highest wins.
    """
    nodata = np.isnan(probability).any(axis=-1)
    if threshold is None:
        ids = np.argmax(probability, axis=-1)
    else:
        ids = probability[..., 0] >= threshold
    return np.where(nodata, IGNORE, ids).astype(np.uint8)


def _read(
    scene: Scene, row: int, window: int, cols: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a reflected strip `[window, cols, C]`, and where its rows are valid."""
    rows = blend.reflect(np.arange(row, row + window), scene.grid.height)
    first = int(rows.min())
    block = bands.read(
        scene.images,
        scene.stack,
        Window(first, 0, int(rows.max()) - first + 1, scene.grid.width),
    )
    valid = ~np.isnan(block).all(axis=-1)
    return block[rows - first][:, cols], valid[rows - first]


def _blank(image: np.ndarray) -> bool:
    # A look at one pixel settles most cases without a pass over the window.
    return bool(np.isnan(image[0, 0]).all() and np.isnan(image).all())


def _write_rasters(bundle, predict, scene, parts: Maps, window, overlap) -> None:
    grid = scene.grid
    place = {
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "affine": grid.affine,
    }
    tags = {
        "MINENET_TASK": bundle.task,
        "MINENET_CLASSES": ",".join(bundle.classes),
        "MINENET_THRESHOLD": "" if bundle.threshold is None else bundle.threshold,
        "MINENET_WINDOW": window,
        **{f"MINENET_{key.upper()}": value for key, value in bundle.origin.items()},
    }
    empty = True
    with (
        raster.create(
            parts.probability,
            count=bundle.num_classes,
            dtype=np.float32,
            nodata=float("nan"),
            band_names=bundle.classes,
            tags=tags,
            **place,
        ) as write_probability,
        raster.create(
            parts.classes,
            count=1,
            dtype=np.uint8,
            nodata=IGNORE,
            band_names=["class"],
            tags=tags,
            **place,
        ) as write_classes,
    ):
        for row, probability in strips(
            predict, scene, num_classes=bundle.num_classes, window=window, overlap=overlap
        ):
            ids = classify(probability, threshold=bundle.threshold)
            empty &= bool((ids == IGNORE).all())
            write_probability(probability, row)
            write_classes(ids[..., None], row)
    if empty:
        logging.warning("%s: no valid pixel, so its map is empty", scene.images[0])


def _write_polygons(bundle, scene, parts: Maps, min_area_m2, simplify_m) -> None:
    names = dict(enumerate(bundle.classes, start=int(bundle.num_classes == 1)))
    frame = vector.polygonize(
        raster.read(parts.classes)[0][..., 0],
        affine=scene.grid.affine,
        crs=scene.grid.crs,
        class_names=names,
        probability=raster.read_float(parts.probability),
        min_area_m2=min_area_m2,
        simplify_m=simplify_m,
    )
    vector.write(parts.polygons, frame, layer="mines")
