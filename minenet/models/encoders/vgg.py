"""The VGG with batch norm (Simonyan and Zisserman 2015, arXiv 1409.1556)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import resample
from minenet.models.blocks import ConvNorm


class VGG(nn.Module):
    """Five levels of 3×3 convolutions, each followed by a pooling.

    Its convolutions keep their bias beside the norm, which makes it superfluous. The
    map at full resolution is not among those returned: no decoder here takes it.

    Attributes:
        blocks: Convolutions of each level.
        width: Channels of the first level, doubled by each of the next up to 8 times.
        norm: One of `norms.NAMES`.
        dtype: Of the computation.
    """

    blocks: tuple[int, ...] = (2, 2, 3, 3, 3)
    width: int = 64
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
        """Returns the maps, the finest first; arguments as those of `ResNet`."""
        x, maps, place = image, [], 0
        for level, count in enumerate(self.blocks):
            for _ in range(count):
                # PyTorch's places in a list where norm, ReLU and pooling count too.
                x = ConvNorm(
                    self.width * min(2**level, 8),
                    norm=self.norm,
                    bias=True,
                    dtype=self.dtype,
                    name=f"features_{place}_{place + 1}",
                )(x, train=train)
                place += 3
            if level > 0:
                maps.append(x := kept(x))
            x = resample.max_pool(x)
            place += 1
        return [*maps, kept(x)]
