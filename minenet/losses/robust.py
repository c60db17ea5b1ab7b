"""Cross-entropies that trust a coarse or wrong label less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp

from minenet.losses import classes, masking
from minenet.losses.entropy import surprises
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.losses.masking import Activation, Reduction
    from minenet.types import Array


def generalised_cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    q: float = 0.7,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns `(1 - p^q) / q` of the true class, averaged over pixels.

    Zhang and Sabuncu 2018: between the cross-entropy (q → 0) and the mean absolute
    error (q = 1), whose slope a confident pixel with a wrong label does not dominate.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        activation: "sigmoid" averages over classes, "softmax" sums over them.
        q: In 0..1, 0 excluded.
        reduction: "none" for the cost of each pixel.

    Returns:
        A scalar, or `[B, H, W]`.

    Raises:
        InputError: If `q` is outside.
    """
    if not 0 < q <= 1:
        raise InputError(f"loss.q={q}: must be above 0 and at most 1")
    logits, target, weight = masking.clean(logits, target, weight)
    right, wrong = _surprises(logits, activation)
    cost = -target * jnp.expm1(-q * right) / q
    if activation == "softmax":
        return masking.over_pixels(cost, weight, reduction)
    cost -= (1 - target) * jnp.expm1(-q * wrong) / q
    return masking.over_pixels(cost / cost.shape[-1], weight, reduction)


def bootstrapped(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    mode: Literal["soft", "hard"] = "soft",
    beta: float | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns the cross-entropy with a target that the prediction has a share in.

    Reed et al. 2014: the target is `β t + (1 - β) z`, where z is the prediction itself
    ("soft", which rewards certainty) or its most probable class ("hard").

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        activation: "sigmoid" averages over classes, "softmax" sums over them.
        mode: What z is.
        beta: β in 0..1; None for the paper's, 0.95 if soft and 0.8 if hard.
        reduction: "none" for the cost of each pixel.

    Returns:
        A scalar, or `[B, H, W]`.

    Raises:
        InputError: If `mode` is neither, or `beta` outside.
    """
    masking.choice("mode", mode, ("soft", "hard"))
    if beta is None:
        beta = 0.95 if mode == "soft" else 0.8
    if not 0 <= beta <= 1:
        raise InputError(f"loss.beta={beta}: must be within 0..1")
    logits, target, weight = masking.clean(logits, target, weight)
    right, wrong = _surprises(logits, activation)
    if mode == "soft":
        guess = masking.squash(logits, activation)
    elif activation == "softmax":
        guess = jax.nn.one_hot(logits.argmax(axis=-1), logits.shape[-1])
    else:
        guess = (logits > 0) * 1.0
    target = beta * target + (1 - beta) * guess
    if activation == "softmax":
        return masking.over_pixels(target * right, weight, reduction)
    cost = target * right + (1 - target) * wrong
    return masking.over_pixels(cost / cost.shape[-1], weight, reduction)


def _surprises(
    logits: jax.Array, activation: Activation
) -> tuple[jax.Array, jax.Array]:
    """Returns -log p of each class and, for the sigmoid alone, -log (1 - p)."""
    masking.check_activation(logits, activation)
    if activation == "softmax":
        surprise = -classes.log_softmax(logits)
        return surprise, surprise
    return surprises(logits)
