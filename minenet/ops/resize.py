"""Arrays at another, fixed size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from minenet.types import Array


def resize(
    array: Array,
    shape: tuple[int, int],
    *,
    method: Literal["nearest", "bilinear"] = "nearest",
) -> jax.Array:
    """Returns `array` stretched to `shape`.

    Pixels are areas: the corners of the frames coincide, not the centres of the corner
    pixels. Nothing is averaged where the result is smaller.

    Args:
        array: `[H, W, ...]`. Labels and weights take "nearest".
        shape: The new height and width.
        method: "nearest" keeps to the values there are, and the type; "bilinear" gives
            float32 and takes the nearest value where it would blend with one that is
            not finite.

    Raises:
        ValueError: If `shape` is empty, or there is no such method.

    >>> print(resize(jnp.array([[1, 2]]), (2, 4)))
    [[1 1 2 2]
     [1 1 2 2]]
    """
    if min(shape) < 1:
        raise ValueError(f"shape={shape}: must be at least 1 × 1")
    if method not in ("nearest", "bilinear"):
        raise ValueError(f"method={method!r}: must be 'nearest' or 'bilinear'")
    array = jnp.asarray(array)
    full = (*shape, *array.shape[2:])
    nearest = jax.image.resize(array, full, "nearest")
    if method == "nearest":
        return nearest

    def blend(values: jax.Array) -> jax.Array:
        return jax.image.resize(values, full, "bilinear", antialias=False)

    array = array.astype(jnp.float32)
    invalid = ~jnp.isfinite(array)
    touched = blend(invalid.astype(jnp.float32)) > 0
    return jnp.where(touched, nearest, blend(jnp.where(invalid, 0.0, array)))
