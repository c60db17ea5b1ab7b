"""Scores over all thresholds at once: the curve, its areas and its best point."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minenet.metrics import ratios
from minenet.metrics.counting import Counts, edges, nearest_edge, outcomes, wide
from minenet.metrics.scores import Average, averaged, positive

if TYPE_CHECKING:
    from minenet.types import Array

BY = {
    "iou": ratios.iou,
    "f1": ratios.f_beta,
    "f_beta": ratios.f_beta,
    "accuracy": ratios.accuracy,
    "balanced_accuracy": ratios.balanced_accuracy,
    "mcc": ratios.mcc,
    "kappa": ratios.kappa,
}
"""What a threshold can be chosen by and `confidence_filter` can score."""


class Curve(NamedTuple):
    """Scores of K classes at every bin edge.

    Attributes:
        threshold: `[bins]`, ascending from 0.
        precision: `[K, bins]`.
        recall: `[K, bins]`, descending from 1.
        f1: `[K, bins]`.
        iou: `[K, bins]`.
        specificity: `[K, bins]`, ascending from 0: recall against 1 - specificity is
            the ROC curve.
    """

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    iou: np.ndarray
    specificity: np.ndarray


class Filtered(NamedTuple):
    """What is left of K classes when pixels below a confidence are left out.

    Attributes:
        confidence: `[bins]`, τ ascending from 0.
        score: `[K, bins]`, of the pixels with `p >= τ`.
        kept: `[K, bins]`, their share of all, descending from 1.
    """

    confidence: np.ndarray
    score: np.ndarray
    kept: np.ndarray


def curve(histogram: Array) -> Curve:
    """Returns precision, recall, F1, IoU and specificity at each edge of a histogram.

    Args:
        histogram: `[K, 2, bins]`.
    """
    at = outcomes(histogram)
    return Curve(
        edges(histogram.shape[-1]),
        ratios.precision(at),
        ratios.recall(at),
        ratios.f_beta(at),
        ratios.iou(at),
        ratios.specificity(at),
    )


def average_precision(
    histogram: Array, *, average: Average = None
) -> np.ndarray | float:
    """Returns `[K]`: precision averaged over the steps of recall.

    `Σ_i (R_i - R_{i-1}) P_i` without interpolation, as scikit-learn has it, on
    probabilities rounded down to bin edges. What they are within a bin is lost, and
    with it at most `max(P_high - P, P - P_low)`, each averaged over the positive
    pixels: a pixel's true precision is not above that with all positives of its bin and
    no negative before it, `P_high`, nor below that with all negatives of its bin before
    them, `P_low`. `average_precision_bounds` returns these. NaN where nothing is
    labelled.

    Args:
        histogram: `[K, 2, bins]`.
        average: "micro" ranks the pixels of all classes together, "macro" is the mean.
    """
    return averaged(_average_precision, histogram, average)


def average_precision_bounds(histogram: Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and highest `[K]` that the unbinned average precision can be.

    It holds for every order within the bins, ties included: see `average_precision`.
    """
    negative, positive = np.moveaxis(wide(histogram).astype(np.float64), 1, 0)
    hit, false = (np.cumsum(x[:, ::-1], -1)[:, ::-1] for x in (positive, negative))
    high = ratios.divide(hit, hit + false - negative)
    # Behind all negatives of the bin the positives come one by one; the mean of
    # (h + j) / (h + j + f) over j = 1…p is at least 1 - f/p · ln(1 + p / (h + f)).
    before = hit - positive + false
    with np.errstate(divide="ignore", invalid="ignore"):
        low = 1 - false / positive * np.log1p(positive / before)
    low = np.where(false > 0, np.clip(low, 0, 1), 1.0)
    return tuple(_weighted_mean(np.nan_to_num(each), positive) for each in (low, high))


