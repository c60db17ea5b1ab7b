"""The decoder of DeepLabV3+ (Chen et al. 2018, arXiv 1802.02611), as in smp 0.6."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import resample
from minenet.models.blocks import ConvNorm
from minenet.models.depthwise import SeparableConvNorm


class DeepLabV3Plus(nn.Module):
    """Convolutions of several spacings side by side, joined with the map at 1/4.

    It wants an encoder whose last map is at 1/16.

    Attributes:
        widths: Channels of the result.
        dilations: Of the convolutions side by side, in pixels of 1/16.
        skip_width: Channels of what is taken from the map at 1/4.
        dropout: Probability that a value of the joined context is dropped in training.
        norm: One of `norms.NAMES`.
        dtype: Of the computation.
    """

    widths: tuple[int] = (256,)
    dilations: tuple[int, ...] = (12, 24, 36)
    skip_width: int = 48
    dropout: float = 0.5
    norm: str = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array], *, train: bool) -> list[jax.Array]:
        """Returns the maps at 1/4 and 1/16; see `UNetDecoder`.

        In training it needs the key "dropout".
        """
        (width,) = self.widths
        style = {"norm": self.norm, "dtype": self.dtype}
        flat = functools.partial(ConvNorm, kernel_size=1, **style)
        separable = functools.partial(SeparableConvNorm, width, **style)
        x = maps[-1]
        parts = [flat(width, name="context_0")(x, train=train)]
        for place, dilation in enumerate(self.dilations, 1):
            layer = separable(dilation=dilation, name=f"context_{place}")
            parts.append(layer(x, train=train))
        mean = x.mean(axis=(1, 2), keepdims=True)
        mean = flat(width, name="context_mean")(mean, train=train)
        parts.append(jnp.broadcast_to(mean, parts[0].shape))
        x = flat(width, name="project")(jnp.concatenate(parts, axis=-1), train=train)
        x = nn.Dropout(self.dropout)(x, deterministic=not train)
        context = separable(name="refine")(x, train=train)
        skip = flat(self.skip_width, name="skip")(maps[1], train=train)
        x = resample.bilinear_aligned(context, skip.shape[1] // context.shape[1])
        x = jnp.concatenate([x, skip], axis=-1)
        return [separable(name="join")(x, train=train), context]
