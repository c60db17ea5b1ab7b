"""Symmetries of the square on arrays `[H, W, ...]`, by elements that may be traced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from minenet.types import Array

Fields = Mapping[str, jax.Array]
"""One sample: arrays `[H, W, ...]` that belong together, such as image, target and
weight, and perhaps `present [C]`, which bands there are, and which has no pixels."""

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


def random_orient(
    key: jax.Array, fields: Fields, *, flips: bool = True, turns: bool = True
) -> dict[str, jax.Array]:
    """Returns a sample mirrored and turned alike in all its fields.

    Args:
        key: Decides the element, each as likely.
        fields: One sample.
        flips: Whether rows and columns may be mirrored.
        turns: Whether it may be turned by quarters.

    Raises:
        ValueError: If `turns` is asked for samples that are not square.
    """
    if not (flips or turns):
        return dict(fields)
    if flips and turns:
        elements = ALL
    else:
        elements = FLIPS if flips else TURNS
    element = jax.random.choice(key, jnp.array(elements))
    move = orient if turns else mirror
    return {
        name: array if name == "present" else move(array, element)
        for name, array in fields.items()
    }
