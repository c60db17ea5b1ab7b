"""All scores of a histogram as values that JSON can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minenet.metrics import curves, scores

if TYPE_CHECKING:
    from minenet.types import Array


def summary(
    histogram: Array, threshold: float | Array = 0.5
) -> dict[str, list[float | None]]:
    """Returns every score by name, each a list of K; None where it is undefined.

    Args:
        histogram: `[K, 2, bins]`.
        threshold: One, or one a class.

    Returns:
        iou, f1, precision, recall, accuracy at the threshold; average_precision and
        auroc over all thresholds; pixels and positives, how many there were.
    """
    values = {
        "iou": scores.iou(histogram, threshold),
        "f1": scores.f1(histogram, threshold),
        "precision": scores.precision(histogram, threshold),
        "recall": scores.recall(histogram, threshold),
        "accuracy": scores.accuracy(histogram, threshold),
        "average_precision": curves.average_precision(histogram),
        "auroc": curves.auroc(histogram),
    }
    found = np.asarray(histogram, np.int64).sum(axis=-1)
    return {
        **{name: _plain(value) for name, value in values.items()},
        "pixels": found.sum(axis=-1).tolist(),
        "positives": found[:, 1].tolist(),
    }


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
