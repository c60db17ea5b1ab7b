"""Scores at one threshold, each `(histogram [K, 2, bins], threshold) -> [K]` float64.

The threshold is one value or one a class, and the nearest bin edge is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minenet.metrics.counting import Counts, counts

if TYPE_CHECKING:
    from minenet.types import Array

    Threshold = float | Array


def iou(histogram: Array, threshold: Threshold = 0.5) -> np.ndarray:
    """Returns intersection over union, the Jaccard index.

    NaN where nothing is labelled and nothing predicted.

    >>> iou(np.array([[[5, 1], [1, 2]]]))
    array([0.5])
    """
    return iou_of(counts(histogram, threshold))


def dice(histogram: Array, threshold: Threshold = 0.5) -> np.ndarray:
    """Returns the Dice coefficient, which is F1: `2 iou / (1 + iou)`.

    NaN where nothing is labelled and nothing predicted.
    """
    return dice_of(counts(histogram, threshold))


f1 = dice


def precision(histogram: Array, threshold: Threshold = 0.5) -> np.ndarray:
    """Returns the share of the predicted that is labelled.

    0 where nothing is predicted of what there is; NaN where there is nothing either.
    """
    return precision_of(counts(histogram, threshold))


def recall(histogram: Array, threshold: Threshold = 0.5) -> np.ndarray:
    """Returns the share of the labelled that is predicted.

    NaN where nothing is labelled.
    """
    return recall_of(counts(histogram, threshold))


def accuracy(histogram: Array, threshold: Threshold = 0.5) -> np.ndarray:
    """Returns the share of pixels predicted as labelled; NaN without pixels.

    Mines are rare: a map without any scores high. Read it beside the others.
    """
    return accuracy_of(counts(histogram, threshold))


def mean(scores: Array) -> float:
    """Returns the mean of the defined scores; NaN if none is."""
    defined = np.asarray(scores)[~np.isnan(scores)]
    return float(defined.mean()) if defined.size else float("nan")


def iou_of(outcomes: Counts) -> np.ndarray:
    """Returns `tp / (tp + fp + fn)`."""
    tp, fp, fn, _ = outcomes
    return _divide(tp, tp + fp + fn)


def dice_of(outcomes: Counts) -> np.ndarray:
    """Returns `2 tp / (2 tp + fp + fn)`."""
    tp, fp, fn, _ = outcomes
    return _divide(2 * tp, 2 * tp + fp + fn)


def precision_of(outcomes: Counts) -> np.ndarray:
    """Returns `tp / (tp + fp)`, 0 where nothing is predicted of what is."""
    tp, fp, fn, _ = outcomes
    return np.where((tp + fp == 0) & (fn > 0), 0.0, _divide(tp, tp + fp))


def recall_of(outcomes: Counts) -> np.ndarray:
    """Returns `tp / (tp + fn)`."""
    tp, _, fn, _ = outcomes
    return _divide(tp, tp + fn)


def accuracy_of(outcomes: Counts) -> np.ndarray:
    """Returns `(tp + tn) / (tp + fp + fn + tn)`."""
    tp, fp, fn, tn = outcomes
    return _divide(tp + tn, tp + fp + fn + tn)


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, NaN where the whole is nothing."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
