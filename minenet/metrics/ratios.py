"""The scores as ratios of `Counts [...]`, float64; NaN where there is nothing to score.

Micro, macro, at one threshold or at all: these are the only definitions.
"""

from __future__ import annotations

import numpy as np

from minenet.metrics.counting import Counts


def iou(outcomes: Counts) -> np.ndarray:
    """Returns `tp / (tp + fp + fn)`."""
    tp, fp, fn, _ = outcomes
    return divide(tp, tp + fp + fn)


def f_beta(outcomes: Counts, beta: float = 1.0) -> np.ndarray:
    """Returns `(1 + β²) tp / ((1 + β²) tp + β² fn + fp)`."""
    tp, fp, fn, _ = outcomes
    square = beta**2
    hit = (1 + square) * tp
    return divide(hit, hit + square * fn + fp)


def precision(outcomes: Counts) -> np.ndarray:
    """Returns `tp / (tp + fp)`, 0 where nothing is predicted of what is."""
    tp, fp, fn, _ = outcomes
    return np.where((tp + fp == 0) & (fn > 0), 0.0, divide(tp, tp + fp))


def recall(outcomes: Counts) -> np.ndarray:
    """Returns `tp / (tp + fn)`."""
    tp, _, fn, _ = outcomes
    return divide(tp, tp + fn)


def specificity(outcomes: Counts) -> np.ndarray:
    """Returns `tn / (tn + fp)`."""
    _, fp, _, tn = outcomes
    return divide(tn, tn + fp)


def accuracy(outcomes: Counts) -> np.ndarray:
    """Returns `(tp + tn) / (tp + fp + fn + tn)`."""
    tp, fp, fn, tn = outcomes
    return divide(tp + tn, tp + fp + fn + tn)


def balanced_accuracy(outcomes: Counts) -> np.ndarray:
    """Returns the mean of recall and specificity, or the one that is defined."""
    both = np.stack([recall(outcomes), specificity(outcomes)])
    defined = ~np.isnan(both)
    return divide(np.where(defined, both, 0).sum(0), defined.sum(0))


def mcc(outcomes: Counts) -> np.ndarray:
    """Returns `(tp tn - fp fn) / √((tp + fp) (tp + fn) (tn + fp) (tn + fn))`."""
    tp, fp, fn, tn = (np.asarray(each, np.float64) for each in outcomes)
    # Roots first: the product of four counts leaves float64 sooner than its root.
    spread = np.prod([np.sqrt(x) for x in (tp + fp, tp + fn, tn + fp, tn + fn)], axis=0)
    return _beyond_chance(tp * tn - fp * fn, spread, fp + fn)


def kappa(outcomes: Counts) -> np.ndarray:
    """Returns Cohen's kappa, `(accuracy - chance) / (1 - chance)`."""
    tp, fp, fn, tn = (np.asarray(each, np.float64) for each in outcomes)
    spread = (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn)
    return _beyond_chance(2 * (tp * tn - fp * fn), spread, fp + fn)


def _beyond_chance(
    agreement: np.ndarray, spread: np.ndarray, errors: np.ndarray
) -> np.ndarray:
    """`agreement / spread`; where one label is all there is, 0 if there are errors."""
    return np.where((spread == 0) & (errors > 0), 0.0, divide(agreement, spread))


def divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns `part / whole`, NaN where the whole is nothing."""
    part, whole = np.broadcast_arrays(part, whole)
    undefined = np.full(whole.shape, np.nan)
    return np.divide(part, whole, out=undefined, where=whole > 0)
