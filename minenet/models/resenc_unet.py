"""The residual-encoder U-Net of nnU-Net."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import blocks, norms, options, resample
from minenet.models.segmenter import Segmenter


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, as in ResNet-D (He et al. 2019).

    The shortcut is averaged where the resolution is halved, and goes through a 1×1
    convolution and a norm where the number of channels changes. The scale of the last
    norm starts at 0, so that the block starts as its shortcut.

    Attributes:
        features: Channels of the result.
        stride: 1 or 2.
        norm: One of `norms.NAMES`.
        activation: One of `blocks.ACTIVATIONS`.
        dtype: Of the computation.
    """

    features: int
    stride: int = 1
    norm: str = "instance"
    activation: str = "leaky_relu"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[B, H/stride, W/stride, features]`."""
        layer = functools.partial(
            blocks.ConvNorm, self.features, bias=True, dtype=self.dtype
        )
        normalized = functools.partial(norms.normalized, norm=self.norm, train=train)
        shortcut = resample.average_pool(x) if self.stride == 2 else x
        if x.shape[-1] != self.features:
            project = nn.Dense(self.features, use_bias=False, dtype=self.dtype)
            shortcut = normalized(project(shortcut))
        first = layer(
            norm=self.norm,
            activation=self.activation,
            stride=self.stride,
            padding=((1, 1), (1, 1)),
        )
        last = layer(norm="none", activation=None)
        y = last(first(x, train=train), train=train)
        y = normalized(y, scale_init=nn.initializers.zeros)
        return blocks.ACTIVATIONS[self.activation](y + shortcut)


class ResEncUNet(Segmenter):
    """Residual blocks in the encoder, one convolution a level in the decoder.

    That of nnU-Net's residual-encoder planner in two dimensions (Isensee et al. 2024,
    arXiv 2404.09556), with logits at every level of the decoder: from 3 channels to 1
    it has 71 816 165 parameters. The planner adds levels of 512 channels and 6 blocks
    until the bottom is less than 8 pixels wide: six levels are for windows of 128 to
    255 pixels, seven for 256, eight for 512. Convolutions have a bias beside the norm,
    without effect.

    Attributes:
        deep_supervision: As that of every network; nnU-Net weights its losses with 1,
            1/2, 1/4, … and the coarsest with 0.
        widths: Channels of each level, from the finest to the bottom.
        blocks: Residual blocks at each level of the encoder.
        norm: "instance", "group", "batch" or "none".
        activation: "leaky_relu", "relu", "elu", "gelu" or "silu".
    """

    deep_supervision: int = 4
    widths: tuple[int, ...] = (32, 64, 128, 256, 512, 512)
    blocks: tuple[int, ...] = (1, 3, 4, 6, 6, 6)
    norm: str = "instance"
    activation: str = "leaky_relu"

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        options.check_counts("widths", self.widths, lengths=range(2, 13))
        options.check_counts("blocks", self.blocks, lengths=(len(self.widths),))
        options.check_choice("norm", self.norm, norms.NAMES)
        options.check_choice("activation", self.activation, tuple(blocks.ACTIVATIONS))
        super().__post_init__()

    @property
    def multiple(self) -> int:
        """As many as the strides need."""
        return 2 ** (len(self.widths) - 1)

    def features(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the map of each level of the decoder, the finest first."""
        style = {
            "norm": self.norm,
            "activation": self.activation,
            "dtype": self.dtype,
        }
        layer = functools.partial(blocks.ConvNorm, bias=True, **style)
        x, skips = layer(self.widths[0])(image, train=train), []
        for level, (width, count) in enumerate(
            zip(self.widths, self.blocks, strict=True)
        ):
            for nth in range(count):
                stride = 2 if level and not nth else 1
                x = ResidualBlock(width, stride, **style)(x, train=train)
            x = self.kept(x)
            skips.append(x)
        maps = [skips.pop()]
        for width, skip in zip(self.widths[-2::-1], skips[::-1], strict=True):
            x = resample.TransposedConv(width, dtype=self.dtype)(x)
            x = jnp.concatenate([x, skip], axis=-1)
            x = self.kept(layer(width)(x, train=train))
            maps.append(x)
        return maps[::-1]
