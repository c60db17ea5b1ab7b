"""Masks that are painted: colours to class ids and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from minenet.types import IGNORE

if TYPE_CHECKING:
    from minenet.types import Array

Palette = Sequence[Sequence[int]]
"""The colour of each class, all of as many channels."""

DEFORESTATION: Palette = ((11,), (226,), (51,))
"""Forest, deforestation and other, by the red of the masks of Vorotyntsev et al. 2021.

(11, 195, 72) and (226, 19, 15) are the first two in full.
"""


def to_classes(colors: Array, palette: Palette, *, tolerance: int = 0) -> jax.Array:
    """Returns the class ids `[...]` uint8 of a painted mask.

    Args:
        colors: `[..., C]` of integers. Channels beyond the palette's are not looked at.
        palette: Up to 255 classes.
        tolerance: Largest difference in a channel, for masks that were compressed or
            drawn with soft edges; the nearest colour wins.

    Returns:
        The place in the palette; `types.IGNORE` where no colour is as near.

    Raises:
        ValueError: If the palette is empty or uneven, or has more channels than
            `colors`.

    >>> print(to_classes(np.array([[226, 19, 15], [9, 9, 9]]), DEFORESTATION))
    [  1 255]
    """
    table = _table(palette)
    channels = table.shape[1]
    if colors.shape[-1] < channels:
        raise ValueError(
            f"colors (shape={colors.shape}) must have the palette's {channels} channels"
            " in its last axis"
        )
    colors = jnp.asarray(colors[..., :channels]).astype(jnp.int32)
    apart = jnp.stack([jnp.abs(colors - c).max(-1) for c in table], axis=-1)
    found = apart.min(-1) <= tolerance
    return jnp.where(found, apart.argmin(-1), IGNORE).astype(jnp.uint8)


def to_colors(classes: Array, palette: Palette) -> jax.Array:
    """Returns the painted mask `[..., C]` uint8 of class ids `[...]`.

    0 in all channels, black as a rule, where an id has no colour.

    Raises:
        ValueError: If the palette is empty or uneven.
    """
    table = _table(palette)
    classes = jnp.asarray(classes).astype(jnp.int32)
    known = (classes >= 0) & (classes < len(table))
    painted = jnp.asarray(table, jnp.uint8)[jnp.where(known, classes, 0)]
    return jnp.where(known[..., None], painted, 0).astype(jnp.uint8)


def _table(palette: Palette) -> np.ndarray:
    lengths = {len(color) for color in palette}
    if len(lengths) != 1 or lengths == {0} or len(palette) > IGNORE:
        raise ValueError(
            f"palette={tuple(palette)}: must be 1 to {IGNORE} colours of as many "
            "channels each"
        )
    return np.asarray(palette, np.int32)
