"""The U-Net of the satellite images of Kaggle's DSTL competition."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from minenet.models import blocks, norms, options
from minenet.models.unet import UNet


class EluUNet(UNet):
    """Convolution with bias, batch norm, ELU; a border that has no logits.

    That of kaggle_dstl_submission (Iglovikov et al. 2017, arXiv 1706.06169), which the
    Image-segmentation of IIEST took over: 7 858 433 variables, the running statistics
    included. Its source computes what it means; the biases before a norm have no
    effect.

    Attributes:
        crop: How many pixels are cut off at each side before the last norm, since they
            saw the padding; 16 in the source. The logits are smaller than the image by
            twice as much: for training, cut the target and the weight alike, and
            predict windows that overlap by as much.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    norm: str = "batch"
    activation: str = "elu"
    crop: int = 0

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        options.check_count("crop", self.crop)
        super().__post_init__()

    @property
    def margin(self) -> int:
        """What is cut off."""
        return self.crop

    @property
    def style(self) -> dict[str, Any]:
        """A bias beside the norm too, and the constants of Keras."""
        return {**super().style, "bias": True, **norms.KERAS}

    def decoded(
        self,
        below: jax.Array,
        skip: jax.Array,
        features: int,
        *,
        level: int,
        train: bool,
    ) -> jax.Array:
        """Returns a level; the finest is 0 where it is cut off."""
        if level or not self.crop:
            return super().decoded(below, skip, features, level=level, train=train)
        x = blocks.ConvNorm(features, **self.style)(skip, train=train, below=below)
        linear = {**self.style, "norm": "none", "activation": None}
        x = blocks.ConvNorm(features, **linear)(x, train=train)
        # The norm's statistics are those of what is left.
        inner = slice(self.crop, -self.crop)
        x = norms.normalized(x[:, inner, inner], self.norm, train=train, **norms.KERAS)
        x = blocks.ACTIVATIONS[self.activation](x)
        border = (self.crop, self.crop)
        return jnp.pad(x, ((0, 0), border, border, (0, 0)))
