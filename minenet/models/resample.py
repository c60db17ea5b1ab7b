"""How maps change their size, in forms that XLA runs fast, forwards and back.

Maps are `[B, H, W, C]`. The ready-made forms (window reductions, dilated convolutions)
cost up to twice as much in a training step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from minenet.models.convolution import convolve

Phase = tuple[jax.Array, tuple[int, int]]


def max_pool(x: jax.Array) -> jax.Array:
    """Returns the maximum of each 2×2 block, `[B, H/2, W/2, C]`.

    Comparisons of pairs: the gradient avoids XLA's select-and-scatter. Where values tie
    the first has it, as in PyTorch.
    """
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c)
    upper, lower = (_larger(x[:, :, k, :, 0], x[:, :, k, :, 1]) for k in (0, 1))
    return _larger(upper, lower)


def max_pool_overlapping(x: jax.Array, *, before: int = 1) -> jax.Array:
    """Returns the maximum of 3×3 pixels around every second, `[B, H/2, W/2, C]`.

    Args:
        x: `[B, H, W, C]` of even height and width.
        before: How many of the three lie before the pair of pixels that becomes one: 0
            as Keras pads ("same"), 1 as PyTorch does (`padding=1`).
    """
    for axis in (1, 2):
        shape = (*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
        first, second = jnp.moveaxis(x.reshape(shape), axis + 1, 0)
        pads = [(0, 0, 0)] * 4
        pads[axis] = (1, -1, 0) if before else (-1, 1, 0)
        lowest = jnp.array(-jnp.inf, x.dtype)
        third = jax.lax.pad(second if before else first, lowest, pads)
        x = _larger(_larger(first, second), third)
    return x


@jax.custom_jvp
def _larger(first: jax.Array, second: jax.Array) -> jax.Array:
    return jnp.maximum(first, second)


@_larger.defjvp
def _larger_jvp(values: tuple, tangents: tuple) -> tuple:
    # JAX's own rule asks which value equals the result. A compiler may compute one of
    # them anew with other rounding, and then neither does.
    return _larger(*values), jnp.where(values[0] >= values[1], *tangents)


def average_pool(x: jax.Array) -> jax.Array:
    """Returns the mean of each 2×2 block, `[B, H/2, W/2, C]`."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


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
    """Returns `convolve(nearest(x), kernel)`; for a 3×3 kernel at 4/9 of its cost.

    Under three neighbouring pixels of the enlarged map lie only two of `x`: an even row
    sees the one before it under the first tap and itself under the other two, an odd
    row itself under the first two and the next under the last. So each of the four
    phases of the result is a 2×2 convolution of `x`, its taps sums of the kernel's.
    """

    def folded(kernel: jax.Array, phase: int, axis: int) -> Phase:
        taps = kernel.shape[axis]
        seen = [(phase + tap - (taps - 1) // 2) // 2 for tap in range(taps)]
        each = jnp.split(kernel, taps, axis=axis)
        sums = [
            sum(each[tap] for tap in range(taps) if seen[tap] == pixel)
            for pixel in range(seen[0], seen[-1] + 1)
        ]
        return jnp.concatenate(sums, axis=axis), (-seen[0], seen[-1])

    return _of_phases(x, kernel, folded)


def convolve_transposed(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns the transposed convolution of stride 2, `[B, 2H, 2W, F]`.

    Pixel `i` of `x` reaches the pixels `2i`, `2i + 1`, … of the result, as in Keras
    with `padding="same"` (and, for a 3×3 kernel, `output_padding=1`); what reaches past
    the end is cut off. In PyTorch that is no padding and a cut. Each of the four phases
    of the result sees every second tap, so that no product with a zero is computed.
    """

    def folded(kernel: jax.Array, phase: int, axis: int) -> Phase:
        each = jnp.split(kernel, kernel.shape[axis], axis=axis)[phase::2]
        return jnp.concatenate(each[::-1], axis=axis), (len(each) - 1, 0)

    return _of_phases(x, kernel, folded)


def _of_phases(
    x: jax.Array,
    kernel: jax.Array,
    folded: Callable[[jax.Array, int, int], Phase],
) -> jax.Array:
    # Rows and columns of even and odd number are convolved each with a kernel of its
    # own: `folded` gives it along an axis, and the padding that it needs.
    b, h, w, _ = x.shape
    rows = []
    for row in (0, 1):
        taps, row_padding = folded(kernel, row, 0)
        cols = [folded(taps, col, 1) for col in (0, 1)]
        rows.append(
            jnp.stack(
                [convolve(x, own, padding=(row_padding, pad)) for own, pad in cols],
                axis=3,
            )
        )
    return jnp.stack(rows, axis=2).reshape(b, 2 * h, 2 * w, kernel.shape[-1])


def _lecun_normal(key: jax.Array, shape: tuple[int, int, int, int]) -> jax.Array:
    # A pixel of the result is one product with one of the four taps; of nine, with
    # one to four.
    taps, depth, features = math.prod(shape[:2]), *shape[2:]
    kernel = nn.initializers.lecun_normal()(key, (depth, taps * features))
    return kernel.reshape(depth, taps, features).swapaxes(0, 1).reshape(shape)


class TransposedConv(nn.Module):
    """The transposed convolution of stride 2, as in Keras with `padding="same"`.

    The blocks of a 2×2 kernel do not overlap, so it is one matrix product a pixel and a
    reshape; XLA's own takes twice as long. Tap `(r, c)` of the `[k, k, C, features]`
    kernel makes pixel `(r, c)` of a block, as in PyTorch and Keras;
    `flax.linen.ConvTranspose` counts backwards.

    Attributes:
        features: Channels of the result.
        kernel_size: Side of the kernel, 2 or 3.
        dtype: Of the computation.
    """

    features: int
    kernel_size: int = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `[B, 2H, 2W, features]`."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", _lecun_normal, shape).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x = x.astype(self.dtype)
        if self.kernel_size == 2:
            taps = kernel.transpose(2, 0, 1, 3).reshape(x.shape[-1], -1)
            y = depth_to_space(x @ taps, 2)
        else:
            y = convolve_transposed(x, kernel)
        return y + bias.astype(self.dtype)


def bilinear_aligned(x: jax.Array, factor: int) -> jax.Array:
    """Returns `[B, factor·H, factor·W, C]`, interpolated between the outermost pixels.

    The first and last pixel stay where they are (PyTorch's `align_corners=True`), while
    `bilinear` keeps the outer edges.
    """

    def weights(size: int) -> np.ndarray:
        places = np.linspace(0, size - 1, factor * size)
        return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(size)))

    return _along_both(x, weights(x.shape[1]), weights(x.shape[2]))


def adaptive_mean(x: jax.Array, size: int) -> jax.Array:
    """Returns the means of `size`×`size` parts, `[B, size, size, C]`.

    Part `i` goes from ⌊i·H/size⌋ to ⌈(i + 1)·H/size⌉, so parts overlap where the side
    is not a multiple, and repeat pixels where it is smaller.
    """

    def weights(side: int) -> np.ndarray:
        part, pixel = np.arange(size)[:, None], np.arange(side)
        first, end = part * side // size, -((part + 1) * -side // size)
        inside = (first <= pixel) & (pixel < end)
        return inside / inside.sum(axis=1, keepdims=True)

    return _along_both(x, weights(x.shape[1]), weights(x.shape[2]))


def _along_both(x: jax.Array, rows: np.ndarray, cols: np.ndarray) -> jax.Array:
    x = jnp.einsum("rh,bhwc->brwc", jnp.asarray(rows, x.dtype), x)
    return jnp.einsum("sw,brwc->brsc", jnp.asarray(cols, x.dtype), x)
