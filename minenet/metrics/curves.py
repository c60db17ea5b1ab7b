"""Scores over all thresholds at once: the curve, its areas and its best point."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minenet.metrics import scores
from minenet.metrics.counting import edges, outcomes

if TYPE_CHECKING:
    from minenet.types import Array

BY = {"iou": scores.iou_of, "f1": scores.dice_of, "accuracy": scores.accuracy_of}
"""What `best_threshold` can maximise."""


class Curve(NamedTuple):
    """Scores of K classes at every bin edge.

    Attributes:
        threshold: `[bins]`, ascending from 0.
        precision: `[K, bins]`.
        recall: `[K, bins]`, descending from 1.
        f1: `[K, bins]`.
        iou: `[K, bins]`.
    """

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    iou: np.ndarray


def curve(histogram: Array) -> Curve:
    """Returns precision, recall, F1 and IoU at every edge of a `[K, 2, bins]`."""
    at = outcomes(histogram)
    return Curve(
        edges(histogram.shape[-1]),
        scores.precision_of(at),
        scores.recall_of(at),
        scores.dice_of(at),
        scores.iou_of(at),
    )


def average_precision(histogram: Array) -> np.ndarray:
    """Returns `[K]`: precision averaged over the steps of recall.

    `Σ_i (R_i - R_{i-1}) P_i` without interpolation, as scikit-learn has it, on
    probabilities rounded down to bin edges. NaN where nothing is labelled.
    """
    precision = np.nan_to_num(scores.precision_of(outcomes(histogram)))
    return _weighted_mean(precision, np.asarray(histogram, np.int64)[:, 1])


def auroc(histogram: Array) -> np.ndarray:
    """Returns `[K]`: how often a positive pixel outranks a negative one.

    A tie, both in one bin, counts half: the trapezoids under the ROC curve. NaN where
    one of the two labels is absent.
    """
    negative, positive = np.moveaxis(np.asarray(histogram, np.int64), 1, 0)
    below = np.cumsum(negative, axis=-1) - negative
    total = negative.sum(axis=-1, keepdims=True)
    outranked = np.where(
        total > 0, (below + negative / 2) / np.maximum(total, 1), np.nan
    )
    return _weighted_mean(outranked, positive)


def best_threshold(histogram: Array, metric: str = "iou") -> np.ndarray:
    """Returns `[K]`: the inner bin edge at which `metric` is highest.

    Of several such edges, which come where no probability falls between, it is the
    middle one: the farthest from both labels. 1/2 where nothing is labelled.

    Args:
        histogram: `[K, 2, bins]`; of validation pixels, or the score that follows on
            the same pixels is too good.
        metric: "iou", "f1" (which ranks thresholds as IoU does) or "accuracy".

    Raises:
        ValueError: If `metric` is none of these.
    """
    if metric not in BY:
        raise ValueError(f"metric={metric!r}: must be one of {', '.join(BY)}")
    value = np.nan_to_num(BY[metric](outcomes(histogram))[:, 1:])
    inner = edges(histogram.shape[-1])[1:]
    labelled = np.asarray(histogram)[:, 1].sum(axis=-1) > 0
    best = []
    for row in value:
        ties = np.flatnonzero(row == row.max())
        best.append(inner[ties[len(ties) // 2]])
    return np.where(labelled, best, 0.5)


def _weighted_mean(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The mean of `values [K, bins]`, each taken `count [K, bins]` times; NaN of none.

    Counts are exact in float64, so a mean of values up to 1 is never above 1.
    """
    total = count.sum(axis=-1)
    return np.where(
        total > 0, (values * count).sum(axis=-1) / np.maximum(total, 1), np.nan
    )
