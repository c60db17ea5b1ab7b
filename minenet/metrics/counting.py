"""The joint histogram: pixels by label and by bin of the predicted probability.

With a power of two for the number of bins, `floor(p · bins)` is exact, and so a pixel
lies in bin `b` or above if and only if `p >= b / bins`: sums of bins are the very
counts that a comparison with the threshold would give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from minenet.types import Array

BINS = 1024
"""The default number of bins: thresholds come in steps of a thousandth."""


class Counts(NamedTuple):
    """Pixels by outcome, each `[...]` int64.

    Attributes:
        tp: Labelled and predicted.
        fp: Predicted alone.
        fn: Labelled alone: missed.
        tn: Neither.
    """

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray


def histogram(
    probability: Array, target: Array, weight: Array, *, bins: int = BINS
) -> Array:
    """Returns how many pixels have each label and bin of probability, per class.

    Args:
        probability: `[..., K]` in 0..1; NaN counts as 0, no prediction being none of a
            mine.
        target: `[..., K]`; at least 1/2 is positive.
        weight: `[...]`; pixels of weight 0 do not count, all others count as one.
        bins: A power of two.

    Returns:
        `[K, 2, bins]`: class, label, bin. int32 of JAX for JAX arrays, which overflows
        past 2³¹ pixels: add up on the host. int64 of NumPy for NumPy arrays.

    Raises:
        ValueError: If the shapes do not belong together, or `bins` is no power of two.

    >>> p = np.array([[0.1], [0.6], [0.9]])
    >>> histogram(p, np.array([[0.0], [0.0], [1.0]]), np.ones(3), bins=2)
    array([[[1, 1],
            [0, 1]]])
    """
    if probability.shape != target.shape or probability.shape[:-1] != weight.shape:
        raise ValueError(
            f"probability (shape={probability.shape}) and target "
            f"(shape={target.shape}) must be alike, and weight (shape={weight.shape}) "
            "lack only their last axis"
        )
    if bins < 2 or bins & (bins - 1):
        raise ValueError(f"bins={bins}: must be a power of two, or counts are inexact")
    classes = probability.shape[-1]
    host = isinstance(probability, np.ndarray)
    xp = np if host else jnp
    probability = xp.asarray(probability, xp.float32)  # as a map stores it
    probability = xp.where(xp.isnan(probability), 0.0, probability)
    bin_ = xp.clip(xp.floor(probability * bins), 0, bins - 1).astype(xp.int32)
    cell = bin_ + xp.where(target >= 0.5, bins, 0).astype(xp.int32)
    counted = weight > 0
    if host:
        of_class = [
            np.bincount(cell[..., k][counted], minlength=2 * bins)
            for k in range(classes)
        ]
        return np.stack(of_class).reshape(classes, 2, bins)
    return _count(cell, counted, classes=classes, cells=2 * bins).reshape(
        classes, 2, bins
    )


def _count(
    cell: jax.Array, counted: jax.Array, *, classes: int, cells: int
) -> jax.Array:
    cell = cell + cells * jnp.broadcast_to(jnp.arange(classes), cell.shape)
    ones = jnp.broadcast_to(counted[..., None], cell.shape).astype(jnp.int32)
    empty = jnp.zeros(classes * cells, jnp.int32)
    return empty.at[cell.ravel()].add(ones.ravel(), mode="promise_in_bounds")


def edges(bins: int = BINS) -> np.ndarray:
    """Returns `[bins]` float64, the thresholds that a histogram can answer for."""
    return np.arange(bins) / bins


def counts(histogram: Array, threshold: float | Array = 0.5) -> Counts:
    """Returns the outcomes when `p >= threshold` is a prediction.

    Args:
        histogram: `[K, 2, bins]`.
        threshold: In 0..1, one or `[K]`; the nearest bin edge is taken.

    Raises:
        ValueError: If the threshold is out of range.
    """
    threshold = np.asarray(threshold, np.float64)
    if not np.all((threshold >= 0) & (threshold <= 1)):
        raise ValueError(f"threshold={threshold}: must lie in 0..1")
    histogram = np.asarray(histogram, np.int64)
    bins = histogram.shape[-1]
    # The last edge is the highest: at 1 and above no bin begins.
    first = np.minimum(np.rint(threshold * bins).astype(int), bins - 1)
    every = outcomes(histogram)
    chosen = (np.arange(len(histogram)), np.broadcast_to(first, len(histogram)))
    return Counts(*(outcome[chosen] for outcome in every))


def outcomes(histogram: Array) -> Counts:
    """Returns the outcomes at every edge, each `[K, bins]`, from a `[K, 2, bins]`."""
    histogram = np.asarray(histogram, np.int64)
    predicted = np.cumsum(histogram[..., ::-1], axis=-1)[..., ::-1]
    missed = histogram.sum(axis=-1, keepdims=True) - predicted
    return Counts(
        tp=predicted[:, 1], fp=predicted[:, 0], fn=missed[:, 1], tn=missed[:, 0]
    )
