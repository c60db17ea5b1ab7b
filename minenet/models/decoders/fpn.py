"""The decoder of the FPN (Kirillov et al. 2019, arXiv 1901.02446), as in smp 0.6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import blocks, convolution, norms, resample


class FPN(nn.Module):
    """A pyramid of sums, each level brought to 1/4 by convolutions, and their sum.

    Its norms are group norms of up to 32 groups, whatever those of the encoder.

    Attributes:
        widths: Channels of the sum and of the pyramid.
        dtype: Of the computation.
    """

    widths: tuple[int, int] = (128, 256)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array], *, train: bool) -> list[jax.Array]:
        """Returns the sum at 1/4 and the levels at 1/8 to 1/32; see `UNetDecoder`."""
        merged, pyramid = self.widths
        levels: list[jax.Array] = []
        for place, skip in enumerate(maps[:0:-1]):
            name = f"pyramid_{5 - place}"
            lateral = nn.Dense(pyramid, dtype=self.dtype, name=name)(skip)
            if levels:
                lateral += resample.nearest(levels[-1])
            levels.append(lateral)
        total = jnp.zeros((), self.dtype)
        for place, x in enumerate(levels):
            doublings = len(levels) - 1 - place
            for step in range(max(doublings, 1)):
                x = _Merge(merged, self.dtype, name=f"merge_{place}_{step}")(x)
                if doublings:
                    x = resample.bilinear_aligned(x, 2)
            total += x
        return [total, *levels[-2::-1]]


class _Merge(nn.Module):
    features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", blocks.he_normal, shape).astype(self.dtype)
        return nn.relu(norms.GroupNorm(32)(convolution.convolve(x, kernel)))
