"""Symmetries and zoom of arrays `[H, W, ...]`, by parameters that may be traced."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from minenet.types import Array

Fields = Mapping[str, jax.Array]
"""Arrays `[H, W, ...]` that belong together, such as image, target and weight."""

FLIPS = (0, 1, 2, 3)
"""The elements of `orient` that mirror rows, columns, or both (a half turn)."""

TURNS = (0, 3, 5, 6)
"""The elements of `orient` that turn by 0°, 180°, 90° and 270° counter-clockwise."""

ALL = tuple(range(8))
"""The elements of `orient`."""


def orient(array: Array, element: int | jax.Array) -> jax.Array:
    """Returns `array` moved by one of the eight symmetries of the square.

    Three selects rather than a switch of eight branches: under `vmap`, where samples
    differ, XLA would compute all eight.

    Args:
        array: `[H, W, ...]`.
        element: 0..7; bit 4 exchanges rows and columns, then bit 1 mirrors the rows and
            bit 2 the columns.

    Returns:
        The array moved; its shape too where a static `element` exchanges the axes.

    Raises:
        ValueError: If `array` is not square and `element` is not a Python int.

    >>> print(orient(jnp.array([[1, 2], [3, 4]]), 5))
    [[2 4]
     [1 3]]
    """
    array = jnp.asarray(array)
    if isinstance(element, int):
        moved = jnp.swapaxes(array, 0, 1) if element & 4 else array
        moved = moved[::-1] if element & 1 else moved
        return moved[:, ::-1] if element & 2 else moved
    if array.shape[0] != array.shape[1]:
        raise ValueError(f"array (shape={array.shape}) must be square to be turned")
    return mirror(
        jnp.where((element & 4) > 0, jnp.swapaxes(array, 0, 1), array), element
    )


def mirror(array: Array, element: int | jax.Array) -> jax.Array:
    """Returns `array` `[H, W, ...]` with rows (bit 1) and columns (bit 2) mirrored."""
    array = jnp.where((element & 1) > 0, array[::-1], array)
    return jnp.where((element & 2) > 0, array[:, ::-1], array)


def zoom(
    fields: Fields, factor: Array | float, row: Array | float, col: Array | float
) -> dict[str, jax.Array]:
    """Returns a sample seen from `factor` times nearer, at its own shape.

    Args:
        fields: One sample.
        factor: Above 1 enlarges, below 1 shrinks; 1 changes nothing.
        row: Row of the centre that stays in place, in 0..1 of the height.
        col: Column of it, in 0..1 of the width.
    """
    return resample(fields, zoomed_positions(fields["weight"].shape, factor, row, col))


def resample(fields: Fields, positions: Fields) -> dict[str, jax.Array]:
    """Returns a sample as it looks at other positions.

    Bilinear for the image, nearest for target and weight. What lies outside is
    reflected, as inference does at the edge of a scene. Next to an invalid value the
    image takes its nearest value too, so that nothing blends with nodata.

    Args:
        fields: One sample.
        positions: `{"row": [H, W], "col": [H, W]}` float32, where among the pixel
            centres each pixel of the result lies.
    """
    height, width = fields["weight"].shape
    row, col = positions["row"], positions["col"]

    def pick(array: jax.Array, row: jax.Array, col: jax.Array) -> jax.Array:
        return array[_reflect(row, height), _reflect(col, width)]

    def nearest(array: jax.Array) -> jax.Array:
        return pick(array, jnp.floor(row + 0.5), jnp.floor(col + 0.5))

    def bilinear(image: jax.Array) -> jax.Array:
        up, left = jnp.floor(row), jnp.floor(col)
        corners = [pick(image, up + i, left + j) for i in (0, 1) for j in (0, 1)]
        down, right = (row - up)[..., None], (col - left)[..., None]
        top = corners[0] + (corners[1] - corners[0]) * right
        bottom = corners[2] + (corners[3] - corners[2]) * right
        valid = functools.reduce(jnp.logical_and, (c != 0 for c in corners))
        return jnp.where(valid, top + (bottom - top) * down, nearest(image))

    return {
        **fields,
        "image": bilinear(fields["image"]),
        "target": nearest(fields["target"]),
        "weight": nearest(fields["weight"]),
    }


def zoomed_positions(
    shape: tuple[int, int],
    factor: Array | float,
    row: Array | float,
    col: Array | float,
) -> dict[str, jax.Array]:
    """Returns the positions at which `zoom` resamples a sample of this shape."""

    def along(size: int, centre: Array | float) -> jax.Array:
        middle = centre * (size - 1)
        return middle + (jnp.arange(size) - middle) / factor

    rows, cols = jnp.meshgrid(along(shape[0], row), along(shape[1], col), indexing="ij")
    return {"row": rows, "col": cols}


def _reflect(position: jax.Array, size: int) -> jax.Array:
    """Indices of whole positions, mirrored at the centres of the edge pixels."""
    period = max(2 * (size - 1), 1)
    index = jnp.mod(position.astype(jnp.int32), period)
    return jnp.minimum(index, period - index) if size > 1 else index * 0
