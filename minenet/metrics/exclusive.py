"""Exclusive classes: which one is taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from minenet.metrics.counting import count, must_belong_together, weighted_count, wide

if TYPE_CHECKING:
    from minenet.types import Array


def confusion(
    probability: Array, target: Array, weight: Array, *, weighted: bool = False
) -> Array:
    """Returns how many pixels of each class are taken for each.

    Args:
        probability: `[..., K]`, or logits; the largest wins, the first of equals. NaN
            in all classes is class 0, the background.
        target: `[..., K]`; the largest is the label.
        weight: `[...]`; pixels of weight 0 do not count, all others count as one.
        weighted: Pixels count as their weight instead: see `histogram`.

    Returns:
        `[K, K]`: label, prediction. int32 of JAX for JAX arrays, int64 of NumPy for
        NumPy arrays; weighted, float32 and float64.

    Raises:
        ValueError: If the shapes do not belong together.

    >>> p, t = np.array([[0.2, 0.8], [0.1, 0.9]]), np.eye(2)
    >>> confusion(p, t, np.ones(2))
    array([[0, 1],
           [0, 1]])
    """
    must_belong_together(probability, target, weight)
    xp = np if isinstance(probability, np.ndarray) else jnp
    classes = probability.shape[-1]
    probability = xp.where(xp.isnan(probability), -xp.inf, probability)
    pair = xp.argmax(target, -1) * classes + xp.argmax(probability, -1)
    counted = weight > 0
    if xp is np:
        by = weight[counted].astype(np.float64) if weighted else None
        found = np.bincount(pair[counted], by, minlength=classes**2)
    elif weighted:
        found = weighted_count(pair, weight, cells=classes**2)
    else:
        found = count(pair, counted, cells=classes**2)
    return found.reshape(classes, classes)


def one_vs_rest(confusion: Array) -> np.ndarray:
    """Returns a confusion matrix `[K, K]` as a histogram of two bins, `[K, 2, 2]`.

    Its only threshold is 1/2: `iou(one_vs_rest(confusion))` and the other scores at a
    threshold are those of each class against all others.
    """
    confusion = wide(confusion)
    tp = np.diagonal(confusion)
    fn = confusion.sum(axis=1) - tp
    fp = confusion.sum(axis=0) - tp
    tn = np.maximum(confusion.sum() - tp - fn - fp, 0)  # of weights, rounded
    return np.moveaxis(np.array([[tn, fp], [fn, tp]]), -1, 0)


def multiclass_mcc(confusion: Array) -> float:
    """Returns Gorodkin's R_K, Matthews' correlation of K classes, of `[K, K]`.

    0 where the map or the truth is constant but they are not alike; NaN where all is of
    one class and predicted so, and without pixels. At K = 2 it is `mcc`.
    """
    confusion = wide(confusion).astype(np.float64)
    label, found, total = confusion.sum(1), confusion.sum(0), confusion.sum()
    together = np.trace(confusion) * total - label @ found
    apart = (total**2 - label @ label, total**2 - found @ found)
    return _beyond_chance(confusion, together, np.sqrt(apart[0]) * np.sqrt(apart[1]))


def multiclass_kappa(confusion: Array) -> float:
    """Returns Cohen's kappa of K classes, of `[K, K]`.

    0 and NaN where `multiclass_mcc` is. At K = 2 it is `kappa`.
    """
    confusion = wide(confusion).astype(np.float64)
    label, found, total = confusion.sum(1), confusion.sum(0), confusion.sum()
    together = np.trace(confusion) * total - label @ found
    return _beyond_chance(confusion, together, total**2 - label @ found)


def _beyond_chance(confusion: np.ndarray, together: float, apart: float) -> float:
    if apart > 0:
        return float(together / apart)
    return 0.0 if confusion.sum() > np.trace(confusion) else float("nan")
