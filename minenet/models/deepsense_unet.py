"""The U-Net of constant width."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from minenet.models import blocks, norms, options, resample
from minenet.models.segmenter import Segmenter

_NORMS = ("frozen", *norms.NAMES)


class DeepsenseUNet(Segmenter):
    """Every level as wide as the finest, a norm before each convolution but the first.

    `Unetv2` of Detecting_Mining_Areas_India (ICTD, IIT Delhi), after deepsense.ai's
    entry to Kaggle's DSTL competition: from 12 bands to 1 class 2 179 617 variables.
    The last enlargement meets the first convolution of the finest level, the others the
    second of theirs. Convolutions start from He's initialisation.

    Its source freezes the norms from the start, so that each divides by √1.001 and no
    more, and leaves the convolutions of the bottom unconnected. What it meant is
    `norm="batch", bottom_convolutions=2`.

    Attributes:
        width: Channels of all maps, but for half as many more in the first convolution
            of each level of the decoder.
        poolings: How often the resolution is halved.
        bottom_convolutions: Further convolutions, each after a norm, at the bottom.
        norm: "frozen", or one that learns: "group", "batch", "instance" or "none".
    """

    width: int = 64
    poolings: int = 7
    bottom_convolutions: int = 0
    norm: str = "frozen"

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        options.check_count("width", self.width, least=2)
        options.check_count("poolings", self.poolings, least=1)
        options.check_count("bottom_convolutions", self.bottom_convolutions)
        options.check_choice("norm", self.norm, _NORMS)
        super().__post_init__()

    @property
    def multiple(self) -> int:
        """As many as the poolings need."""
        return 2**self.poolings

    def features(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the map of each level of the decoder, the finest first."""
        layer = functools.partial(blocks.ConvNorm, norm="none", dtype=self.dtype)

        def normalized(x: jax.Array) -> jax.Array:
            # The source's constants: it keeps a hundredth of the running mean.
            if self.norm == "frozen":
                return norms.BatchNorm(epsilon=1e-3, frozen=True)(x, train=train)
            return norms.normalized(
                x, self.norm, train=train, epsilon=1e-3, momentum=0.01
            )

        def convolved(x: jax.Array, width: int) -> jax.Array:
            return layer(width)(normalized(x), train=train)

        x, skips = layer(self.width)(image, train=train), []
        for level in range(self.poolings):
            first = convolved(x, self.width)
            x = convolved(first, self.width)
            skips.append(self.kept(x if level else first))
            if level:
                x = convolved(x, self.width)
            x = self.kept(resample.max_pool(x))
        for _ in range(self.bottom_convolutions):
            x = convolved(x, self.width)
        maps = [x]
        for skip in reversed(skips):
            enlarge = resample.TransposedConv(self.width, 3, dtype=self.dtype)
            x = jnp.concatenate([enlarge(normalized(x)), skip], axis=-1)
            x = convolved(convolved(x, self.width * 3 // 2), self.width)
            maps.append(self.kept(x))
        return maps[::-1]
