"""Losses on centre lines: for roads, rivers and trenches that must not break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from minenet.losses import masking
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.losses.masking import Activation, Over, Reduction
    from minenet.types import Array


def cldice(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    iterations: int = 3,
    over: Over = "batch",
    smooth: float = 1.0,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns one minus the centre-line Dice, averaged over classes.

    Shit et al. 2021: the harmonic mean of the share of the predicted skeleton that lies
    in the truth and of the true skeleton that lies in the prediction. The paper adds
    half of a Dice loss.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; one of weight 0 is background to
            the skeletons. None for 1 each.
        activation: What makes probabilities of logits.
        iterations: Erosions; at least half the width of the widest line, in pixels.
        over: "batch" sums over all pixels before it divides, "sample" chip by chip.
        smooth: In pixels, in both shares.
        reduction: "none" for each sample's, with `over="sample"`.

    Returns:
        A scalar in 0..1, or `[B]`.

    Raises:
        InputError: If `iterations` is negative, or `smooth` not positive.
    """
    masking.positive("smooth", smooth)
    if iterations < 0:
        raise InputError(f"loss.iterations={iterations}: must be at least 0")
    logits, target, weight = masking.clean(logits, target, weight)
    probability = masking.squash(logits, activation) * (weight[..., None] > 0)
    line, true_line = (_skeleton(a, iterations) for a in (probability, target))

    def share(line: jax.Array, area: jax.Array) -> jax.Array:
        hit, all_ = (masking.total(a, weight, over) for a in (line * area, line))
        return (hit + smooth) / (all_ + smooth)

    precision, recall = share(line, target), share(true_line, probability)
    cost = 1 - 2 * precision * recall / (precision + recall)
    return masking.over_regions(cost.mean(axis=-1), weight, over, reduction)


def _skeleton(image: jax.Array, iterations: int) -> jax.Array:
    """Returns the soft skeleton of `[B, H, W, K]`: what each opening takes away."""
    lines = jnp.zeros_like(image)
    for _ in range(iterations + 1):
        eroded = _erode(image)
        ridge = jax.nn.relu(image - _dilate(eroded))
        lines = lines + jax.nn.relu(ridge - lines * ridge)
        image = eroded
    return lines


def _erode(image: jax.Array) -> jax.Array:
    """Returns the least of each pixel and its four neighbours."""
    return -jnp.maximum(_most(-image, 3, 1), _most(-image, 1, 3))


def _dilate(image: jax.Array) -> jax.Array:
    """Returns the most of each pixel and its eight neighbours."""
    return _most(_most(image, 3, 1), 1, 3)


def _most(image: jax.Array, height: int, width: int) -> jax.Array:
    # Shifted copies are fused into one loop that reads every pixel again and again:
    # with them the gradient takes three times as long on a CPU.
    window = (1, height, width, 1)
    return jax.lax.reduce_window(
        image, -jnp.inf, jax.lax.max, window, (1, 1, 1, 1), "SAME"
    )
