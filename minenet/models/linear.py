"""The smallest model: one linear map per pixel."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn


class Linear(nn.Module):
    """A 1×1 convolution: logistic regression on the bands of a pixel.

    It sees no neighbour, so its blended map must equal the untiled one, and it costs
    next to nothing, so that what is measured with it is everything around a model.
    """

    num_classes: int

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        """Returns the logits `[B, H, W, K]` of `[B, H, W, C]`."""
        del train
        return nn.Dense(self.num_classes)(image.astype(jnp.float32))
