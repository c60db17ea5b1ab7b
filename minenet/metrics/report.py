"""All scores of a histogram as values that JSON can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minenet.metrics import calibration, curves, scores
from minenet.metrics.counting import wide

if TYPE_CHECKING:
    from minenet.types import Array

AT_THRESHOLD = (
    "iou",
    "f1",
    "precision",
    "recall",
    "specificity",
    "accuracy",
    "balanced_accuracy",
    "mcc",
    "kappa",
)
"""What `summary` says of one threshold, and exclusive classes have of a confusion."""


def summary(
    histogram: Array, threshold: float | Array = 0.5
) -> dict[str, list[float | None]]:
    """Returns every score by name, each a list of K; None where it is undefined.

    Args:
        histogram: `[K, 2, bins]`.
        threshold: One, or one a class.

    Returns:
        Those of `AT_THRESHOLD`; average_precision, auroc and, in up to 16 bins, ece and
        mce over all thresholds; pixels and positives, how many there were.
    """
    histogram = wide(histogram)
    values = {
        name: getattr(scores, name)(histogram, threshold) for name in AT_THRESHOLD
    }
    bins = min(calibration.BINS, histogram.shape[-1])
    values |= {
        "average_precision": curves.average_precision(histogram),
        "auroc": curves.auroc(histogram),
        "ece": calibration.ece(histogram, bins=bins),
        "mce": calibration.mce(histogram, bins=bins),
    }
    found = histogram.sum(axis=-1)
    return {
        **{name: _plain(value) for name, value in values.items()},
        "pixels": found.sum(axis=-1).tolist(),
        "positives": found[:, 1].tolist(),
    }


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
