"""The U-Net (Ronneberger et al. 2015) with its usual choices as options."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import blocks
from minenet.types import InputError


class UNet(nn.Module):
    """An encoder and a decoder of equal depth, joined at every level.

    Any height and width: the image is padded to what the poolings need, by repeating
    its edge, and the logits are cropped back.

    Attributes:
        num_classes: `K`, the channels of the logits.
        widths: Channels of each level, from the first to the bottom.
        stem: Side of the pixel blocks that become channels before the first level, a
            power of two. 2 makes a step four times as cheap and doubles what a pixel
            sees; the logits come back at full resolution.
        norm: "group", "batch" or "none".
        activation: "relu", "elu", "gelu" or "silu".
        dropout: Probability with which a block loses a channel in training.
        bottom_dropout: The same after the bottom level only.
        residual: Whether each block adds its input.
        upsample: "nearest", "bilinear" (each before the next level's convolutions),
            "transpose" (2×2 transposed convolution) or "depth_to_space".
        dtype: Of the computation; parameters and logits are float32.
    """

    num_classes: int
    widths: tuple[int, ...] = (32, 64, 128, 256)
    stem: int = 1
    norm: str = "group"
    activation: str = "relu"
    dropout: float = 0.0
    bottom_dropout: float = 0.0
    residual: bool = False
    upsample: str = "nearest"
    dtype: Any = jnp.float32

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        for option, allowed in (
            ("norm", blocks.NORMS),
            ("activation", tuple(blocks.ACTIVATIONS)),
            ("upsample", blocks.UPSAMPLINGS),
            ("stem", (1, 2, 4, 8)),
        ):
            value = getattr(self, option)
            if value not in allowed:
                listed = ", ".join(map(repr, allowed))
                raise InputError(f"model.{option}={value!r}: choose one of {listed}")
        for option in ("dropout", "bottom_dropout"):
            if not 0 <= getattr(self, option) < 1:
                raise InputError(
                    f"model.{option}={getattr(self, option)}: must be at least 0 and "
                    "below 1"
                )
        if not self.widths or min(self.widths) < 1:
            raise InputError(
                f"model.widths={self.widths}: give the channels of each level"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        """Returns the logits `[B, H, W, K]` float32 of `[B, H, W, C]`."""
        height, width = image.shape[1:3]
        multiple = self.stem * 2 ** (len(self.widths) - 1)
        x = _pad(image.astype(self.dtype), multiple)
        if self.stem > 1:
            x = blocks.space_to_depth(x, self.stem)
        skips = []
        for level, features in enumerate(self.widths):
            if level:
                skips.append(x)
                x = blocks.max_pool(x)
            x = self._block(features)(x, train)
        x = nn.Dropout(self.bottom_dropout, broadcast_dims=(1, 2))(
            x, deterministic=not train
        )
        for features, skip in zip(self.widths[-2::-1], skips[::-1], strict=True):
            x = jnp.concatenate([self._up(features, x), skip], axis=-1)
            x = self._block(features)(x, train)
        # The last map is float32: probabilities near 0 and 1 need it.
        logits = nn.Dense(self.num_classes * self.stem**2)(x.astype(jnp.float32))
        if self.stem > 1:
            logits = blocks.depth_to_space(logits, self.stem)
        return logits[:, :height, :width]

    def _block(self, features: int) -> nn.Module:
        return blocks.ConvBlock(
            features,
            norm=self.norm,
            activation=self.activation,
            dropout=self.dropout,
            residual=self.residual,
            dtype=self.dtype,
        )

    def _up(self, features: int, x: jax.Array) -> jax.Array:
        if self.upsample == "nearest":
            return blocks.repeat(x, 2)
        if self.upsample == "bilinear":
            return blocks.bilinear(x, 2)
        if self.upsample == "transpose":
            return blocks.TransposedConv(features, dtype=self.dtype)(x)
        x = nn.Conv(4 * features, (1, 1), kernel_init=blocks.he_normal)(x)
        return blocks.depth_to_space(x, 2)


def _pad(image: jax.Array, multiple: int) -> jax.Array:
    rows, cols = (math.ceil(n / multiple) * multiple - n for n in image.shape[1:3])
    return jnp.pad(image, ((0, 0), (0, rows), (0, cols), (0, 0)), mode="edge")
