"""What a sensor may do worse: blur, noise, coarser pixels, speckle.

Images are `[H, W, C]`, normalised, 0 where invalid, and there they stay 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from minenet.ops import white
from minenet.ops.geometry import Fields

if TYPE_CHECKING:
    from minenet.types import Array


def blur(image: Array, sigma: Array | float, *, radius: int) -> jax.Array:
    """Returns `image` under a Gaussian, with the edges reflected.

    Args:
        image: `[H, W, C]`; invalid values count in no mean.
        sigma: In pixels; 0 changes nothing.
        radius: Of the window, in pixels; 3 `sigma` leaves nothing out.
    """
    # Far below a pixel the Gaussian is 1 at 0 and 0 elsewhere, without 0/0.
    sigma = jnp.maximum(sigma, 1e-2)
    taps = jnp.exp(-0.5 * jnp.square(jnp.arange(-radius, radius + 1) / sigma))
    taps = taps / taps.sum()
    valid = (image != 0).astype(image.dtype)

    def along(array: jax.Array, axis: int) -> jax.Array:
        around = [(0, 0)] * 3
        around[axis] = (radius, radius)
        # Else XLA works out for each tap where the pad comes from.
        padded = jax.lax.optimization_barrier(jnp.pad(array, around, mode="symmetric"))
        size = array.shape[axis]
        return sum(
            taps[i] * jax.lax.slice_in_dim(padded, i, i + size, axis=axis)
            for i in range(2 * radius + 1)
        )

    def both(array: jax.Array) -> jax.Array:
        return along(along(array, 0), 1)

    share = both(valid)
    return jnp.where(valid > 0, both(image) / jnp.where(valid > 0, share, 1.0), 0.0)


def noise(image: Array, values: Array) -> jax.Array:
    """Returns `image` plus `values` `[H, W, C]`."""
    return jnp.where(image == 0, 0.0, image + values)


def speckle(image: Array, factor: Array) -> jax.Array:
    """Returns `image` times `factor` `[H, W, C]`, as speckle does to linear power."""
    return image * factor


def low_resolution(image: Array, factor: Array | float) -> jax.Array:
    """Returns `image` as seen with pixels `factor` times as long, at its own shape.

    As in nnU-Net (Isensee et al. 2021): nearest values of a coarser grid, and linear
    between them. An invalid value is not blended with: what is near it stays sharp.

    Args:
        image: `[H, W, C]`.
        factor: At least 1, which changes nothing.
    """
    height, width = image.shape[:2]
    (up, down, below), (left, right, beside) = (
        _coarse(size, factor) for size in (height, width)
    )

    # By pairs of indices: XLA works out anew what nested look-ups take from.
    def pick(row: jax.Array, col: jax.Array) -> jax.Array:
        return image[
            jnp.broadcast_to(row[:, None], (height, width)),
            jnp.broadcast_to(col[None, :], (height, width)),
        ]

    below = jnp.broadcast_to(below[:, None, None], image.shape)
    beside = jnp.broadcast_to(beside[None, :, None], image.shape)
    corners = [pick(row, col) for row in (up, down) for col in (left, right)]
    top = corners[0] + (corners[1] - corners[0]) * beside
    bottom = corners[2] + (corners[3] - corners[2]) * beside
    valid = functools.reduce(jnp.logical_and, (c != 0 for c in (*corners, image)))
    return jnp.where(valid, top + (bottom - top) * below, image)


def _coarse(size: int, factor: Array | float) -> tuple[jax.Array, ...]:
    """Of each pixel: the pixels that two coarse ones show, and the second's share."""
    place = (jnp.arange(size) + 0.5) / factor - 0.5
    before = jnp.floor(place + 1e-4)  # at a factor of 1, the pixel and not the last

    def shown(coarse: jax.Array) -> jax.Array:
        fine = jnp.floor((jnp.maximum(coarse, 0.0) + 0.5) * factor)
        return jnp.clip(fine, 0, size - 1).astype(jnp.int32)

    return shown(before), shown(before + 1), jnp.maximum(place - before, 0.0)


def random_blur(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample blurred by a σ of up to `amount` pixels."""
    sigma = jax.random.uniform(key, maxval=amount)
    radius = math.ceil(3 * amount)
    return {**fields, "image": blur(fields["image"], sigma, radius=radius)}


def random_noise(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with nearly Gaussian noise of a deviation of up to `amount`."""
    size_key, noise_key = jax.random.split(key)
    deviation = jax.random.uniform(size_key, maxval=amount)
    values = deviation * white.normal(noise_key, fields["image"].shape)
    return {**fields, "image": noise(fields["image"], values)}


def random_low_resolution(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with pixels 1 to 1 + `amount` times as long."""
    factor = jax.random.uniform(key, minval=1.0, maxval=1 + amount)
    return {**fields, "image": low_resolution(fields["image"], factor)}


def random_speckle(
    key: jax.Array,
    fields: Fields,
    *,
    amount: float,
    bands: Sequence[int] | None = None,
) -> dict[str, jax.Array]:
    """Returns a sample with multiplicative noise of a deviation of up to `amount`.

    The factors are log-normal with mean 1: close to the gamma law of several looks, and
    drawn without rejection. For an image in decibels, speckle is added: take `noise`.

    Args:
        key: Decides deviation and factors.
        fields: One sample.
        amount: Below 1; of L looks, 1 / √L.
        bands: Numbers of the bands it is for; None for all.
    """
    image = fields["image"]
    size_key, noise_key = jax.random.split(key)
    spread = jnp.log1p(jnp.square(jax.random.uniform(size_key, maxval=amount)))
    normal = white.normal(noise_key, image.shape)
    factor = jnp.exp(jnp.sqrt(spread) * normal - spread / 2)
    if bands is not None:
        chosen = np.isin(np.arange(image.shape[-1]), bands)
        factor = jnp.where(jnp.broadcast_to(chosen, image.shape), factor, 1.0)
    return {**fields, "image": speckle(image, factor)}
