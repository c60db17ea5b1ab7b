"""How maps change their size, in forms that XLA runs fast, forwards and back.

Maps are `[B, H, W, C]`. The ready-made forms (window reductions, dilated convolutions)
cost up to twice as much in a training step.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    *,
    padding: tuple[tuple[int, int], tuple[int, int]] | str = "SAME",
    dilation: int = 1,
) -> jax.Array:
    """Returns the convolution of stride 1 with a `[kh, kw, C, F]` kernel."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1, 1),
        padding=padding,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def max_pool(x: jax.Array) -> jax.Array:
    """Returns the maximum of each 2×2 block, `[B, H/2, W/2, C]`.

    A reshape and a maximum: the gradient avoids XLA's select-and-scatter. Where values
    tie, they share the gradient.
    """
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def space_to_depth(x: jax.Array, block: int) -> jax.Array:
    """Returns `[B, H/block, W/block, block·block·C]`: pixels become channels."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // block, block, w // block, block, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // block, w // block, -1)


def depth_to_space(x: jax.Array, block: int) -> jax.Array:
    """Returns `[B, H·block, W·block, C/block²]`: undoes `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, block, block, c // block**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * block, w * block, -1)


def nearest(x: jax.Array) -> jax.Array:
    """Returns `[B, 2H, 2W, C]`, each pixel four times."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c))
    return x.reshape(b, 2 * h, 2 * w, c)


def bilinear(x: jax.Array) -> jax.Array:
    """Returns `[B, 2H, 2W, C]`, interpolated between pixel centres."""
    b, h, w, c = x.shape
    return jax.image.resize(x, (b, 2 * h, 2 * w, c), "bilinear")


def convolve_nearest(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns `convolve(nearest(x), kernel)` for a 3×3 kernel, at 4/9 of its cost.

    Under three neighbouring pixels of the enlarged map lie only two of `x`: an even row
    sees the one before it under the first tap and itself under the other two, an odd
    row itself under the first two and the next under the last. So each of the four
    phases of the result is a 2×2 convolution of `x`, its taps sums of the kernel's.
    """
    b, h, w, _ = x.shape
    phases = []
    for row in (0, 1):
        taps = _pairs(kernel, row, axis=0)
        phases.append(
            jnp.stack(
                [
                    convolve(
                        x,
                        _pairs(taps, col, axis=1),
                        padding=((1 - row, row), (1 - col, col)),
                    )
                    for col in (0, 1)
                ],
                axis=3,
            )
        )
    return jnp.stack(phases, axis=2).reshape(b, 2 * h, 2 * w, kernel.shape[-1])


def _pairs(kernel: jax.Array, phase: int, *, axis: int) -> jax.Array:
    first, middle, last = jnp.split(kernel, 3, axis=axis)
    pair = [first + middle, last] if phase else [first, middle + last]
    return jnp.concatenate(pair, axis=axis)


def _lecun_normal(key: jax.Array, shape: tuple[int, int, int, int]) -> jax.Array:
    # A pixel of the result is one product with one of the four taps.
    taps, depth, features = math.prod(shape[:2]), *shape[2:]
    kernel = nn.initializers.lecun_normal()(key, (depth, taps * features))
    return kernel.reshape(depth, taps, features).swapaxes(0, 1).reshape(shape)


class TransposedConv(nn.Module):
    """The 2×2 transposed convolution of stride 2, as a product and a reshape.

    Its blocks do not overlap, so it is one matrix product a pixel; XLA's own takes
    twice as long. Tap `(r, c)` of the `[2, 2, C, features]` kernel makes pixel `(r, c)`
    of a block, as in PyTorch and Keras; `flax.linen.ConvTranspose` counts backwards.

    Attributes:
        features: Channels of the result.
        dtype: Of the computation.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `[B, 2H, 2W, features]`."""
        shape = (2, 2, x.shape[-1], self.features)
        kernel = self.param("kernel", _lecun_normal, shape).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        b, h, w, _ = x.shape
        y = jnp.einsum("bhwi,klio->bhkwlo", x.astype(self.dtype), kernel)
        y = y.reshape(b, 2 * h, 2 * w, self.features)
        return y + bias.astype(self.dtype)
