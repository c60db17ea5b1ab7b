"""Convolution, in forms whose gradients too are fast on a CPU.

XLA's convolutions run there at the speed of the cores. What costs time is what its
gradients do around them: they transpose kernels and whole maps.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

Pads = tuple[tuple[int, int], tuple[int, int]]
Padding = Pads | str

LARGE, BANDS = 2**20, 4
"""From so many values on, the gradient of a kernel is summed over bands of rows."""


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: Padding = "SAME",
    dilation: int = 1,
) -> jax.Array:
    """Returns the convolution with a `[kh, kw, C, F]` kernel.

    With a stride of 2 and an even size, "SAME" pads a 3×3 kernel at the end only, as
    Keras does; PyTorch's `padding=1` is `((1, 1), (1, 1))`.
    """
    b, h, w, _ = x.shape
    rows, cols = ((side - 1) * dilation + 1 for side in kernel.shape[:2])
    if isinstance(padding, str):
        strides = (stride, stride)
        padding = jax.lax.padtype_to_pads((h, w), (rows, cols), strides, padding)
    top, left = padding = tuple(map(tuple, padding))
    height = (h + sum(top) - rows) // stride + 1
    width = (w + sum(left) - cols) // stride + 1
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    if b * height * width <= kernel.shape[-1]:
        return _product(x, kernel, (height, width), **options)
    large = x.size >= LARGE and height % BANDS == 0 and x.dtype == jnp.float32
    if large and stride == dilation == 1 and rows > 1:
        return _of_large(x, kernel, padding)
    return _plain(x, kernel, **options)


def _plain(
    x: jax.Array,
    kernel: jax.Array,
    *,
    padding: Pads,
    stride: int = 1,
    dilation: int = 1,
) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _product(
    x: jax.Array,
    kernel: jax.Array,
    size: tuple[int, int],
    *,
    padding: Pads,
    stride: int,
    dilation: int,
) -> jax.Array:
    # The bottom of a network, with fewer pixels than channels. What the taps see then
    # takes no more room than the kernel, and the kernel need not be transposed for the
    # gradient of `x`, which takes longer than the products themselves.
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    extent = [(pixels - 1) * stride + 1 for pixels in size]
    rows, cols = (range(0, side * dilation, dilation) for side in kernel.shape[:2])
    seen = [
        x[:, row : row + extent[0] : stride, col : col + extent[1] : stride]
        for row in rows
        for col in cols
    ]
    return jnp.concatenate(seen, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _of_large(x: jax.Array, kernel: jax.Array, padding: Pads) -> jax.Array:
    return _plain(x, kernel, padding=padding)


def _forward(x: jax.Array, kernel: jax.Array, padding: Pads) -> tuple[jax.Array, Any]:
    return _plain(x, kernel, padding=padding), (x, kernel)


def _backward(
    padding: Pads, kept: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept

    def of_kernel(x: jax.Array, cotangent: jax.Array, padding: Pads) -> jax.Array:
        back = jax.linear_transpose(lambda k: _plain(x, k, padding=padding), kernel)
        return back(cotangent)[0]

    def in_bands(x: jax.Array, cotangent: jax.Array) -> jax.Array:
        # A band stays in a CPU's cache while it is transposed and multiplied.
        x = jnp.pad(x, ((0, 0), padding[0], (0, 0), (0, 0)))
        height = cotangent.shape[1] // BANDS
        seen = height + kernel.shape[0] - 1
        return sum(
            of_kernel(
                x[:, start : start + seen],
                cotangent[:, start : start + height],
                ((0, 0), padding[1]),
            )
            for start in range(0, BANDS * height, height)
        )

    of_map = jax.linear_transpose(lambda x: _plain(x, kernel, padding=padding), x)
    whole = functools.partial(of_kernel, padding=padding)
    return (
        of_map(cotangent)[0],
        jax.lax.platform_dependent(x, cotangent, cpu=in_bands, default=whole),
    )


_of_large.defvjp(_forward, _backward)
