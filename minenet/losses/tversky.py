"""Overlap losses that price false alarms and misses apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from minenet.losses import masking
from minenet.losses.entropy import power
from minenet.losses.overlap import counts, dice
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.losses.masking import Activation, Over, Reduction
    from minenet.types import Array


def tversky(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    alpha: float = 0.3,
    beta: float = 0.7,
    over: Over = "batch",
    smooth: float = 1.0,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns one minus the soft Tversky index, averaged over classes.

    `1 - (TP + s) / (TP + α FP + β FN + s)`, Salehi et al. 2017, whose best α and β are
    the defaults. α = β = ½ is Dice, α = β = 1 Jaccard.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        activation: What makes probabilities of logits.
        alpha: What a false alarm costs, at least 0.
        beta: What a miss costs, at least 0.
        over: "batch" sums over all pixels before it divides, "sample" chip by chip.
        smooth: `s`, in pixels.
        reduction: "none" for each sample's, with `over="sample"`.

    Returns:
        A scalar in 0..1, or `[B]`.

    Raises:
        InputError: If a number is out of its range.
    """
    return focal_tversky(
        logits,
        target,
        weight,
        activation=activation,
        alpha=alpha,
        beta=beta,
        gamma=1.0,
        over=over,
        smooth=smooth,
        reduction=reduction,
    )


def focal_tversky(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 4 / 3,
    over: Over = "batch",
    smooth: float = 1.0,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns the Tversky loss of each class to the power of 1/γ, averaged.

    Abraham and Khan 2019, with their constants: γ above 1 gives a class that is
    nearly right a steeper slope.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        activation: What makes probabilities of logits.
        alpha: What a false alarm costs, at least 0.
        beta: What a miss costs, at least 0.
        gamma: γ, positive.
        over: "batch" sums over all pixels before it divides, "sample" chip by chip.
        smooth: `s`, in pixels.
        reduction: "none" for each sample's, with `over="sample"`.

    Returns:
        A scalar in 0..1, or `[B]`.

    Raises:
        InputError: If a number is out of its range.
    """
    masking.positive("gamma", gamma)
    logits, target, weight = masking.clean(logits, target, weight)
    cost = power(
        _distance(logits, target, weight, activation, alpha, beta, over, smooth),
        1 / gamma,
    )
    return masking.over_regions(cost.mean(axis=-1), weight, over, reduction)


def tversky_dice_hybrid(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    alpha: float = 0.5,
    beta: float = 0.5,
    factor: float = 1.0,
    class_weight: float | Sequence[float] = 1.0,
    offset: float | None = None,
    smooth: float = 1e-16,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns a weighted Tversky and a squared Dice loss, by class and sample.

    The mean over classes and samples of `(C - c_k T_k) + λ (C - D_k)`, with T of
    `tversky` and D with squares below: the training loss of the deforestation U-Nets
    (BioWar's Deforestation-Detection, with class weights .4, 2.2, .4 of forest,
    deforestation and other). Its C is the number of classes: three that are right
    cost 4.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        activation: What makes probabilities of logits.
        alpha: What a false alarm costs in T, at least 0.
        beta: What a miss costs in T, at least 0.
        factor: λ.
        class_weight: `c_k`, one value or `[K]`; of mean 1 in the source.
        offset: C; None for the number of classes. 1 gives 0 where all is right.
        smooth: In pixels; an empty class needs it.
        reduction: "none" for each sample's.

    Returns:
        A scalar, or `[B]`.

    Raises:
        InputError: If a number is out of its range.
    """
    logits, target, weight = masking.clean(logits, target, weight)
    classes = logits.shape[-1]
    offset = classes if offset is None else offset
    distance = _distance(
        logits, target, weight, activation, alpha, beta, "sample", smooth
    )
    factors = masking.per_class(class_weight, distance, "class_weight")
    cost = (offset - factors * (1 - distance)).mean(axis=-1)
    unlike = dice(
        logits,
        target,
        weight,
        activation=activation,
        over="sample",
        squared=True,
        smooth=smooth,
        reduction="none",
    )
    cost += factor * (offset - 1 + unlike)
    return masking.over_regions(cost, weight, "sample", reduction)


def _distance(
    logits: jax.Array,
    target: jax.Array,
    weight: jax.Array,
    activation: Activation,
    alpha: float,
    beta: float,
    over: Over,
    smooth: float,
) -> jax.Array:
    """Returns one minus the Tversky index, `[K]` or `[B, K]`, of cleaned arrays."""
    masking.positive("smooth", smooth)
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not value >= 0:
            raise InputError(f"loss.{name}={value}: must be at least 0")
    found, alarms, missed = counts(logits, target, weight, activation, over)
    error = jnp.maximum(alpha * alarms + beta * missed, 0.0)
    return error / (found + error + smooth)
