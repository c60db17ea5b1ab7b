"""How a weight removes pixels, in values and in gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from minenet.types import Array


def clean(
    logits: Array, target: Array, weight: Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns the three in float32, logits and target 0 where the weight is 0.

    To multiply by the weight afterwards is not enough: NaN × 0 is NaN, and so is its
    gradient.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    if logits.shape != target.shape or logits.shape[:-1] != weight.shape:
        raise ValueError(
            f"logits (shape={logits.shape}) and target (shape={target.shape}) must be "
            f"alike, and weight (shape={weight.shape}) lack only their last axis"
        )
    weight = jnp.asarray(weight, jnp.float32)
    counts = weight[..., None] > 0
    logits = jnp.where(counts, jnp.asarray(logits, jnp.float32), 0.0)
    target = jnp.where(counts, jnp.asarray(target, jnp.float32), 0.0)
    return logits, target, weight


def mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    """Returns the mean of `values` by `weight` (same shape); 0 if all weights are 0."""
    total = weight.sum()
    share = jnp.where(total > 0, 1 / jnp.where(total > 0, total, 1.0), 0.0)
    return (values * weight).sum() * share
