"""How a weight removes pixels, in values and in gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from minenet.types import InputError

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


def per_class(values: float | Sequence[float], like: jax.Array, name: str) -> jax.Array:
    """Returns one value, or one a class, in the shape of `like` `[..., K]`.

    Raises:
        InputError: If their number fits neither, or one is negative or not finite.
    """
    array = np.asarray(values, np.float32)
    if array.shape not in ((), (like.shape[-1],)):
        raise InputError(
            f"loss.{name}={values}: {array.size} values for {like.shape[-1]} classes; "
            "give one, or one a class"
        )
    if not np.all(np.isfinite(array) & (array >= 0)):
        raise InputError(f"loss.{name}={values}: must be finite and at least 0")
    return jnp.broadcast_to(array, like.shape)


def mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    """Returns the mean of `values` by `weight` (same shape); 0 if all weights are 0."""
    total = weight.sum()
    share = jnp.where(total > 0, 1 / jnp.where(total > 0, total, 1.0), 0.0)
    return (values * weight).sum() * share
