"""The decoder of U-Net++ (Zhou et al. 2018, arXiv 1807.10165), as in smp 0.6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models.decoders.unet import Block


class UNetPlusPlus(nn.Module):
    """A grid of U-Net blocks, where each takes all that came before it on its level.

    Node (d, l) enlarges node (d, l - 1), and joins it with the nodes (d + 1, l) to
    (l, l) and the encoder's map of that size. If d > 0 it is as wide as that map.

    Attributes:
        widths: Channels of the nodes with d = 0, from the finest.
        attention: "scse" or "none".
        norm: One of `norms.NAMES`.
        dtype: Of the computation.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    attention: str = "none"
    norm: str = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array], *, train: bool) -> list[jax.Array]:
        """Returns the nodes with d = 0, the finest first; see `UNetDecoder`."""
        deepest_first = maps[::-1]
        style = {"norm": self.norm, "dtype": self.dtype}

        def node(d: int, level: int, x: jax.Array, joined: list) -> jax.Array:
            width = joined[-1].shape[-1] if d else self.widths[-1 - level]
            skip = jnp.concatenate(joined, axis=-1) if joined else None
            block = Block(width, self.attention, **style, name=f"node_{d}_{level}")
            return block(x, skip, train=train)

        before: list[jax.Array] = []
        found: list[jax.Array] = []
        for level, skip in enumerate(deepest_first[1:]):
            # Of the row the node with the greatest d comes first: the others take it.
            row: list[jax.Array] = []
            for d, x in enumerate([*before, deepest_first[level]][::-1]):
                row.insert(0, node(level - d, level, x, [*row, skip]))
            before = row
            found.append(row[0])
        found.append(node(0, len(found), before[0], []))
        return found[::-1]
