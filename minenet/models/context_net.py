"""The network of dilated convolutions, without poolings."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import blocks, norms, options
from minenet.models.segmenter import Segmenter

# A probability of 0, as Keras's losses see it: they clip at 1e-7.
_NOTHING = math.log(1e-7 / (1 - 1e-7))


class ContextNet(Segmenter):
    """One block of parallel dilated convolutions at full resolution.

    The building network of the Image-segmentation of IIEST, after a kernel for Kaggle's
    crowdAI mapping challenge: noise, batch norm, three convolutions, the block, channel
    dropout, batch norm, ELU, one convolution. From 3 channels to 1 it has 44 977
    variables, of which 332 are statistics. The source chooses the dilations by the
    width of the image; the default is that of its 300 pixels.

    Its source sets the probability to 0 in a border of 16 pixels, which saw the
    padding, and trains against it all the same. What it meant is that the border does
    not count: `border=0`, with a weight of 0 there.

    Attributes:
        width: Channels of the third convolution and of each dilated one; half as many
            in the first two, and twice as many in the last. Further blocks double it.
        blocks: How many blocks follow each other.
        dilations: Distances of the taps of the parallel convolutions.
        border: How many pixels at each side have the logit of "nothing", in the maps of
            heads too.
        noise: Standard deviation of what is added to the image in training.
        dropout: Probability that a channel of a block is dropped in training.
    """

    width: int = 16
    blocks: int = 1
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    border: int = 16
    noise: float = 0.1
    dropout: float = 0.25

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        options.check_count("width", self.width, least=2)
        options.check_count("blocks", self.blocks, least=1)
        options.check_counts("dilations", self.dilations, lengths=range(1, 13))
        options.check_count("border", self.border)
        options.check_probability("noise", self.noise)
        options.check_probability("dropout", self.dropout)
        super().__post_init__()

    def features(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns one map at full resolution."""
        style = {"bias": False, "dtype": self.dtype}
        normalized = functools.partial(
            norms.normalized, norm="batch", train=train, **norms.KERAS
        )

        def convolved(x: jax.Array, width: int) -> jax.Array:
            layer = blocks.ConvNorm(
                width, norm="batch", activation="elu", **style, **norms.KERAS
            )
            return layer(x, train=train)

        x = image
        if train and self.noise:
            key = self.make_rng("dropout")
            x += self.noise * jax.random.normal(key, x.shape, x.dtype)
        x = normalized(x.astype(self.dtype))
        joined = [x]
        for width in (self.width // 2, self.width // 2, self.width):
            x = convolved(x, width)
        x = self.kept(x)
        for block in range(self.blocks):
            width = self.width * 2**block
            linear = functools.partial(
                blocks.ConvNorm, width, norm="none", activation=None, **style
            )
            seen = [linear(dilation=d)(x, train=train) for d in self.dilations]
            y = jnp.concatenate([*joined, *seen], axis=-1)
            y = blocks.ChannelDropout(self.dropout)(y, train=train)
            joined.append(x)
            x = self.kept(convolved(nn.elu(normalized(y)), 2 * width))
        return [x]

    def logits(self, features: jax.Array, channels: int) -> jax.Array:
        """Returns the logits; those of the border say that nothing is there."""
        found = super().logits(features, channels)

        def inside(size: int) -> jax.Array:
            place = jnp.arange(size)
            return (place >= self.border) & (place < size - self.border)

        rows, cols = map(inside, found.shape[1:3])
        return jnp.where((rows[:, None] & cols)[..., None], found, _NOTHING)
