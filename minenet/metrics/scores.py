"""Scores at one threshold: `(histogram [K, 2, bins], threshold, *, average)`.

The threshold is one value or one a class, and the nearest bin edge is taken. Each
returns `[K]` float64, a score a class; with `average="micro"` a float, the score of the
classes' counts added up; with `average="macro"` a float, the mean of the defined ones.
Of exclusive classes, `one_vs_rest(confusion)` is the histogram.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from minenet.metrics import ratios
from minenet.metrics.counting import Counts, counts

if TYPE_CHECKING:
    from minenet.types import Array

    Threshold = float | Array

Average = Literal["micro", "macro"] | None


def iou(
    histogram: Array, threshold: Threshold = 0.5, *, average: Average = None
) -> np.ndarray | float:
    """Returns intersection over union, the Jaccard index.

    NaN where nothing is labelled and nothing predicted.

    >>> iou(np.array([[[5, 1], [1, 2]]]))
    array([0.5])
    """
    return _score(ratios.iou, histogram, threshold, average)


def dice(
    histogram: Array, threshold: Threshold = 0.5, *, average: Average = None
) -> np.ndarray | float:
    """Returns the Dice coefficient, which is F1: `2 iou / (1 + iou)`.

    NaN where nothing is labelled and nothing predicted.
    """
    return _score(ratios.f_beta, histogram, threshold, average)


f1 = dice


def f_beta(
    histogram: Array,
    threshold: Threshold = 0.5,
    *,
    beta: float,
    average: Average = None,
) -> np.ndarray | float:
    """Returns Fβ, for which recall counts β times as much as precision.

    NaN where nothing is labelled and nothing predicted.

    Raises:
        ValueError: If `beta` is not above 0.
    """
    of = functools.partial(ratios.f_beta, beta=positive(beta))
    return _score(of, histogram, threshold, average)


def precision(
    histogram: Array, threshold: Threshold = 0.5, *, average: Average = None
) -> np.ndarray | float:
    """Returns the share of the predicted that is labelled.

    0 where nothing is predicted of what there is; NaN where there is nothing either.
    """
    return _score(ratios.precision, histogram, threshold, average)


def recall(
    histogram: Array, threshold: Threshold = 0.5, *, average: Average = None
) -> np.ndarray | float:
    """Returns the share of the labelled that is predicted.

    NaN where nothing is labelled.
    """
    return _score(ratios.recall, histogram, threshold, average)


def specificity(
    histogram: Array, threshold: Threshold = 0.5, *, average: Average = None
) -> np.ndarray | float:
    """Returns the share of the unlabelled that is not predicted.

    NaN where all is labelled.
    """
    return _score(ratios.specificity, histogram, threshold, average)


def accuracy(
    histogram: Array, threshold: Threshold = 0.5, *, average: Average = None
) -> np.ndarray | float:
    """Returns the share of pixels predicted as labelled; NaN without pixels.

    Mines are rare: a map without any scores high. Read it beside the others.
    """
    return _score(ratios.accuracy, histogram, threshold, average)


def balanced_accuracy(
    histogram: Array, threshold: Threshold = 0.5, *, average: Average = None
) -> np.ndarray | float:
    """Returns the mean of recall and specificity: 1/2 for any constant map.

    Where one label is absent it is the other's share alone; NaN without pixels. Of
    exclusive classes together it is the macro average of `recall`.
    """
    return _score(ratios.balanced_accuracy, histogram, threshold, average)


def mcc(
    histogram: Array, threshold: Threshold = 0.5, *, average: Average = None
) -> np.ndarray | float:
    """Returns Matthews' correlation coefficient of label and prediction, -1 to 1.

    0 is a constant map. NaN where all pixels have one label and each is predicted so:
    then nothing tells knowledge from chance.
    """
    return _score(ratios.mcc, histogram, threshold, average)


def kappa(
    histogram: Array, threshold: Threshold = 0.5, *, average: Average = None
) -> np.ndarray | float:
    """Returns Cohen's kappa, the accuracy beyond chance, -1 to 1.

    0 is a constant map; NaN as for `mcc`.
    """
    return _score(ratios.kappa, histogram, threshold, average)


def mean(scores: Array) -> float:
    """Returns the mean of the defined scores; NaN if none is."""
    defined = np.asarray(scores)[~np.isnan(scores)]
    return float(defined.mean()) if defined.size else float("nan")


def averaged(
    of: Callable[[Array], np.ndarray], counted: Array, average: Average
) -> np.ndarray | float:
    """Returns `of(counted [K, ...])`, a score a class, or its average as a float.

    Raises:
        ValueError: If `average` is no average.
    """
    if average not in (None, "micro", "macro"):
        raise ValueError(f"average={average!r}: must be 'micro', 'macro' or None")
    if average == "micro":
        return float(of(np.asarray(counted).sum(axis=0, keepdims=True))[0])
    found = of(counted)
    return mean(found) if average else found


def positive(beta: float) -> float:
    """Returns `beta`; raises a ValueError unless it is above 0."""
    if not beta > 0:
        raise ValueError(f"beta={beta}: must be above 0; above 1 recall weighs more")
    return beta


def _score(
    ratio: Callable[[Counts], np.ndarray],
    histogram: Array,
    threshold: Threshold,
    average: Average,
) -> np.ndarray | float:
    outcomes = np.stack(counts(histogram, threshold), axis=-1)
    return averaged(lambda each: ratio(Counts(*each.T)), outcomes, average)