def auroc(histogram: Array, *, average: Average = None) -> np.ndarray | float:
    """Returns `[K]`: how often a positive pixel outranks a negative one.

    A tie, both in one bin, counts half: the trapezoids under the ROC curve. Unbinned it
    differs by at most half the share of such pairs, `Σ_b n_b p_b / 2NP`, and
    `auroc_bounds` returns what it lies between. NaN where one of the two labels is
    absent.

    Args:
        histogram: `[K, 2, bins]`.
        average: "micro" ranks the pixels of all classes together, "macro" is the mean.
    """
    return averaged(functools.partial(_auroc, tie=0.5), histogram, average)


def auroc_bounds(histogram: Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and highest `[K]` that the unbinned AUROC can be."""
    return _auroc(histogram, tie=0.0), _auroc(histogram, tie=1.0)


def best_threshold(
    histogram: Array, metric: str = "iou", *, beta: float = 1.0
) -> np.ndarray:
    """Returns `[K]`: the inner bin edge at which `metric` is highest.

    Of several such edges, which come where no probability falls between, it is the
    middle one: the farthest from both labels. 1/2 where nothing is labelled.

    Args:
        histogram: `[K, 2, bins]`; of validation pixels, or the score that follows on
            the same pixels is too good.
        metric: "iou", "f1" (which ranks thresholds as IoU does), "f_beta", "accuracy",
            "balanced_accuracy", "mcc" or "kappa".
        beta: How much more recall counts than precision, for "f_beta".

    Raises:
        ValueError: If `metric` is none of these.
    """
    value = np.nan_to_num(_metric(metric, beta)(outcomes(histogram))[:, 1:])
    inner = edges(histogram.shape[-1])[1:]
    labelled = np.asarray(histogram)[:, 1].sum(axis=-1) > 0
    best = []
    for row in value:
        ties = np.flatnonzero(row == row.max())
        best.append(inner[ties[len(ties) // 2]])
    return np.where(labelled, best, 0.5)


def confidence_filter(
    histogram: Array,
    threshold: float | Array = 0.5,
    metric: str = "f1",
    *,
    beta: float = 1.0,
) -> Filtered:
    """Returns what a score gains, and how many pixels are left, if only the sure count.

    At each τ the pixels with `p >= τ` are kept, and those with `p >= threshold` among
    them are the prediction.

    Args:
        histogram: `[K, 2, bins]`.
        threshold: In 0..1, one or `[K]`; the nearest bin edge is taken.
        metric: As for `best_threshold`.
        beta: As for `best_threshold`.

    Raises:
        ValueError: If the threshold is out of range, or `metric` none that there is.
    """
    at = outcomes(histogram)
    bins = histogram.shape[-1]
    first = nearest_edge(threshold, bins)
    hit = np.maximum(np.arange(bins), np.broadcast_to(first, len(histogram))[:, None])
    tp, fp = (np.take_along_axis(kept, hit, axis=-1) for kept in (at.tp, at.fp))
    left = Counts(tp=tp, fp=fp, fn=at.tp - tp, tn=at.fp - fp)
    kept = at.tp + at.fp
    return Filtered(
        edges(bins), _metric(metric, beta)(left), ratios.divide(kept, kept[:, :1])
    )


def _metric(name: str, beta: float) -> functools.partial:
    if name not in BY:
        raise ValueError(f"metric={name!r}: must be one of {', '.join(BY)}")
    keywords = {"beta": positive(beta)} if name == "f_beta" else {}
    return functools.partial(BY[name], **keywords)


def _average_precision(histogram: Array) -> np.ndarray:
    precision = np.nan_to_num(ratios.precision(outcomes(histogram)))
    return _weighted_mean(precision, wide(histogram)[:, 1])


def _auroc(histogram: Array, *, tie: float) -> np.ndarray:
    negative, positive = np.moveaxis(wide(histogram), 1, 0)
    below = np.cumsum(negative, axis=-1) - negative
    total = below[:, -1:] + negative[:, -1:]
    outranked = ratios.divide(below + tie * negative, total)
    return _weighted_mean(outranked, positive)


def _weighted_mean(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The mean of `values [K, bins]` up to 1, each `count` times; NaN of none.

    The sum of counts is exact in float64; that of weights is not, hence the minimum.
    """
    mean = ratios.divide((values * count).sum(axis=-1), count.sum(axis=-1))
    return np.minimum(mean, 1.0)
