"""The U-Net (Ronneberger et al. 2015, arXiv 1505.04597) and its usual variants."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import blocks, norms, options, resample
from minenet.models.segmenter import Segmenter
from minenet.types import InputError

_CHOICES = {
    "stem": (1, 2, 4, 8),
    "upsample": ("nearest", "bilinear", "transpose", "depth_to_space", "nearest_conv"),
    "norm": norms.NAMES,
    "activation": tuple(blocks.ACTIVATIONS),
    "residual": (False, True),
}


class UNet(Segmenter):
    """An encoder and a decoder, joined at every level.

    Convolutions start from He's initialisation.

    On a CPU nearly all time goes into the convolutions of the finest levels. What makes
    them cheap, in this order: `stem=2` (a quarter of the work, twice the context, and
    `head` brings fine borders back), `decoder_widths` below `widths`, and capacity in
    the deep levels, where it costs little (`widths`, `blocks`, `bottom_dilations`).

    Attributes:
        widths: Channels of each level, from the finest to the bottom.
        blocks: Blocks of two convolutions at each level of the encoder; empty: one.
        decoder_widths: Channels of each level of the decoder, from the finest, so one
            less than `widths`; empty: those of the encoder.
        bottom_dilations: One residual 3×3 convolution with each of these dilations
            after the bottom level: context for little.
        stem: Side of the squares of pixels that become the channels of one before the
            first level; the logits come back at full resolution.
        head: Channels of a 3×3 convolution at full resolution, of the brought back
            features and the image itself, before the logits; 0: none. It needs a stem.
        upsample: "nearest" or "bilinear" enlargement before the next convolution, or
            "transpose" (2×2 transposed convolution) or "depth_to_space" in its place;
            "nearest_conv": with a 2×2 convolution and ReLU of its own.
        norm: "group", "batch", "instance" or "none".
        activation: "relu", "elu", "gelu", "silu" or "leaky_relu".
        residual: Whether each block of the encoder adds its input.
        dropout: Probability that a block drops a channel in training.
        bottom_dropout: The same after the bottom alone.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = ()
    decoder_widths: tuple[int, ...] = ()
    bottom_dilations: tuple[int, ...] = ()
    stem: int = 1
    head: int = 0
    upsample: str = "nearest"
    norm: str = "group"
    activation: str = "relu"
    residual: bool = False
    dropout: float = 0.0
    bottom_dropout: float = 0.0

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        for option, choices in _CHOICES.items():
            options.check_choice(option, getattr(self, option), choices)
        options.check_counts("widths", self.widths, lengths=range(1, 13))
        levels = len(self.widths)
        for option, lengths in (
            ("blocks", (0, levels)),
            ("decoder_widths", (0, levels - 1)),
            ("bottom_dilations", range(13)),
        ):
            options.check_counts(option, getattr(self, option), lengths=lengths)
        options.check_count("head", self.head)
        if self.head and self.stem == 1:
            raise InputError(
                f"model.head={self.head}: expected 0 where model.stem is 1"
            )
        options.check_probability("dropout", self.dropout)
        options.check_probability("bottom_dropout", self.bottom_dropout)
        super().__post_init__()

    @property
    def style(self) -> dict[str, Any]:
        """What all convolutions have in common: options of `blocks.ConvNorm`."""
        return {
            "norm": self.norm,
            "activation": self.activation,
            "dtype": self.dtype,
        }

    @property
    def multiple(self) -> int:
        """Of the stem's squares as many as the poolings need."""
        return self.stem * 2 ** (len(self.widths) - 1)

    def features(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the map of each level of the decoder, the finest first."""
        block = functools.partial(blocks.ConvBlock, dropout=self.dropout, **self.style)
        levels = len(self.widths)
        x, skips = resample.space_to_depth(image, self.stem), []
        for features, count in zip(
            self.widths, self.blocks or (1,) * levels, strict=True
        ):
            if skips:
                x = resample.max_pool(x)
            for _ in range(count):
                x = block(features, residual=self.residual)(x, train=train)
            x = self.kept(x)
            skips.append(x)
        skips.pop()
        for dilation in self.bottom_dilations:
            layer = blocks.ConvNorm(x.shape[-1], dilation=dilation, **self.style)
            x = self.kept(layer(x, train=train, shortcut=x))
        x = blocks.ChannelDropout(self.bottom_dropout)(x, train=train)
        decoder_widths = self.decoder_widths or self.widths[:-1]
        maps = [x]
        for level in reversed(range(levels - 1)):
            width = decoder_widths[level]
            x = self.decoded(x, skips[level], width, level=level, train=train)
            maps.append(self.kept(x))
        if self.head:
            x = nn.Dense(self.head * self.stem**2, dtype=self.dtype)(x)
            x = resample.depth_to_space(x, self.stem)
            x = jnp.concatenate([x, image.astype(self.dtype)], axis=-1)
            maps.append(blocks.ConvNorm(self.head, **self.style)(x, train=train))
        return maps[::-1]

    def decoded(
        self,
        below: jax.Array,
        skip: jax.Array,
        features: int,
        *,
        level: int,
        train: bool,
    ) -> jax.Array:
        """Returns a level of the decoder.

        Args:
            below: `[B, h/2, w/2, D]`, of the level below.
            skip: `[B, h, w, C]`, of the encoder.
            features: Channels of the result.
            level: Which, the finest being 0.
            train: As that of the network.
        """
        del level
        block = blocks.ConvBlock(features, dropout=self.dropout, **self.style)
        if self.upsample == "nearest":
            return block(skip, train=train, below=below)
        x = jnp.concatenate([self.enlarged(below, features), skip], axis=-1)
        return block(x, train=train)

    def logits(self, features: jax.Array, channels: int) -> jax.Array:
        """Returns the logits of a square of pixels where features are those of one."""
        left = 1 if self.head else self.stem
        return resample.depth_to_space(
            super().logits(features, channels * left**2), left
        )

    def enlarged(self, x: jax.Array, features: int) -> jax.Array:
        """Returns `[B, 2h, 2w, D]`; `D` is `features` if the enlargement learns."""
        if self.upsample == "bilinear":
            return resample.bilinear(x)
        if self.upsample == "transpose":
            return resample.TransposedConv(features, dtype=self.dtype)(x)
        if self.upsample == "nearest_conv":
            return blocks.NearestConv(features, dtype=self.dtype)(x)
        return resample.depth_to_space(nn.Dense(4 * features, dtype=self.dtype)(x), 2)
