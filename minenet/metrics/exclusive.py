"""Exclusive classes: which one is taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from minenet.types import Array


def confusion(probability: Array, target: Array, weight: Array) -> Array:
    """Returns how many pixels of each class are taken for each.

    Args:
        probability: `[..., K]`, or logits; the largest wins, the first of equals. NaN
            in all classes is class 0, the background.
        target: `[..., K]`; the largest is the label.
        weight: `[...]`; pixels of weight 0 do not count, all others count as one.

    Returns:
        `[K, K]`: label, prediction. int32 of JAX for JAX arrays, int64 of NumPy for
        NumPy arrays.

    Raises:
        ValueError: If the shapes do not belong together.

    >>> p, t = np.array([[0.2, 0.8], [0.1, 0.9]]), np.eye(2)
    >>> confusion(p, t, np.ones(2))
    array([[0, 1],
           [0, 1]])
    """
    if probability.shape != target.shape or probability.shape[:-1] != weight.shape:
        raise ValueError(
            f"probability (shape={probability.shape}) and target "
            f"(shape={target.shape}) must be alike, and weight (shape={weight.shape}) "
            "lack only their last axis"
        )
    xp = np if isinstance(probability, np.ndarray) else jnp
    classes = probability.shape[-1]
    probability = xp.where(xp.isnan(probability), -xp.inf, probability)
    pair = xp.argmax(target, -1) * classes + xp.argmax(probability, -1)
    # One weight row beyond the last pair takes the pixels that do not count.
    pair = xp.where(weight > 0, pair, classes * classes).ravel()
    if xp is np:
        found = np.bincount(pair, minlength=classes**2 + 1)
    else:
        found = jnp.bincount(pair, length=classes**2 + 1)
    return found[:-1].reshape(classes, classes)


def one_vs_rest(confusion: Array) -> np.ndarray:
    """Returns a confusion matrix as a histogram of two bins, `[K, 2, 2]` int64.

    Its only threshold is 1/2: `iou(one_vs_rest(confusion))` and the other scores at a
    threshold are those of each class against all others.
    """
    confusion = np.asarray(confusion, np.int64)
    tp = np.diagonal(confusion)
    fn = confusion.sum(axis=1) - tp
    fp = confusion.sum(axis=0) - tp
    tn = confusion.sum() - tp - fn - fp
    return np.moveaxis(np.array([[tn, fp], [fn, tp]]), -1, 0)
