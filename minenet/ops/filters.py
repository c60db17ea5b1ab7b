"""Medians: a filter against single wild values, and a fill for invalid ones.

Images are `[H, W, C]` in their own units, NaN where invalid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from minenet.types import Array


def median_filter(image: Array, *, size: int = 3) -> jax.Array:
    """Returns `image` with each value the median of the `size`² around it.

    Band by band. Beyond the edges, the image is reflected; invalid values count in no
    median and stay invalid.

    Raises:
        ValueError: If `size` is not odd and positive.

    >>> spike = jnp.zeros((5, 5, 1)).at[2, 2].set(9.0)
    >>> print(median_filter(spike).max())
    0.0
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size={size}: must be odd and positive, to have a centre")
    image = jnp.asarray(image, jnp.float32)
    around = size // 2
    padded = jnp.pad(
        image, ((around, around), (around, around), (0, 0)), mode="symmetric"
    )
    height, width = image.shape[:2]
    windows = jnp.stack(
        [
            padded[i : i + height, j : j + width]
            for i in range(size)
            for j in range(size)
        ]
    )
    return jnp.where(jnp.isfinite(image), _median(windows, (0,)), image)


def fill_median(image: Array, *, over: Literal["band", "image"] = "band") -> jax.Array:
    """Returns `image` with the median of its valid values where it has none.

    Args:
        image: `[H, W, C]`.
        over: "band" takes each band's own median, and leaves NaN a band that has no
            value at all; "image" takes the one of all bands together.

    Raises:
        ValueError: If `over` is neither.
    """
    if over not in ("band", "image"):
        raise ValueError(f"over={over!r}: must be 'band' or 'image'")
    image = jnp.asarray(image, jnp.float32)
    middle = _median(image, (0, 1) if over == "band" else (0, 1, 2))
    valid = jnp.isfinite(image)
    return jnp.where(valid, image, jnp.broadcast_to(middle, image.shape))


def _median(values: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """The median of the finite values over leading axes; NaN where there are none."""
    return jnp.nanmedian(jnp.where(jnp.isfinite(values), values, jnp.nan), axis=axes)
