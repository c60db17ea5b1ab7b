"""Changes of the values of an image `[H, W, C]`, where 0 marks an invalid one.

What is exactly 0 stays 0; so do values that a percentile normaliser clipped to 0, which
were saturated and stay so. The image is normalised, and so are amounts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from minenet.ops import normalize
from minenet.ops.geometry import Fields
from minenet.ops.normalize import Normalizer

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


def gain(image: Array, factor: Array | float) -> jax.Array:
    """Returns `image` times `factor` (scalar or `[C]`), as haze or a sensor do."""
    return image * _per_band(factor, image)


def gamma(image: Array, exponent: Array | float) -> jax.Array:
    """Returns `image` bent by a power, lowest and highest of each band in place.

    Args:
        image: `[H, W, C]`, 0 where invalid.
        exponent: Scalar or `[C]`, positive; below 1 brightens, 1 changes nothing.
    """
    low, high = extremes(image)
    span = jnp.broadcast_to(jnp.maximum(high - low, 1e-6), image.shape)
    low = jnp.broadcast_to(low, image.shape)
    share = jnp.clip((image - low) / span, 0.0, 1.0)
    bent = jnp.power(share, _per_band(exponent, image))
    return jnp.where(image == 0, 0.0, low + bent * span)


def extremes(image: Array) -> tuple[jax.Array, jax.Array]:
    """Returns the lowest and highest valid value of each band, `[1, 1, C]`; else 0."""
    valid = image != 0
    low = jnp.where(valid, image, jnp.inf).min((0, 1), keepdims=True)
    high = jnp.where(valid, image, -jnp.inf).max((0, 1), keepdims=True)
    some = low <= high
    return jnp.where(some, low, 0.0), jnp.where(some, high, 0.0)


def random_brightness(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with up to ±`amount` added to all bands."""
    delta = jax.random.uniform(key, minval=-amount, maxval=amount)
    return {**fields, "image": brightness(fields["image"], delta)}


def random_offset(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with up to ±`amount` added to each band, its own to each."""
    bands = fields["image"].shape[-1]
    delta = jax.random.uniform(key, (bands,), minval=-amount, maxval=amount)
    return {**fields, "image": brightness(fields["image"], delta)}


def random_contrast(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample stretched by one factor in 1 ± `amount` for all bands."""
    factor = jax.random.uniform(key, minval=1 - amount, maxval=1 + amount)
    return {**fields, "image": contrast(fields["image"], factor)}


def random_gain(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with each band multiplied by its own factor in 1 ± `amount`."""
    bands = fields["image"].shape[-1]
    factor = jax.random.uniform(key, (bands,), minval=1 - amount, maxval=1 + amount)
    return {**fields, "image": gain(fields["image"], factor)}


def random_divisor(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample divided by one number in 1 ± `amount`.

    The random normalisation of PRUE (Muhawenayo et al. 2026), which draws the divisor
    of reflectance from 1500 to 4500 about the usual 3000: an amount of 0.5.
    """
    divisor = jax.random.uniform(key, minval=1 - amount, maxval=1 + amount)
    return {**fields, "image": gain(fields["image"], 1 / divisor)}


def random_normalizer(
    key: jax.Array, fields: Fields, *, normalizers: Sequence[Normalizer]
) -> dict[str, jax.Array]:
    """Returns a sample as one of several normalisers would have made it.

    Args:
        key: Decides which, each as likely.
        fields: One sample, its image normalised by the first.
        normalizers: The first and others.
    """
    drawn = jax.random.randint(key, (), 0, len(normalizers))
    new = Normalizer(
        jnp.stack([n.offset for n in normalizers])[drawn],
        jnp.stack([n.scale for n in normalizers])[drawn],
        jnp.array([-np.inf if n.low is None else n.low for n in normalizers])[drawn],
        jnp.array([np.inf if n.high is None else n.high for n in normalizers])[drawn],
    )
    image = normalize.convert(fields["image"], normalizers[0], new)
    return {**fields, "image": image}


def random_gamma(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample bent by an exponent from 1 / (1 + `amount`) to 1 + `amount`."""
    limit = math.log1p(amount)
    exponent = jnp.exp(jax.random.uniform(key, minval=-limit, maxval=limit))
    return {**fields, "image": gamma(fields["image"], exponent)}


def _per_band(value: Array | float, image: jax.Array) -> jax.Array:
    return jnp.broadcast_to(jnp.asarray(value, image.dtype), image.shape)
