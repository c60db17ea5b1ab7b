"""Depthwise convolutions: each channel has a kernel of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from minenet.models import blocks, norms


# Jitted: a network is then traced and differentiated once a shape, not once a layer.
@functools.partial(jax.jit, static_argnames="dilation")
def depthwise(x: jax.Array, kernel: jax.Array, *, dilation: int = 1) -> jax.Array:
    """Returns the convolution of each channel with its own `[k, k, C]` kernel.

    A sum of shifted products, which a CPU runs 10 to 50 times as fast as a grouped
    convolution. Taps that see nothing but padding are left out.
    """
    return _depthwise(x, kernel, dilation)


class SeparableConvNorm(nn.Module):
    """Depthwise 3×3 and 1×1 convolution (Chollet 2017), norm, ReLU.

    Attributes:
        features: Channels of the result.
        dilation: Distance of the kernel's taps in pixels.
        norm: One of `norms.NAMES`; with "none" there is a bias.
        dtype: Of the computation.
    """

    features: int
    dilation: int = 1
    norm: str = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[B, H, W, features]`."""
        depth = x.shape[-1]
        own = self.param("depthwise", depthwise_normal, (3, 3, depth))
        mix = self.param("pointwise", blocks.he_normal, (depth, self.features))
        x = depthwise(
            x.astype(self.dtype), own.astype(self.dtype), dilation=self.dilation
        )
        y = x @ mix.astype(self.dtype)
        if self.norm == "none":
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            y += bias.astype(self.dtype)
        return nn.relu(norms.normalized(y, self.norm, train=train))


def depthwise_normal(key: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
    """Returns a `[k, k, C]` kernel that keeps a ReLU network's variance."""
    return jax.random.normal(key, shape) * (2 / shape[0] ** 2) ** 0.5


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _depthwise(x: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    seen = _views(x, kernel.shape[0], dilation)
    total = jnp.zeros((), jnp.float32)
    for tap in _taps(x.shape, kernel.shape[0], dilation):
        total += seen(tap).astype(jnp.float32) * kernel[tap].astype(jnp.float32)
    return total.astype(x.dtype)


def _forward(x: jax.Array, kernel: jax.Array, dilation: int) -> tuple[jax.Array, Any]:
    return _depthwise(x, kernel, dilation), (x, kernel)


def _backward(
    dilation: int, kept: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    side, channels = kernel.shape[0], kernel.shape[-1]
    seen = _views(x, side, dilation)
    ones = jnp.ones((1, cotangent.size // channels), x.dtype)

    def of_tap(tap: jax.Array) -> jax.Array:
        # XLA's sum over all but the last axis is a strided loop; a product is not.
        product = (seen(tap) * cotangent).reshape(-1, channels)
        return jnp.dot(ones, product, preferred_element_type=jnp.float32)[0]

    taps = np.array(_taps(x.shape, side, dilation))
    found = jax.lax.map(of_tap, taps)
    found = jnp.zeros(kernel.shape, jnp.float32).at[taps[:, 0], taps[:, 1]].set(found)
    back = _depthwise(cotangent, kernel[::-1, ::-1], dilation)
    return back, found.astype(kernel.dtype)


_depthwise.defvjp(_forward, _backward)


def _taps(shape: tuple[int, ...], side: int, dilation: int) -> list[tuple[int, int]]:
    rows, cols = (
        [tap for tap in range(side) if abs(tap - side // 2) * dilation < size]
        for size in shape[1:3]
    )
    return [(row, col) for row in rows for col in cols]


def _views(x: jax.Array, side: int, dilation: int) -> Callable[[Any], jax.Array]:
    reach = side // 2 * dilation
    wide = jnp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))

    def seen(tap: Any) -> jax.Array:
        start = (0, tap[0] * dilation, tap[1] * dilation, 0)
        return jax.lax.dynamic_slice(wide, start, x.shape)

    return seen
