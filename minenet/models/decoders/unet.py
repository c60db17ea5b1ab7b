"""The U-Net's decoder as segmentation_models_pytorch builds it, with its attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import resample
from minenet.models.blocks import ConvNorm


class UNetDecoder(nn.Module):
    """From each map to the next finer one, joined with that of the encoder.

    At full resolution there is none to join.

    Attributes:
        widths: Channels of each level, from the finest.
        attention: "scse" or "none".
        centre: Whether two more convolutions follow the encoder, as after a VGG.
        norm: One of `norms.NAMES`.
        dtype: Of the computation.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    attention: str = "none"
    centre: bool = False
    norm: str = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array], *, train: bool) -> list[jax.Array]:
        """Returns a map for each of `widths`, the finest first.

        Args:
            maps: Of the encoder, the finest first.
            train: Whether the batch gives the statistics of a batch norm.
        """
        *skips, x = maps
        style = {"norm": self.norm, "dtype": self.dtype}
        if self.centre:
            for name in ("centre_0", "centre_1"):
                x = ConvNorm(x.shape[-1], **style, name=name)(x, train=train)
        found = []
        for level, width in enumerate(self.widths[::-1]):
            skip = skips[-1 - level] if level < len(skips) else None
            block = Block(width, self.attention, **style, name=f"block_{level}")
            found.append(x := block(x, skip, train=train))
        return found[::-1]


class Block(nn.Module):
    """Enlargement, attention, two convolutions, attention.

    Attributes:
        features: Channels of the result.
        attention: "scse" or "none".
        norm: One of `norms.NAMES`.
        dtype: Of the computation.
    """

    features: int
    attention: str = "none"
    norm: str = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, skip: jax.Array | None, *, train: bool
    ) -> jax.Array:
        """Returns `[B, 2h, 2w, features]`.

        Without a `skip` the first attention has parameters that nothing uses: so it is
        in the source, and its weights stay exchangeable.

        Args:
            x: `[B, h, w, C]`.
            skip: `[B, 2h, 2w, D]`, or None.
            train: As that of `UNetDecoder`.
        """
        style = {"norm": self.norm, "dtype": self.dtype}
        first = ConvNorm(self.features, **style, name="conv1")
        second = ConvNorm(self.features, **style, name="conv2")
        if self.attention == "none":
            if skip is None:
                # Without channels, so that `x` need not be enlarged all the same.
                b, h, w, _ = x.shape
                skip = jnp.zeros((b, 2 * h, 2 * w, 0), x.dtype)
            return second(first(skip, train=train, below=x), train=train)
        x = resample.nearest(x)
        if skip is not None:
            x = jnp.concatenate([x, skip.astype(x.dtype)], axis=-1)
        attended = SCSE(self.dtype, name="attention1")(x)
        x = x if skip is None else attended
        x = second(first(x, train=train), train=train)
        return SCSE(self.dtype, name="attention2")(x)


class SCSE(nn.Module):
    """Spatial and channel attention (Roy et al. 2018, arXiv 1803.02579), summed.

    Attributes:
        dtype: Of the computation.
        reduction: Channels are narrowed so many times on the way to their weights.
    """

    dtype: Any = jnp.float32
    reduction: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `x` times a weight a channel, plus `x` times a weight a pixel."""
        narrow = nn.Dense(
            max(1, x.shape[-1] // self.reduction), dtype=self.dtype, name="narrow"
        )
        widen = nn.Dense(x.shape[-1], dtype=self.dtype, name="widen")
        mean = x.mean(axis=(1, 2), dtype=jnp.float32)
        channels = nn.sigmoid(widen(nn.relu(narrow(mean))))[:, None, None]
        pixels = nn.sigmoid(nn.Dense(1, dtype=self.dtype, name="pixels")(x))
        return x * (channels + pixels)
