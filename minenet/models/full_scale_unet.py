"""The U-Net whose levels feed all finer ones."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from minenet.models import blocks, norms, options, resample
from minenet.models.segmenter import Segmenter


class FullScaleUNet(Segmenter):
    """Every level of the encoder, enlarged step by step, feeds all finer ones.

    `make_unet_experimental` of Vorotyntsev et al. 2021
    (doi 10.1109/UKRCON53503.2021.9575783), akin to UNet 3+ (arXiv 2004.08790): from
    red, green and blue to 3 classes 15 369 395 parameters, and 1 386 331 with
    `widths=(8, 16, 32, 64, 128)`. Its source computes what it means.

    Attributes:
        widths: Channels of each level, from the finest to the bottom.
        norm: "group", "batch", "instance" or "none".
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 512)
    norm: str = "none"

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        options.check_counts("widths", self.widths, lengths=range(2, 13))
        options.check_choice("norm", self.norm, norms.NAMES)
        super().__post_init__()

    @property
    def multiple(self) -> int:
        """As many as the poolings need."""
        return 2 ** (len(self.widths) - 1)

    def features(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the map of each level of the decoder, the finest first."""
        block = functools.partial(
            blocks.ConvBlock, norm=self.norm, bias=True, dtype=self.dtype, **norms.KERAS
        )
        enlarge = functools.partial(blocks.NearestConv, dtype=self.dtype)
        x, skips = image, []
        for level, width in enumerate(self.widths):
            x = resample.max_pool(x) if level else x
            x = self.kept(block(width)(x, train=train))
            skips.append(x)
        bottom = len(self.widths) - 1
        maps, deeper = [x], []
        for level in reversed(range(bottom)):
            # From the bottom upwards, each at the resolution of this level.
            deeper = [*deeper, skips[level + 1]]
            deeper = [enlarge(y.shape[-1], kernel_size=3)(y) for y in deeper]
            x = enlarge(self.widths[level])(x)
            x = jnp.concatenate([skips[level], x, *deeper], axis=-1)
            x = self.kept(block(self.widths[level])(x, train=train))
            maps.append(x)
        return maps[::-1]
