"""Clouds and their shadows over a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from minenet.ops import color, spline
from minenet.ops.geometry import Fields

if TYPE_CHECKING:
    from minenet.types import Array

SPANS = 5
"""Spans of the spline, along a side, that clouds are cut from."""

_DEVIATION = 0.48  # of a spline surface of normal control points
_SOFT = 0.25  # how far, in deviations, a cloud thins out


def clouds(fields: Fields, cover: Array) -> dict[str, jax.Array]:
    """Returns a sample under clouds, as white as its brightest pixel in each band.

    Args:
        fields: One sample; under more than half a cover its pixels do not count.
        cover: `[H, W]` in 0..1; 1 hides the ground.
    """
    _, white = color.extremes(fields["image"])
    weight = jnp.where(cover > 0.5, 0.0, fields["weight"])
    return {**fields, "image": _veil(fields["image"], cover, white), "weight": weight}


def shadows(fields: Fields, cover: Array) -> dict[str, jax.Array]:
    """Returns a sample under shadows, as dark as its darkest pixel in each band.

    The ground shows through, so all pixels go on counting.

    Args:
        fields: One sample.
        cover: `[H, W]` in 0..1; 1 leaves no contrast.
    """
    black, _ = color.extremes(fields["image"])
    return {**fields, "image": _veil(fields["image"], cover, black)}


def random_clouds(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with clouds over a share of up to `amount`, on average."""
    return clouds(fields, random_cover(key, fields["weight"].shape, amount=amount))


def random_shadows(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with shadows over a share of up to `amount`, on average."""
    share_key, depth_key = jax.random.split(key)
    cover = random_cover(share_key, fields["weight"].shape, amount=amount)
    return shadows(fields, cover * jax.random.uniform(depth_key, maxval=0.8))


def random_cover(key: jax.Array, shape: tuple[int, int], *, amount: float) -> jax.Array:
    """Returns soft blobs `[H, W]` in 0..1 over a share of up to `amount`.

    The share is drawn uniformly, and met on average over draws of the blobs.
    """
    share_key, field_key = jax.random.split(key)
    share = jax.random.uniform(share_key, maxval=amount)
    control = jax.random.normal(field_key, (SPANS + 3, SPANS + 3))
    height = spline.surface(control, shape) / _DEVIATION
    return jnp.clip(0.5 + (height + ndtri(share)) / _SOFT, 0.0, 1.0)


def _veil(image: jax.Array, cover: Array, toward: jax.Array) -> jax.Array:
    cover = jnp.broadcast_to(cover[..., None], image.shape)
    toward = jnp.broadcast_to(toward, image.shape)
    return jnp.where(image == 0, 0.0, image + cover * (toward - image))
