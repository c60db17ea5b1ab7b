"""Smooth surfaces from few numbers: uniform cubic B-splines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from minenet.types import Array


def surface(control: Array, shape: tuple[int, int]) -> jax.Array:
    """Returns the spline surface of control points, sampled at pixel centres.

    Each value is a mean of the 4 × 4 control points around it, so that the surface
    stays within their range, and is twice differentiable.

    Args:
        control: `[n + 3, m + 3]`, for n × m spans over the frame.
        shape: Height and width of the frame.

    Returns:
        `[H, W]` float32.
    """
    down, across = (
        jnp.asarray(_basis(size, count - 3))
        for size, count in zip(shape, control.shape, strict=True)
    )
    highest = jax.lax.Precision.HIGHEST
    return jnp.matmul(jnp.matmul(down, control, precision=highest), across.T)


def _basis(size: int, spans: int) -> np.ndarray:
    """What each control point counts at each pixel, `[size, spans + 3]`."""
    place = (np.arange(size) + 0.5) * spans / size
    span = np.minimum(place.astype(int), spans - 1)
    t = place - span
    weights = (
        (1 - t) ** 3,
        3 * t**3 - 6 * t**2 + 4,
        -3 * t**3 + 3 * t**2 + 3 * t + 1,
        t**3,
    )
    basis = np.zeros((size, spans + 3), np.float32)
    for i, weight in enumerate(weights):
        basis[np.arange(size), span + i] = weight / 6
    return basis
