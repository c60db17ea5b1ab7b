"""Changes of the values of an image `[H, W, C]`, where 0 marks an invalid one.

What is exactly 0 stays 0; so do values that a percentile normaliser clipped to 0, which
were saturated and stay so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from minenet.types import Array


def brightness(image: Array, delta: Array | float) -> jax.Array:
    """Returns `image` with `delta` (scalar or `[C]`) added to all valid values."""
    return jnp.where(image == 0, 0.0, image + _per_band(delta, image))


def contrast(image: Array, factor: Array | float) -> jax.Array:
    """Returns `image` stretched by `factor` about its mean in each band.

    Args:
        image: `[H, W, C]`, 0 where invalid.
        factor: Scalar or `[C]`; 0 leaves the mean, 1 changes nothing.
    """
    valid = image != 0
    count = jnp.maximum(valid.sum(axis=(0, 1), keepdims=True), 1)
    mean = image.sum(axis=(0, 1), keepdims=True) / count
    return jnp.where(valid, mean + (image - mean) * _per_band(factor, image), 0.0)


def gain(image: Array, factor: Array) -> jax.Array:
    """Returns `image` with band c multiplied by `factor[c]`, as haze or a sensor do."""
    return image * _per_band(factor, image)


def _per_band(value: Array | float, image: jax.Array) -> jax.Array:
    return jnp.broadcast_to(jnp.asarray(value, image.dtype), image.shape)
