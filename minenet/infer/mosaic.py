"""A scene as a mosaic of overlapping windows, strip by strip.

Strips are as wide as the scene and about as high as a window: memory depends on the
scene's width, never on its height.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from minenet.geo import bands, raster, windows
from minenet.geo.bands import Stack
from minenet.geo.grids import Grid
from minenet.geo.windows import Window
from minenet.infer import blend
from minenet.infer import bundle as bundle_
from minenet.infer.bundle import Bundle
from minenet.infer.predict import Predict
from minenet.types import InputError

TOGETHER = 64
"""Windows of one strip, at least: of a narrow scene several rows, to fill batches."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """The images of one place, and how to read the model's bands from them.

    Attributes:
        images: Rasters; None for a sensor or a date that is missing.
        grid: That it is mapped on.
        stack: Bands to read.
        aligned: Whether images are brought to the grid when they are read.
    """

    images: tuple[str | None, ...]
    grid: Grid
    stack: Stack
    aligned: bool = False

    @property
    def path(self) -> str:
        """The first image that is there."""
        return next(filter(None, self.images))

    @property
    def name(self) -> str:
        """The stem of the first image."""
        return Path(self.path).stem

    @property
    def extent(self) -> Window:
        """The window of all its pixels."""
        return Window(0, 0, self.grid.height, self.grid.width)


def open_scene(bundle: Bundle, images: Sequence[str | None]) -> Scene:
    """Returns the scene of some images.

    Args:
        bundle: The model; its contract chooses bands and grid.
        images: Rasters; None or "" for one that is missing.

    Raises:
        InputError: One cannot be read, grids differ, or a band is missing.
    """
    infos = [raster.info(image) if image else None for image in images]
    stack = bundle_.stack(bundle.contract, infos)
    grid, aligned = bands.place(infos, stack)
    paths = tuple(str(image) if image else None for image in images)
    return Scene(paths, grid, stack, aligned)


def strips(
    predict: Predict,
    scene: Scene,
    *,
    num_classes: int,
    window: int,
    overlap: float = 0.5,
    wanted: np.ndarray | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the blended probabilities of a scene from top to bottom.

    Beyond the scene's edges windows see its reflection. Every pixel lies in as many
    windows as any other and is their mean with the weights of `blend.profile`, so its
    value does not depend on where strips are cut. Windows in which no pixel is asked
    for are not computed.

    Args:
        predict: As `predict.predictor` returns it.
        scene: To be mapped.
        num_classes: `K`.
        window: Side of the windows, in pixels.
        overlap: Of neighbouring windows, as a share of their side.
        wanted: `[height, width]` bool, the pixels to be mapped; all if None.

    Yields:
        The first row of each strip, and `[rows, width, K]` float32 in 0..1; NaN where
        no band of the scene is valid, or the pixel is not wanted.

    Raises:
        InputError: The scene turns out to be damaged; `window` or `overlap` is out of
            range.
    """
    if window < 1 or not 0 <= overlap < 1:
        raise InputError(
            f"config.predict: window={window}, overlap={overlap}; the window must be "
            "positive, the overlap at least 0 and below 1"
        )
    height, width = scene.grid.height, scene.grid.width
    stride = windows.stride(window, overlap=overlap)
    grid = windows.grid(
        height, width, size=window, stride=stride, margin=window - stride
    )
    rows, cols = sorted({w.row for w in grid}), sorted({w.col for w in grid})
    lines = max(1, TOGETHER // len(cols))
    parts = [rows[i : i + lines] for i in range(0, len(rows), lines)]
    spans = [np.arange(part[0], part[-1] + window) for part in parts]
    across, left = np.arange(cols[0], cols[-1] + window), -cols[0]
    read = functools.partial(_read, scene, cols=across, wanted=wanted)

    profile = blend.profile(window, stride)
    weight = np.outer(profile, profile)[..., None]
    carried = np.zeros((window - stride, len(across), num_classes), np.float32)
    for part, (strip, asked) in zip(parts, _ahead(read, spans), strict=True):
        total = np.zeros((*asked.shape, num_classes), np.float32)
        total[: len(carried)] = carried
        places = [
            Window(row - part[0], col + left, window, window).slices
            for row in part
            for col in cols
        ]
        places = [place for place in places if asked[place].any()]
        found = predict(strip[place] for place in places)
        for place, probability in zip(places, found, strict=True):
            total[place] += probability * weight
        done = len(part) * stride
        carried = total[done:]
        first, last = max(part[0], 0), min(part[0] + done, height)
        if first < last:
            inside = np.s_[first - part[0] : last - part[0], left : left + width]
            # Weights sum up to 1 but for rounding: a probability stays one.
            result = np.minimum(total[inside], 1)
            result[~asked[inside]] = np.nan
            yield first, result


def whole(predict: Predict, scene: Scene, **options) -> np.ndarray:
    """Returns the strips of a scene that fits into memory as one `[H, W, K]`."""
    return np.concatenate([strip for _, strip in strips(predict, scene, **options)])


def _ahead(read, spans: Sequence[np.ndarray]) -> Iterator:
    """Reads each strip in a thread while the one before it is worked on."""
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        following = reader.submit(read, spans[0])
        for span in spans[1:]:
            current, following = following, reader.submit(read, span)
            yield current.result()
        yield following.result()


def _read(
    scene: Scene, span: np.ndarray, *, cols: np.ndarray, wanted: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a reflected strip `[rows, cols, C]`, and which pixels are asked for."""
    rows = blend.reflect(span, scene.grid.height)
    cols = blend.reflect(cols, scene.grid.width)
    first, stop = int(rows.min()), int(rows.max()) + 1
    block = bands.read(
        scene.images,
        scene.stack,
        Window(first, 0, stop - first, scene.grid.width),
        grid=scene.grid if scene.aligned else None,
    )
    asked = np.zeros(block.shape[:2], bool)
    for c in range(block.shape[-1]):  # numpy reduces a short last axis 20 times slower
        asked |= ~np.isnan(block[..., c])
    if wanted is not None:
        asked &= wanted[first:stop]
    if len(rows) > stop - first or first != rows[0]:  # it reaches beyond an edge
        block, asked = block[rows - first], asked[rows - first]
    return np.take(block, cols, axis=1), np.take(asked, cols, axis=1)
