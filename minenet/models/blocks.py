"""Convolution, norm and activation: what the levels of a U-Net are made of."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import convolution, norms, resample

ACTIVATIONS = {
    "relu": nn.relu,
    "elu": nn.elu,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "leaky_relu": nn.leaky_relu,
}


def he_normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Returns a kernel that keeps a ReLU network's variance (He et al. 2015).

    The values are those of Flax's initialiser, drawn as a matrix: XLA needs seconds to
    compile each draw of four dimensions.
    """
    matrix = nn.initializers.he_normal()(key, (math.prod(shape[:-1]), shape[-1]))
    return matrix.reshape(shape)


class ChannelDropout(nn.Module):
    """Dropout of whole channels (Tompson et al. 2015): neighbours say the same.

    Attributes:
        rate: Probability that a channel of a sample is dropped in training.
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[B, H, W, C]`; in training it needs the key "dropout"."""
        if not train or self.rate == 0:
            return x
        shape = (x.shape[0], x.shape[-1])
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.rate, shape)
        return x * (kept / (1 - self.rate)).astype(x.dtype)[:, None, None]


class ConvNorm(nn.Module):
    """Convolution, norm, activation.

    Attributes:
        features: Channels of the result.
        norm: One of `norms.NAMES`.
        activation: One of `ACTIVATIONS`, or None.
        kernel_size: Side of the kernel.
        stride: Distance of the pixels of the result.
        padding: As that of `convolution.convolve`.
        dilation: Distance of the kernel's taps in pixels.
        bias: Whether each channel has a bias; None: where it has no norm.
        epsilon: That of the norm.
        momentum: That of a batch norm.
        dtype: Of the computation.
    """

    features: int
    norm: str = "group"
    activation: str | None = "relu"
    kernel_size: int = 3
    stride: int = 1
    padding: convolution.Padding = "SAME"
    dilation: int = 1
    bias: bool | None = None
    epsilon: float = norms.EPSILON
    momentum: float = norms.MOMENTUM
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        *,
        train: bool,
        below: jax.Array | None = None,
        shortcut: jax.Array | None = None,
    ) -> jax.Array:
        """Returns `[B, H, W, features]`; a stride divides height and width.

        Args:
            x: `[B, H, W, C]`.
            train: Whether the batch gives the statistics of a batch norm.
            below: `[B, H/2, W/2, D]`; its nearest-neighbour enlargement is convolved
                too, as if the two were concatenated, `below` first.
            shortcut: `[B, H, W, features]`, added before the activation.
        """
        depth = 0 if below is None else below.shape[-1]
        side = self.kernel_size
        shape = (side, side, depth + x.shape[-1], self.features)
        kernel = self.param("kernel", he_normal, shape).astype(self.dtype)
        y = convolution.convolve(
            x.astype(self.dtype),
            kernel[:, :, depth:],
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
        if below is not None:
            below = below.astype(self.dtype)
            y += resample.convolve_nearest(below, kernel[:, :, :depth])
        if self.norm == "none" if self.bias is None else self.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            y += bias.astype(self.dtype)
        y = norms.normalized(
            y, self.norm, train=train, epsilon=self.epsilon, momentum=self.momentum
        )
        if shortcut is not None:
            y += shortcut
        return ACTIVATIONS[self.activation](y) if self.activation else y


class NearestConv(nn.Module):
    """Nearest-neighbour enlargement, convolution, activation.

    Attributes:
        features: Channels of the result.
        activation: One of `ACTIVATIONS`.
        kernel_size: Side of the kernel; an even one reaches one pixel farther at the
            end than at the start, as in Keras.
        dtype: Of the computation.
    """

    features: int
    activation: str = "relu"
    kernel_size: int = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `[B, 2H, 2W, features]`."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", he_normal, shape).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = resample.convolve_nearest(x.astype(self.dtype), kernel)
        return ACTIVATIONS[self.activation](y + bias.astype(self.dtype))


class ConvBlock(nn.Module):
    """Twice `ConvNorm`, then dropout of whole channels.

    Attributes:
        features: Channels of the result.
        norm: One of `norms.NAMES`.
        activation: One of `ACTIVATIONS`.
        residual: Whether the input is added before the last activation (He et al.
            2016), through a 1×1 convolution where the number of channels changes.
        dropout: Probability that a channel of a sample is dropped in training.
        bias: As that of `ConvNorm`; so are `epsilon` and `momentum`.
        epsilon: That of the norms.
        momentum: That of batch norms.
        dtype: Of the computation.
    """

    features: int
    norm: str = "group"
    activation: str = "relu"
    residual: bool = False
    dropout: float = 0.0
    bias: bool | None = None
    epsilon: float = norms.EPSILON
    momentum: float = norms.MOMENTUM
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, below: jax.Array | None = None
    ) -> jax.Array:
        """Returns `[B, H, W, features]`; arguments as those of `ConvNorm`."""

        def layer() -> ConvNorm:
            return ConvNorm(
                self.features,
                norm=self.norm,
                activation=self.activation,
                bias=self.bias,
                epsilon=self.epsilon,
                momentum=self.momentum,
                dtype=self.dtype,
            )

        shortcut = None
        if self.residual and x.shape[-1] == self.features:
            shortcut = x
        elif self.residual:
            shortcut = nn.Dense(self.features, use_bias=False, dtype=self.dtype)(x)
        y = layer()(x, train=train, below=below)
        y = layer()(y, train=train, shortcut=shortcut)
        return ChannelDropout(self.dropout)(y, train=train)
