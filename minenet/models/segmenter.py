"""What every network has around its features: padding, heads, recomputation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name

from minenet.models import options
from minenet.types import InputError

_KEPT = "kept in the forward pass"


class Segmenter(nn.Module):
    """From an image to logits; a network says how its features come about.

    Any height and width: the image is padded to what the poolings need, by repeating
    its edge, and the logits are cropped back.

    Attributes:
        num_classes: `K`, the channels of the logits.
        deep_supervision: How many of the decoder's coarser maps have logits of their
            own, for a loss that trains the deep levels directly (Lee et al. 2015,
            arXiv 1409.5185).
        heads: `(name, channels)` of further maps to be read off the finest features:
            a boundary, a signed distance, the classes of a second task.
        remat: Whether the backward pass computes again what lies between the maps of
            the levels, which saves their memory for about a third more time.
        dtype: Of the computation, "float32" or "bfloat16"; parameters, statistics and
            logits are float32.
    """

    num_classes: int
    deep_supervision: int = 0
    heads: tuple[tuple[str, int], ...] = ()
    remat: bool = False
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        options.check_choice("dtype", self.dtype, options.DTYPES)
        options.check_choice("remat", self.remat, (False, True))
        options.check_count("deep_supervision", self.deep_supervision)
        options.check_heads("heads", self.heads)
        super().__post_init__()

    @property
    def multiple(self) -> int:
        """What height and width are padded to a multiple of."""
        return 1

    @property
    def margin(self) -> int:
        """How many pixels at each side of the image have no logits."""
        return 0

    def features(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns maps `[B, h, w, C]` to read logits off, the finest first.

        Args:
            image: `[B, H, W, C]`, padded.
            train: As that of the network.
        """
        raise NotImplementedError

    def logits(self, features: jax.Array, channels: int) -> jax.Array:
        """Returns `[B, h, w, channels]` float32, by default of a 1×1 convolution."""
        # The last map is float32: probabilities near 0 and 1 need it.
        return nn.Dense(channels)(features.astype(jnp.float32))

    def kept(self, x: jax.Array) -> jax.Array:
        """Returns `x`, which `remat` keeps; a network marks the maps of its levels."""
        return checkpoint_name(x, _KEPT)

    @nn.compact
    def __call__(
        self, image: jax.Array, train: bool = False, auxiliary: bool = False
    ) -> Any:
        """Returns the logits of a normalised image.

        Args:
            image: `[B, H, W, C]`.
            train: Whether channels are dropped and the batch gives the statistics of a
                batch norm. It then needs the key "dropout", if there is any, and
                `batch_stats` to be mutable.
            auxiliary: Whether the maps of `deep_supervision` and `heads` are wanted.

        Returns:
            `[B, H, W, K]` float32, less the margin at each side; with `auxiliary` a
            pair of it and a mapping, where "deep_1", "deep_2", … `[B, H, W, K]` are the
            logits of ever coarser levels, enlarged, and each head's name its
            `[B, H, W, channels]`.

        Raises:
            InputError: If the image is no larger than the margins.
        """
        height, width = image.shape[1:3]
        margin = self.margin
        if min(height, width) <= 2 * margin:
            raise InputError(
                f"image of {height}×{width} pixels: expected more than 2·{margin}, "
                "since the logits lack so many at each side"
            )
        padded = _padded(image, self.multiple)

        def trunk(network: Segmenter, padded: jax.Array) -> list[jax.Array]:
            return network.features(padded, train=train)

        if self.remat:
            policy = jax.checkpoint_policies.save_only_these_names(_KEPT)
            trunk = nn.remat(trunk, policy=policy, prevent_cse=False)
        maps = trunk(self, padded)

        def head(features: jax.Array, channels: int) -> jax.Array:
            found = self.logits(features, channels)
            if found.shape[1:3] != padded.shape[1:3]:
                size = (found.shape[0], *padded.shape[1:3], channels)
                found = jax.image.resize(found, size, "bilinear")
            return found[:, margin : height - margin, margin : width - margin]

        logits = head(maps[0], self.num_classes)
        if not (auxiliary or self.is_initializing()):
            return logits
        levels = range(1, 1 + min(self.deep_supervision, len(maps) - 1))
        further = {f"deep_{k}": head(maps[k], self.num_classes) for k in levels}
        further |= {name: head(maps[0], channels) for name, channels in self.heads}
        return (logits, further) if auxiliary else logits


def _padded(image: jax.Array, multiple: int) -> jax.Array:
    rows, cols = (-n % multiple for n in image.shape[1:3])
    return jnp.pad(image, ((0, 0), (0, rows), (0, cols), (0, 0)), mode="edge")
