"""The decoder of UPerNet (Xiao et al. 2018, arXiv 1807.10221), as in smp 0.6."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import resample
from minenet.models.blocks import ConvNorm


class UPerNet(nn.Module):
    """Means of ever smaller parts of the deepest map, then a pyramid, all joined.

    Each map of the encoder first has a layer norm.

    Attributes:
        widths: Channels of every level.
        parts: Into how many parts a side is cut.
        norm: One of `norms.NAMES`.
        dtype: Of the computation.
    """

    widths: tuple[int] = (256,)
    parts: tuple[int, ...] = (1, 2, 3, 6)
    norm: str = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array], *, train: bool) -> list[jax.Array]:
        """Returns the joined map at 1/4 and the levels from 1/8; see `UNetDecoder`."""
        layer = functools.partial(
            ConvNorm, *self.widths, norm=self.norm, dtype=self.dtype
        )
        normed = [
            nn.LayerNorm(epsilon=1e-6, dtype=self.dtype, name=f"norm_{place}")(x)
            for place, x in enumerate(maps[1:])
        ]
        *skips, deepest = normed
        means = [deepest]
        for place, size in enumerate(self.parts):
            mean = resample.adaptive_mean(deepest, size)
            mean = layer(kernel_size=1, name=f"part_{place}")(mean, train=train)
            means.append(_as_large_as(deepest, mean))
        x = layer(name="parts")(jnp.concatenate(means, axis=-1), train=train)
        levels = [x]
        for place, skip in enumerate(skips[::-1]):
            lateral = layer(kernel_size=1, name=f"lateral_{place}")(skip, train=train)
            x = lateral + _as_large_as(lateral, x)
            levels.append(layer(name=f"level_{place}")(x, train=train))
        joined = [_as_large_as(levels[-1], x) for x in levels[::-1]]
        x = layer(name="fuse")(jnp.concatenate(joined, axis=-1), train=train)
        return [x, *levels[-2::-1]]


def _as_large_as(like: jax.Array, x: jax.Array) -> jax.Array:
    size = (*like.shape[:3], x.shape[-1])
    return jax.image.resize(x, size, "bilinear", antialias=False)
