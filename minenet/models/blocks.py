"""The parts that U-Nets are made of, in the forms that XLA runs fast."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

ACTIVATIONS = {"relu": nn.relu, "elu": nn.elu, "gelu": nn.gelu, "silu": nn.silu}
NORMS = ("group", "batch", "none")
UPSAMPLINGS = ("nearest", "bilinear", "transpose", "depth_to_space")

he_normal = nn.initializers.he_normal()


def max_pool(x: jax.Array) -> jax.Array:
    """Returns the maximum of each 2×2 block of `[B, H, W, C]`, `H` and `W` even.

    A reshape and a maximum: the gradient avoids XLA's select-and-scatter.
    """
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def space_to_depth(x: jax.Array, block: int) -> jax.Array:
    """Returns `[B, H/b, W/b, b·b·C]`: each block of pixels becomes channels."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // block, block, w // block, block, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // block, w // block, -1)


def depth_to_space(x: jax.Array, block: int) -> jax.Array:
    """Returns `[B, H·b, W·b, C/(b·b)]`, the inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, block, block, c // block**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * block, w * block, -1)


def repeat(x: jax.Array, times: int) -> jax.Array:
    """Returns `[B, H·times, W·times, C]`, each pixel repeated: nearest neighbour."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (b, h, times, w, times, c))
    return x.reshape(b, h * times, w * times, c)


def bilinear(x: jax.Array, times: int) -> jax.Array:
    """Returns `[B, H·times, W·times, C]`, interpolated between pixel centres."""
    b, h, w, c = x.shape
    return jax.image.resize(x, (b, h * times, w * times, c), "bilinear")


class TransposedConv(nn.Module):
    """The 2×2 transposed convolution of stride 2, as a product and a reshape.

    Its blocks do not overlap, so it is one matrix product per pixel; XLA's own
    transposed convolution takes twice as long. The kernel has the shape and meaning of
    `flax.linen.ConvTranspose`'s, `[2, 2, in, out]`.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `[B, 2H, 2W, features]`."""
        shape = (2, 2, x.shape[-1], self.features)
        kernel = self.param("kernel", he_normal, shape).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        b, h, w, _ = x.shape
        y = jnp.einsum("bhwi,klio->bhkwlo", x.astype(self.dtype), kernel)
        y = y.reshape(b, 2 * h, 2 * w, self.features)
        return y + bias.astype(self.dtype)


class GroupNorm(nn.Module):
    """Group normalisation (Wu and He 2018) as one scale and shift per channel.

    Sums of x and x² come from one pass in float32, and what is left per pixel is a
    multiplication and an addition. The statistics are those of the chip: a window's
    values depend on what else lies in it, which overlapping windows soften at
    prediction.
    """

    groups: int = 8
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `[B, H, W, C]` in the dtype of `x`."""
        channels = x.shape[-1]
        groups = next(g for g in range(self.groups, 0, -1) if channels % g == 0)
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        x32 = x.astype(jnp.float32)

        def per_group(moment: jax.Array) -> jax.Array:
            return moment.reshape(len(x), groups, -1).mean(axis=-1)

        mean = per_group(x32.mean(axis=(1, 2)))
        square = per_group((x32 * x32).mean(axis=(1, 2)))
        # The difference of two sums can fall below 0 by rounding.
        inverse = jax.lax.rsqrt(jnp.maximum(square - mean**2, 0.0) + self.epsilon)
        mean, inverse = (
            jnp.repeat(moment, channels // groups, axis=1) for moment in (mean, inverse)
        )
        factor = scale * inverse
        shift = bias - mean * factor
        return (x32 * factor[:, None, None] + shift[:, None, None]).astype(x.dtype)


class ConvBlock(nn.Module):
    """Twice 3×3 convolution, norm, activation; then dropout of whole channels."""

    features: int
    norm: str = "group"
    activation: str = "relu"
    dropout: float = 0.0
    residual: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns `[B, H, W, features]`."""
        activate, y = ACTIVATIONS[self.activation], x
        for _ in range(2):
            y = nn.Conv(
                self.features,
                (3, 3),
                use_bias=self.norm == "none",
                kernel_init=he_normal,
                dtype=self.dtype,
            )(y)
            if self.norm == "group":
                y = GroupNorm()(y)
            elif self.norm == "batch":
                y = nn.BatchNorm(use_running_average=not train, momentum=0.9)(y)
            y = activate(y)
        if self.residual:
            same = x.shape[-1] == self.features
            y = y + (x if same else nn.Conv(self.features, (1, 1), dtype=self.dtype)(x))
        return nn.Dropout(self.dropout, broadcast_dims=(1, 2))(
            y, deterministic=not train
        )
