"""The smallest model: one linear map per pixel."""

from __future__ import annotations

import jax

from minenet.models.segmenter import Segmenter


class Linear(Segmenter):
    """A 1×1 convolution: logistic regression on the bands of a pixel.

    It sees no neighbour, so its blended map must equal the untiled one, and it costs
    next to nothing, so that what is measured with it is everything around a model.
    """

    def features(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the image itself."""
        del train
        return [image.astype(self.dtype)]
