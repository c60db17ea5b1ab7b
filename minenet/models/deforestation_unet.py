"""The U-Net of the Ukrainian forestries."""

from __future__ import annotations

from typing import Any

import jax
from flax import linen as nn

from minenet.models import norms
from minenet.models.unet import UNet


class DeforestationUNet(UNet):
    """Enlargement and a 2×2 convolution, both with ReLU; no norm.

    `build_unet` of Vorotyntsev et al. 2021 (doi 10.1109/UKRCON53503.2021.9575783),
    which maps deforestation in red, green and blue: 7 760 163 parameters. Its other
    sizes go on to 1024 (31 094 563) and 2048 channels (124 424 995, the one that was
    published with weights). `upsample="transpose"` is its other enlargement.

    Its source makes batch norms and leaves them unconnected, so they are no part of the
    network. What it meant is `norm="batch"`, with the constants of Keras.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    upsample: str = "nearest_conv"
    norm: str = "none"

    @property
    def style(self) -> dict[str, Any]:
        """A bias beside the norm too, and the constants of Keras."""
        return {**super().style, "bias": True, **norms.KERAS}

    def enlarged(self, x: jax.Array, features: int) -> jax.Array:
        """Returns `[B, 2h, 2w, features]`, nothing below 0."""
        return nn.relu(super().enlarged(x, features))
