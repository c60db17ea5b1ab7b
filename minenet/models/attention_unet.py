"""The U-Net whose skips pass a gate."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import blocks, norms, resample
from minenet.models.unet import UNet


class AttentionGate(nn.Module):
    """Additive attention: how much of each pixel of a skip the level below lets pass.

    `x · σ(ψ(ReLU(θ(x) + φ(g))))`, computed at the resolution of `g` and enlarged, then
    a 1×1 convolution and a norm, as in the authors' code.

    Attributes:
        norm: One of `norms.NAMES`.
        dtype: Of the computation.
    """

    norm: str = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, gating: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[B, H, W, C]`.

        Args:
            x: `[B, H, W, C]`, of the encoder.
            gating: `[B, H/2, W/2, D]`, of the level below.
            train: Whether the batch gives the statistics of a batch norm.
        """
        channels = x.shape[-1]
        x = x.astype(self.dtype)
        # θ is a 2×2 convolution of stride 2: one product for each of its squares.
        theta = nn.Dense(channels, use_bias=False, dtype=self.dtype, name="theta")
        phi = nn.Dense(channels, dtype=self.dtype, name="phi")
        psi = nn.Dense(1, dtype=self.dtype, name="psi")
        hidden = nn.relu(theta(resample.space_to_depth(x, 2)) + phi(gating))
        share = resample.bilinear(nn.sigmoid(psi(hidden)))
        y = nn.Dense(channels, dtype=self.dtype, name="passed")(x * share)
        return norms.normalized(y, self.norm, train=train)


class AttentionUNet(UNet):
    """Attention gates on all skips but the finest.

    That of Oktay et al. 2018 (arXiv 1804.03999) in two dimensions: the widths of the
    authors' code, convolution with bias, batch norm, ReLU, bilinear enlargement, and at
    the bottom a 1×1 convolution that makes the gating signal. From 3 channels to 1 it
    has 2 183 524 parameters. The authors' fusion of the levels' logits is left to
    `deep_supervision`.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    upsample: str = "bilinear"
    norm: str = "batch"

    @property
    def style(self) -> dict[str, Any]:
        """A bias beside the norm too."""
        return {**super().style, "bias": True}

    def decoded(
        self,
        below: jax.Array,
        skip: jax.Array,
        features: int,
        *,
        level: int,
        train: bool,
    ) -> jax.Array:
        """Returns a level, its skip gated by the one below."""
        if level:
            gating = below
            if level == len(self.widths) - 2:
                signal = blocks.ConvNorm(below.shape[-1], kernel_size=1, **self.style)
                gating = signal(below, train=train)
            gate = AttentionGate(self.norm, dtype=self.dtype)
            skip = gate(skip, gating, train=train)
        return super().decoded(below, skip, features, level=level, train=train)
