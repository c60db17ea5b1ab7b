"""Cross-entropies: the mean surprise per pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax

from minenet.losses import masking

if TYPE_CHECKING:
    from minenet.types import Array


def binary_cross_entropy(
    logits: Array,
    target: Array,
    weight: Array,
    *,
    positive_weight: float | Sequence[float] = 1.0,
) -> jax.Array:
    """Returns the mean sigmoid cross-entropy over pixels and classes.

    With logit x, target t and positive weight q, one pixel costs
    `-q t log σ(x) - (1 - t) log σ(-x)`, where `-log σ(x) = softplus(-x)` is finite for
    any x. The form with a single softplus, as TensorFlow has it, cancels far from 0.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts.
        positive_weight: How many times a positive pixel costs a negative one; one
            value, or one a class.

    Returns:
        A scalar; the mean divides by the sum of `weight` alone.

    >>> import numpy as np
    >>> zero = np.zeros((1, 1, 1, 1))
    >>> print(binary_cross_entropy(zero, zero, zero[..., 0] + 1).round(4))
    0.6931
    """
    logits, target, weight = masking.clean(logits, target, weight)
    ratio = masking.per_class(positive_weight, logits, "positive_weight")
    missed = ratio * target * jax.nn.softplus(-logits)
    cost = missed + (1 - target) * jax.nn.softplus(logits)
    return masking.mean(cost.mean(axis=-1), weight)


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array,
    *,
    class_weight: Sequence[float] | None = None,
) -> jax.Array:
    """Returns the mean softmax cross-entropy over pixels, `-Σ_k c_k t_k log p_k`.

    Args:
        logits: `[B, H, W, K]` of exclusive classes.
        target: `[B, H, W, K]`, one-hot or shares that sum to 1.
        weight: `[B, H, W]`, what each pixel counts.
        class_weight: `[K]` costs of the classes; None for 1 each.

    Returns:
        A scalar; the mean divides by the sum of `weight` alone, so that the gradient
        of a pixel does not depend on which classes the batch happens to hold.
    """
    logits, target, weight = masking.clean(logits, target, weight)
    if class_weight is not None:
        target = target * masking.per_class(class_weight, target, "class_weight")
    cost = -(target * jax.nn.log_softmax(logits)).sum(axis=-1)
    return masking.mean(cost, weight)
