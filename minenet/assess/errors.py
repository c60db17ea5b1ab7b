"""How wrong a model is on each window: what it has still to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from minenet import files
from minenet.assess import judged
from minenet.data import chips
from minenet.data.prepared import Prepared
from minenet.data.scenes import Scene
from minenet.infer.bundle import Bundle
from minenet.infer.predict import Predict
from minenet.types import Task


def of_windows(
    bundle: Bundle,
    predict: Predict,
    prepared: Prepared,
    *,
    split: str = "train",
    **tiling: Any,
) -> pd.DataFrame:
    """Returns the error of each window of a split: the mean of `of_pixels`.

    The mean is over the pixels that count, so that a window at the edge of the data is
    as hard as a whole one. It is of differences, not the share of wrong pixels: that
    needs a threshold, which is chosen on another split, and is 0 for every window that
    the model has barely learnt.

    Args:
        bundle: The model.
        predict: As `predict.predictor` returns it.
        prepared: The scenes, their labels and the index.
        split: "train", "validation" or "test".
        **tiling: `window` and `overlap` of `mosaic.strips`.

    Returns:
        A row a window, in the order of the index: `scene, row, col, error`, the last in
        0..1; 0 where no pixel of it counts. `sampling.hardness` reads it as a CSV.

    Raises:
        InputError: The split has no window.
    """
    index = judged.index(prepared, split)
    found = pd.Series(0.0, index.index)
    for scene, rows in chips.by_scene(prepared.scenes, index):
        found[rows.index] = _of_scene(bundle, predict, scene, rows, tiling)
    return index[["scene", "row", "col"]].assign(error=found)


def of_pixels(probability: np.ndarray, target: np.ndarray, *, task: Task) -> np.ndarray:
    """Returns how far probabilities lie from the truth, `[H, W]` in 0..1.

    |probability − target|, of overlapping classes the mean; of exclusive ones half the
    sum, which is what the true class lacks to 1 (the total variation distance).

    Args:
        probability: `[H, W, K]`; NaN counts as no error.
        target: `[H, W, K]`.
        task: What `K` means.

    >>> p, t = np.array([[[0.75, 0.25, 0.0]]]), np.array([[[1.0, 0.0, 0.0]]])
    >>> of_pixels(p, t, task="exclusive")
    array([[0.25]])
    """
    apart = np.nan_to_num(np.abs(probability - target)).sum(axis=-1)
    return apart / (2 if task == "exclusive" else target.shape[-1])


def write(path: Path, errors: pd.DataFrame) -> None:
    """Writes `errors.csv`, whole or not at all.

    Raises:
        InputError: No space, no permission.
    """
    with files.replacing(path) as part:
        errors.to_csv(part, index=False, float_format="%.6g")


def _of_scene(
    bundle: Bundle,
    predict: Predict,
    scene: Scene,
    rows: pd.DataFrame,
    tiling: dict[str, Any],
) -> np.ndarray:
    """Means by running sums: the cost does not grow with the overlap of windows."""
    wrong, count = np.zeros(len(rows)), np.zeros(len(rows))
    for strip in judged.strips(bundle, predict, scene, rows, **tiling):
        error = of_pixels(strip.probability, strip.target, task=bundle.task)
        wrong += _sums(np.where(strip.weight, error, 0), rows, strip.row)
        count += _sums(strip.weight, rows, strip.row)
    return np.clip(wrong / np.maximum(count, 1), 0, 1)


def _sums(strip: np.ndarray, rows: pd.DataFrame, first: int) -> np.ndarray:
    """Returns the sum `[N]` of what each window holds of a strip `[H, W]`."""
    height, width = strip.shape
    sums = np.pad(strip.cumsum(0, dtype=float).cumsum(1), ((1, 0), (1, 0)))
    top, left = rows.row.to_numpy() - first, rows.col.to_numpy()
    bottom = np.clip(top + rows.height.to_numpy(), 0, height)
    right = np.clip(left + rows.width.to_numpy(), 0, width)
    top, left = np.clip(top, 0, height), np.clip(left, 0, width)
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
