"""The ResNet (He et al. 2016, arXiv 1512.03385), as torchvision and timm have it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import resample
from minenet.models.blocks import ConvNorm


class ResNet(nn.Module):
    """A 7×7 convolution, a pooling and four stages of residual blocks.

    Attributes:
        blocks: Of each stage.
        width: Channels of the first stage, doubled by each of the next.
        bottleneck: Whether a block narrows its 3×3 convolution to a quarter, as those
            of ResNet-50 do.
        output_stride: 32, or 16 or 8, where the last stages space out their kernels
            instead of making the map smaller.
        norm: One of `norms.NAMES`.
        dtype: Of the computation.
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    bottleneck: bool = False
    output_stride: int = 32
    norm: str = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: jax.Array,
        *,
        train: bool = False,
        kept: Callable[[jax.Array], jax.Array] = lambda x: x,
    ) -> list[jax.Array]:
        """Returns the maps, the finest first.

        Args:
            image: `[B, H, W, C]`.
            train: Whether the batch gives the statistics of a batch norm.
            kept: Applied to each map before the next level takes it.
        """
        style = {"norm": self.norm, "dtype": self.dtype}
        stem = _conv(self.width, kernel_size=7, stride=2, **style, name="stem")
        x = stem(image, train=train)
        maps = [kept(x)]
        x = resample.max_pool_overlapping(maps[0])
        block = _Bottleneck if self.bottleneck else _Block
        reached = 4
        for stage, count in enumerate(self.blocks):
            spaced = stage > 0 and reached >= self.output_stride
            stride = 1 if stage == 0 or spaced else 2
            reached *= stride
            dilation = 2 ** (stage + 2) // reached
            for index in range(count):
                x = block(
                    self.width * 2**stage,
                    stride=stride if index == 0 else 1,
                    dilation=dilation,
                    **style,
                    name=f"layer{stage + 1}_{index}",
                )(x, train=train)
            maps.append(x := kept(x))
        return maps


class _Block(nn.Module):
    features: int
    stride: int
    dilation: int
    norm: str
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        layer = functools.partial(
            _conv,
            self.features,
            dilation=self.dilation,
            norm=self.norm,
            dtype=self.dtype,
        )
        shortcut = _shortcut(self, x, self.features, train=train)
        x = layer(stride=self.stride, name="conv1")(x, train=train)
        return layer(name="conv2")(x, train=train, shortcut=shortcut)


class _Bottleneck(nn.Module):
    features: int
    stride: int
    dilation: int
    norm: str
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        layer = functools.partial(_conv, norm=self.norm, dtype=self.dtype)
        shortcut = _shortcut(self, x, 4 * self.features, train=train)
        x = layer(self.features, kernel_size=1, name="conv1")(x, train=train)
        x = layer(
            self.features, stride=self.stride, dilation=self.dilation, name="conv2"
        )(x, train=train)
        last = layer(4 * self.features, kernel_size=1, name="conv3")
        return last(x, train=train, shortcut=shortcut)


def _shortcut(
    block: _Block | _Bottleneck, x: jax.Array, features: int, *, train: bool
) -> jax.Array:
    if block.stride == 1 and x.shape[-1] == features:
        return x
    layer = _conv(
        features,
        kernel_size=1,
        norm=block.norm,
        activation=None,
        dtype=block.dtype,
        name="downsample",
    )
    return layer(x[:, :: block.stride, :: block.stride], train=train)


def _conv(
    features: int, *, kernel_size: int = 3, dilation: int = 1, **style: Any
) -> ConvNorm:
    # As PyTorch pads: "SAME" would shift the kernel where the stride is 2.
    reach = kernel_size // 2 * dilation
    return ConvNorm(
        features,
        kernel_size=kernel_size,
        padding=((reach, reach), (reach, reach)),
        dilation=dilation,
        **style,
    )
