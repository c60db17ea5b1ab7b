"""The smallest model: one linear map per pixel."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import options


class Linear(nn.Module):
    """A 1×1 convolution: logistic regression on the bands of a pixel.

    It sees no neighbour, so its blended map must equal the untiled one, and it costs
    next to nothing, so that what is measured with it is everything around a model.

    Attributes:
        num_classes: `K`, the channels of the logits.
        dtype: Of the computation; parameters and logits are float32.
    """

    num_classes: int
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Checks the options."""
        options.check_choice("dtype", self.dtype, options.DTYPES)
        super().__post_init__()

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        """Returns the logits `[B, H, W, K]` float32 of `[B, H, W, C]`."""
        del train
        logits = nn.Dense(self.num_classes, dtype=self.dtype)(image)
        return logits.astype(jnp.float32)
