"""The ConvNeXt (Liu et al. 2022, arXiv 2201.03545)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import blocks, resample
from minenet.models.depthwise import depthwise, depthwise_normal


class ConvNeXt(nn.Module):
    """Squares of 4×4 pixels, then four stages of depthwise 7×7 convolutions.

    Layer norms over the channels of a pixel take the place of batch norms: there are no
    statistics to keep.

    Attributes:
        blocks: Of each stage.
        width: Channels of the first stage, doubled by each of the next.
        layer_scale: What each block's share starts from.
        dtype: Of the computation.
    """

    blocks: tuple[int, ...] = (3, 3, 9, 3)
    width: int = 96
    layer_scale: float = 1e-6
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: jax.Array,
        *,
        train: bool = False,
        kept: Callable[[jax.Array], jax.Array] = lambda x: x,
    ) -> list[jax.Array]:
        """Returns the maps, the finest first, that at 1/2 empty; see `ResNet`."""
        b, h, w, _ = image.shape
        maps = [jnp.zeros((b, h // 2, w // 2, 0), self.dtype)]
        x = _Squares(4, self.width, dtype=self.dtype, name="squares_0")(image)
        x = _norm(self.dtype, "norm_0")(x)
        for stage, count in enumerate(self.blocks):
            if stage > 0:
                x = _norm(self.dtype, f"norm_{stage}")(x)
                width = self.width * 2**stage
                x = _Squares(2, width, dtype=self.dtype, name=f"squares_{stage}")(x)
            for index in range(count):
                name = f"stage_{stage}_{index}"
                x = _Block(self.layer_scale, dtype=self.dtype, name=name)(x)
            maps.append(x := kept(x))
        return maps


class _Squares(nn.Module):
    side: int
    features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the convolution whose stride is its side: squares do not overlap."""
        shape = (self.side, self.side, x.shape[-1], self.features)
        kernel = self.param("kernel", blocks.he_normal, shape).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x = resample.space_to_depth(x.astype(self.dtype), self.side)
        return x @ kernel.reshape(-1, self.features) + bias.astype(self.dtype)


class _Block(nn.Module):
    layer_scale: float
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        kernel = self.param("spatial_kernel", depthwise_normal, (7, 7, channels))
        bias = self.param("spatial_bias", nn.initializers.zeros, (channels,))
        y = depthwise(x, kernel.astype(self.dtype)) + bias.astype(self.dtype)
        y = _norm(self.dtype, "norm")(y)
        # The exact GELU, not the approximation by tanh: that of the published weights.
        y = nn.Dense(4 * channels, dtype=self.dtype, name="widen")(y)
        y = nn.gelu(y, approximate=False)
        y = nn.Dense(channels, dtype=self.dtype, name="narrow")(y)
        start = nn.initializers.constant(self.layer_scale)
        return x + self.param("gamma", start, (channels,)).astype(self.dtype) * y


def _norm(dtype: Any, name: str) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=1e-6, dtype=dtype, name=name)
