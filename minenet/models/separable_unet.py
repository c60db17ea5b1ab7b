"""The residual network of separable convolutions."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import blocks, norms, options, resample
from minenet.models.depthwise import depthwise
from minenet.models.segmenter import Segmenter


class SeparableConv(nn.Module):
    """A 3×3 convolution of each channel by itself, then a 1×1 convolution.

    Attributes:
        features: Channels of the result.
        dtype: Of the computation.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `[B, H, W, features]`."""
        # Nine taps that keep the variance between them.
        init = nn.initializers.normal(1 / 3)
        kernel = self.param("kernel", init, (3, 3, x.shape[-1])).astype(self.dtype)
        y = depthwise(x.astype(self.dtype), kernel)
        return nn.Dense(self.features, dtype=self.dtype)(y)


class SeparableUNet(Segmenter):
    """Xception-like levels (Chollet 2017), each added to what went into it; no skips.

    The segmentation example of Keras's documentation, which the Image-segmentation of
    IIEST took over with the widths left blank: a stem of stride 2, then at each level
    twice ReLU, convolution, batch norm; 3×3 max pooling or nearest enlargement. From 3
    channels to 1 class it has 2 058 401 variables, of which 3 776 are statistics, and
    289 more with each further class. Its source computes what it means; biases before a
    norm have no effect. A transposed convolution of stride 1 is a convolution with its
    kernel turned.

    Attributes:
        widths: Channels of the stem, which halves the resolution, and of each level of
            the encoder, which halves it again.
        decoder_widths: Channels of each level of the decoder, from the coarsest: as
            many as `widths`.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256)
    decoder_widths: tuple[int, ...] = (256, 128, 64, 32)

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        options.check_counts("widths", self.widths, lengths=range(1, 13))
        levels = (len(self.widths),)
        options.check_counts("decoder_widths", self.decoder_widths, lengths=levels)
        super().__post_init__()

    @property
    def multiple(self) -> int:
        """As many as the stem and the poolings need."""
        return 2 ** len(self.widths)

    def features(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the map of each level of the decoder, the finest first."""
        normalized = functools.partial(
            norms.normalized, norm="batch", train=train, **norms.KERAS
        )
        plain = {"norm": "none", "activation": None, "dtype": self.dtype}
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        stem = blocks.ConvNorm(self.widths[0], stride=2, **plain)
        x = self.kept(nn.relu(normalized(stem(image, train=train))))
        for width in self.widths[1:]:
            shortcut = dense(width)(x[:, ::2, ::2])
            for _ in range(2):
                x = normalized(SeparableConv(width, dtype=self.dtype)(nn.relu(x)))
            x = self.kept(resample.max_pool_overlapping(x, before=0) + shortcut)
        maps = [x]
        for width in self.decoder_widths:
            shortcut = dense(width)(x)
            for _ in range(2):
                x = blocks.ConvNorm(width, **plain)(nn.relu(x), train=train)
                x = normalized(x)
            # A 1×1 convolution of the enlarged map is that of the map, enlarged.
            x = self.kept(resample.nearest(x + shortcut))
            maps.append(x)
        return maps[::-1]

    def logits(self, features: jax.Array, channels: int) -> jax.Array:
        """Returns the logits of a 3×3 convolution."""
        head = blocks.ConvNorm(channels, norm="none", activation=None)
        return head(features, train=False)
