"""Losses on the overlap of two regions: insensitive to how rare a class is.

Each is written by its errors, `1 - I / U` as `(U - I) / U`, which does not cancel where
the overlap is nearly whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from minenet.losses import classes, masking

if TYPE_CHECKING:
    from minenet.losses.masking import Activation, Over, Reduction
    from minenet.types import Array


def dice(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    over: Over = "batch",
    squared: bool = False,
    smooth: float = 1.0,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns one minus the soft Dice coefficient, averaged over classes.

    `1 - (2 Σ w p t + s) / (Σ w p + Σ w t + s)`; `squared` has `Σ w p² + Σ w t²` below,
    as Milletari et al. 2016. Made for hard targets: without the squares a soft one is
    overshot, as p = 1 costs less than p = t.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        activation: What makes probabilities of logits.
        over: "batch" sums over all pixels before it divides, so that a chip without a
            mine adds its false alarms and no more; "sample" divides chip by chip and
            averages those that have a pixel that counts.
        squared: Whether the sizes are sums of squares.
        smooth: `s`, in pixels; what an empty class is compared with. smp's is half of
            it.
        reduction: "none" for each sample's, with `over="sample"`.

    Returns:
        A scalar in 0..1, or `[B]`.

    Raises:
        InputError: If an option is none of those named, or `smooth` not positive.
    """
    masking.positive("smooth", smooth)
    logits, target, weight = masking.clean(logits, target, weight)
    probability = masking.squash(logits, activation)
    if squared:
        error = jnp.square(probability - target)
        size = jnp.square(probability) + jnp.square(target)
    else:
        size = probability + target
        error = size - 2 * probability * target
    error, size = (masking.total(each, weight, over) for each in (error, size))
    cost = error / (size + smooth)
    return masking.over_regions(cost.mean(axis=-1), weight, over, reduction)


def log_cosh_dice(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    over: Over = "batch",
    smooth: float = 1.0,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns `log cosh` of the Dice loss: flat near the optimum (Jadon 2020).

    Args and result are those of `dice`.
    """
    logits, target, weight = masking.clean(logits, target, weight)
    each = "none" if over == "sample" else "mean"
    loss = dice(
        logits,
        target,
        weight,
        activation=activation,
        over=over,
        smooth=smooth,
        reduction=each,
    )
    # cosh x - 1 = 2 sinh²(x/2), which keeps the digits of a small x.
    cost = jnp.log1p(2 * jnp.sinh(loss / 2) ** 2)
    return masking.over_regions(cost, weight, over, reduction)


def generalised_dice(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    over: Over = "batch",
    smooth: float = 1e-5,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns one minus the Dice of all classes together, each by its rarity.

    `1 - 2 Σ_k c_k Σ w p t / Σ_k c_k Σ w (p + t)` with `c_k = 1 / (Σ w t)²`, Sudre et
    al. 2017. A class that is absent gets the largest of the factors of the others, as
    in NiftyNet and MONAI. Factors are relative to the largest: so `smooth` means the
    same for large regions and small ones.

    Args and result are those of `dice`.
    """
    masking.positive("smooth", smooth)
    logits, target, weight = masking.clean(logits, target, weight)
    probability = masking.squash(logits, activation)
    size, found, both = (
        masking.total(each, weight, over)
        for each in (target, probability, probability * target)
    )
    present = size > 0
    largest = jnp.where(present, size, jnp.inf).min(axis=-1, keepdims=True)
    largest = jnp.where(jnp.isfinite(largest), largest, 1.0)
    factor = jnp.where(present, (largest / jnp.where(present, size, 1.0)) ** 2, 1.0)
    error, extent = size + found - 2 * both, size + found
    cost = (factor * error).sum(axis=-1) / ((factor * extent).sum(axis=-1) + smooth)
    return masking.over_regions(cost, weight, over, reduction)


def jaccard(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    over: Over = "batch",
    smooth: float = 1.0,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns one minus the soft intersection over union, averaged over classes.

    `1 - (I + s) / (S - I + s)` with `I = Σ w p t` and `S = Σ w (p + t)`, Rahman and
    Wang 2016.

    Args and result are those of `dice`.
    """
    masking.positive("smooth", smooth)
    logits, target, weight = masking.clean(logits, target, weight)
    found, alarms, missed = counts(logits, target, weight, activation, over)
    error = alarms + missed
    cost = (error / (found + error + smooth)).mean(axis=-1)
    return masking.over_regions(cost, weight, over, reduction)


def jaccard_distance(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    smooth: float = 100.0,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns the smoothed Jaccard distance of each pixel's classes, averaged.

    `s (1 - (I + s) / (S - I + s))`, with the sums I and S over the classes of one pixel
    alone, as Detecting_Mining_Areas_India has it: about the mean absolute error.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        activation: What makes probabilities of logits.
        smooth: `s`.
        reduction: "none" for the cost of each pixel.

    Returns:
        A scalar, or `[B, H, W]`.
    """
    masking.positive("smooth", smooth)
    logits, target, weight = masking.clean(logits, target, weight)
    probability = masking.squash(logits, activation)
    both = classes.total(probability * target)
    size = classes.total(probability + target)
    cost = smooth * (size - 2 * both) / (size - both + smooth)
    return masking.over_pixels(cost, weight, reduction)


def mcc(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    over: Over = "batch",
    smooth: float = 1e-5,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns one minus the soft Matthews correlation, averaged over classes.

    Abhishek and Hamarneh 2021: of the four counts of the confusion matrix, each plus
    `smooth`, so that it knows the background too.

    Args and result are those of `dice`, the result in 0..2.
    """
    masking.positive("smooth", smooth)
    logits, target, weight = masking.clean(logits, target, weight)
    found, alarms, missed = counts(logits, target, weight, activation, over)
    empty = masking.total(jnp.ones_like(logits), weight, over)
    empty = jnp.maximum(empty - found - alarms - missed, 0.0)
    found, alarms, missed, empty = (
        each + smooth for each in (found, alarms, missed, empty)
    )
    # The roots of pairs: the product of all four leaves float32 in large batches.
    above = jnp.sqrt((found + alarms) * (found + missed))
    below = jnp.sqrt((empty + alarms) * (empty + missed))
    correlation = (found / above) * (empty / below) - (alarms / above) * (
        missed / below
    )
    cost = (1 - correlation).mean(axis=-1)
    return masking.over_regions(cost, weight, over, reduction)


def counts(
    logits: jax.Array,
    target: jax.Array,
    weight: jax.Array,
    activation: Activation,
    over: Over,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns soft true positives, false positives and misses of cleaned arrays.

    Each `[K]` over the batch or `[B, K]` over samples; a soft target is counted as
    `Σ w p t`, `Σ w p (1 - t)` and `Σ w (1 - p) t`.
    """
    probability = masking.squash(logits, activation)
    found = probability * target
    return tuple(
        masking.total(each, weight, over)
        for each in (found, probability - found, target - found)
    )
