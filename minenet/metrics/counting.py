"""The joint histogram: pixels by label and by bin of the predicted probability.

With a power of two for the number of bins, `floor(p · bins)` is exact, and so a pixel
lies in bin `b` or above if and only if `p >= b / bins`: sums of bins are the very
counts that a comparison with the threshold would give.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from minenet.types import Array

BINS = 1024
"""The default number of bins: thresholds come in steps of a thousandth."""


class Counts(NamedTuple):
    """Pixels by outcome, each `[...]` int64, or float64 where they are weighted.

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
    probability: Array,
    target: Array,
    weight: Array,
    *,
    bins: int = BINS,
    weighted: bool = False,
) -> Array:
    """Returns how many pixels have each label and bin of probability, per class.

    Args:
        probability: `[..., K]` in 0..1; NaN counts as 0, no prediction being none of a
            mine.
        target: `[..., K]`; at least 1/2 is positive.
        weight: `[...]`; pixels of weight 0 do not count, all others count as one.
        bins: A power of two.
        weighted: Pixels count as their weight instead. With 1 / inclusion probability
            for weight, the scores of a sample estimate those of all that it was drawn
            from.

    Returns:
        `[K, 2, bins]`: class, label, bin. int32 of JAX for JAX arrays, which overflows
        past 2³¹ pixels: add up on the host. int64 of NumPy for NumPy arrays. Weighted:
        float32 of JAX, from weights in steps of 2⁻²³ of the highest, for up to 2²⁵
        pixels; float64 of NumPy.

    Raises:
        ValueError: If the shapes do not belong together, or `bins` is no power of two.

    >>> p = np.array([[0.1], [0.6], [0.9]])
    >>> histogram(p, np.array([[0.0], [0.0], [1.0]]), np.ones(3), bins=2)
    array([[[1, 1],
            [0, 1]]])
    """
    must_belong_together(probability, target, weight)
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
        by = weight[counted].astype(np.float64) if weighted else None
        of_class = [
            np.bincount(cell[..., k][counted], by, minlength=2 * bins)
            for k in range(classes)
        ]
        return np.stack(of_class).reshape(classes, 2, bins)
    cell = cell + 2 * bins * jnp.broadcast_to(jnp.arange(classes), cell.shape)
    shape = (classes, 2, bins)
    if weighted:
        weight = jnp.broadcast_to(weight[..., None], cell.shape)
        return weighted_count(cell, weight, cells=math.prod(shape)).reshape(shape)
    counted = jnp.broadcast_to(counted[..., None], cell.shape)
    return count(cell, counted, cells=math.prod(shape)).reshape(shape)


def count(cell: jax.Array, by: jax.Array, *, cells: int) -> jax.Array:
    """Returns `[cells]` int32, the sum of the integers `by [...]` of each `cell [...]`.

    A plain scatter: XLA fuses what makes the cells into its loop on a CPU, and it is
    atomic adds on an accelerator. Private histograms of chunks, narrower cells and
    sorting are slower; a scan over chunks is up to 1.5 times faster on a CPU, but slow
    on accelerators and it gathers a batch that lies on several devices.
    """
    empty = jnp.zeros(cells, jnp.int32)
    by = by.astype(jnp.int32).ravel()
    return empty.at[cell.ravel()].add(by, mode="promise_in_bounds")


def weighted_count(cell: jax.Array, by: jax.Array, *, cells: int) -> jax.Array:
    """Returns `[cells]` float32, the sum of the weights `by [...]` of each cell.

    Added up in float32, large sums would swallow the weights that follow. So they are
    counted as integers, in four digits to the base 64: exactly, in any order, and
    thus alike on any number of devices.
    """
    by = jnp.where(by > 0, by, 0).astype(jnp.float32)
    highest = jnp.max(by, initial=jnp.finfo(jnp.float32).tiny)
    steps = jnp.rint(by / highest * 2**23).astype(jnp.int32)
    total = jnp.zeros(cells, jnp.float32)
    for digit in range(4):
        found = count(cell, steps >> (6 * digit) & 63, cells=cells)
        total = total + found.astype(jnp.float32) * 2.0 ** (6 * digit - 23)
    return total * highest


def must_belong_together(probability: Array, target: Array, weight: Array) -> None:
    """Raises a ValueError if the shapes of a prediction and its truth do not fit."""
    if probability.shape != target.shape or probability.shape[:-1] != weight.shape:
        raise ValueError(
            f"probability (shape={probability.shape}) and target "
            f"(shape={target.shape}) must be alike, and weight (shape={weight.shape}) "
            "lack only their last axis"
        )


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
    first = nearest_edge(threshold, histogram.shape[-1])
    every = outcomes(histogram)
    chosen = (np.arange(len(histogram)), np.broadcast_to(first, len(histogram)))
    return Counts(*(outcome[chosen] for outcome in every))


def nearest_edge(threshold: float | Array, bins: int) -> np.ndarray:
    """Returns the numbers of the bins that begin nearest to thresholds in 0..1.

    Raises:
        ValueError: If a threshold is out of range.
    """
    threshold = np.asarray(threshold, np.float64)
    if not np.all((threshold >= 0) & (threshold <= 1)):
        raise ValueError(f"threshold={threshold}: must lie in 0..1")
    # The last edge is the highest: at 1 and above no bin begins.
    return np.minimum(np.rint(threshold * bins).astype(int), bins - 1)


def outcomes(histogram: Array) -> Counts:
    """Returns the outcomes at every edge, each `[K, bins]`, from a `[K, 2, bins]`."""
    predicted = np.cumsum(wide(histogram)[..., ::-1], axis=-1)[..., ::-1]
    # The sum of all is the last that was added up: of floats, another would differ.
    missed = predicted[..., :1] - predicted
    return Counts(
        tp=predicted[:, 1], fp=predicted[:, 0], fn=missed[:, 1], tn=missed[:, 0]
    )


def wide(counts: Array) -> np.ndarray:
    """Returns counts as int64, and weighted ones as float64."""
    counts = np.asarray(counts)
    return counts.astype(np.float64 if counts.dtype.kind == "f" else np.int64)
