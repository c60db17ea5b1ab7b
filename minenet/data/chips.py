"""The index of chips: every window of every scene with what it holds, in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from minenet.data.label import targets
from minenet.data.scenes import Scene
from minenet.geo import bands, raster, windows
from minenet.geo.windows import Window
from minenet.types import IGNORE


def known(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns labels, `[H, W]` or `[H, W, K]`, with 255 where a pixel does not count.

    A pixel counts if its class is known and at least one band is valid: the bands that
    are not valid become 0 after normalisation, the others still tell something.
    """
    some = np.zeros(labels.shape[:2], bool)
    for i in range(image.shape[-1]):  # numpy reduces a short last axis 20 times slower
        some |= np.isfinite(image[..., i])
        if some.all():
            return labels
    some = some if labels.ndim == 2 else some[..., None]
    return np.where(some, labels, np.uint8(IGNORE))


def read_labels(scene: Scene, window: Window | None) -> np.ndarray:
    """Reads the class ids `[H, W]` of a prepared scene; 255 beyond the edge.

    Classes that may overlap have a channel each, `[H, W, K]`.
    """
    labels, valid = raster.read(scene.label, window)
    if not valid.all():
        labels = np.where(valid, labels, np.uint8(IGNORE))
    return labels if labels.shape[-1] > 1 else labels[..., 0]


def index(
    scene: Scene, stack: bands.Stack, *, size: int, stride: int, ids: int
) -> pd.DataFrame:
    """Returns the windows of a scene in which some pixel counts.

    The scene is read once, in strips between the origins of windows; memory does not
    depend on its height.

    Args:
        scene: prepared, so that `label` holds class ids, or a channel for each class.
        stack: bands to read.
        size: side of a window in pixels.
        stride: distance of neighbouring windows, up to `size`.
        ids: number of classes, the background included; see `classes.count`.

    Returns:
        A row a window: `scene, row, col, height, width, valid, share_0 … share_K`.
        Shares are of all pixels of the window, those beyond the edge too: `valid` of
        those that count, `share_0` of the background. They sum to `valid` unless
        classes overlap.
    """
    grid = windows.grid(scene.height, scene.width, size=size, stride=stride)
    cols = np.array(sorted({w.col for w in grid}))
    ends = np.minimum(cols + size, scene.width)
    strip = np.zeros((0, scene.width), np.uint8)
    begin, records = 0, []
    for row in sorted({w.row for w in grid}):
        stop = min(row + size, scene.height)
        new = Window(begin + len(strip), 0, stop - begin - len(strip), scene.width)
        fresh = known(
            bands.read(scene.images, stack, new, grid=scene.onto),
            read_labels(scene, new),
        )
        kept = strip[row - begin :].reshape(-1, *fresh.shape[1:])  # at first none
        strip, begin = np.concatenate([kept, fresh]), row
        # Columns first, then running sums: the cost does not grow with the overlap.
        each = [targets.holding(strip, i) for i in range(ids)]
        counts = np.stack([m.sum(0) for m in (targets.counted(strip), *each)])
        sums = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
        shares = (sums[:, ends] - sums[:, cols]).T / size**2
        for col, found in zip(cols.tolist(), shares, strict=True):
            if found[0]:
                records.append((scene.name, row, col, size, size, *found))
    return pd.DataFrame(records, columns=columns(ids))


def columns(ids: int) -> list[str]:
    """Returns the names of the columns that `index` fills."""
    first = ["scene", "row", "col", "height", "width", "valid"]
    return [*first, *(f"share_{i}" for i in range(ids))]


def window(row) -> Window:
    """Returns the window of a row of the index."""
    return Window(int(row.row), int(row.col), int(row.height), int(row.width))


def positive(index: pd.DataFrame) -> np.ndarray:
    """Tells of each window whether it holds a class that is not the background."""
    shares = [c for c in index.columns if c.startswith("share_") and c != "share_0"]
    return (index[shares] > 0).any(axis=1).to_numpy()


def by_scene(scenes: Sequence[Scene], index: pd.DataFrame):
    """Yields each scene that has windows in the index, with them."""
    named = {scene.name: scene for scene in scenes}
    for name, rows in index.groupby("scene", sort=False):
        yield named[name], rows
