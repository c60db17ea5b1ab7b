"""Zoom, rotation, crop, shift and deformation of a sample.

Each is a map of positions: where, among the pixel centres of the sample, each pixel of
the result lies. Maps chain, what changes the sample last comes first, and `resample`
then looks the sample up once, whatever there is of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from minenet.ops import spline
from minenet.ops.geometry import Fields

if TYPE_CHECKING:
    from minenet.types import Array

Positions = dict[str, jax.Array]
"""`{"row": [H, W], "col": [H, W]}` float32, in pixels."""

SPANS = 8
"""Spans of the spline, along a side, by which `random_displaced` deforms."""


def grid(shape: tuple[int, int]) -> Positions:
    """Returns the positions of the pixels themselves."""
    rows, cols = (jnp.arange(size, dtype=jnp.float32) for size in shape)
    rows, cols = jnp.meshgrid(rows, cols, indexing="ij")
    return {"row": rows, "col": cols}


def zoomed(
    positions: Positions, factor: Array | float, row: Array | float, col: Array | float
) -> Positions:
    """Returns positions seen from `factor` times nearer.

    Args:
        positions: In a frame of the same shape.
        factor: Above 1 enlarges, below 1 shrinks; 1 changes nothing.
        row: Row of the centre that stays in place, in 0..1 of the height.
        col: Column of it, in 0..1 of the width.
    """
    height, width = positions["row"].shape

    def along(position: jax.Array, middle: Array | float) -> jax.Array:
        return middle + (position - middle) / factor

    return {
        "row": along(positions["row"], row * (height - 1)),
        "col": along(positions["col"], col * (width - 1)),
    }


def rotated(positions: Positions, angle_rad: Array | float) -> Positions:
    """Returns positions turned counter-clockwise about the centre of the frame."""
    height, width = positions["row"].shape
    middle_row, middle_col = (height - 1) / 2, (width - 1) / 2
    row, col = positions["row"] - middle_row, positions["col"] - middle_col
    cos, sin = jnp.cos(angle_rad), jnp.sin(angle_rad)
    return {
        "row": middle_row + cos * row + sin * col,
        "col": middle_col + cos * col - sin * row,
    }


def translated(
    positions: Positions, down: Array | float, right: Array | float
) -> Positions:
    """Returns positions at which the sample appears moved by so many pixels."""
    return {"row": positions["row"] - down, "col": positions["col"] - right}


def cropped(
    positions: Positions,
    top: Array | float,
    left: Array | float,
    height: Array | float,
    width: Array | float,
) -> Positions:
    """Returns positions at which a window fills the frame.

    Args:
        positions: In a frame of the same shape.
        top: First row of the window, in 0..1 of the frame.
        left: First column of it.
        height: Of the window, in 0..1 of the frame.
        width: Of it.
    """
    rows, cols = positions["row"].shape
    return {
        "row": top * rows + (positions["row"] + 0.5) * height - 0.5,
        "col": left * cols + (positions["col"] + 0.5) * width - 0.5,
    }


def displaced(positions: Positions, control: Array) -> Positions:
    """Returns positions moved by a smooth field, the elastic deformation.

    The free-form deformation of Rueckert et al. 1999. It does not fold where all of
    `control` is within 0.4 of a span (Choi and Lee 2000).

    Args:
        positions: In a frame of the same shape.
        control: `[n + 3, m + 3, 2]`, by how many pixels each control point moves (row,
            column), on n × m spans over the frame.
    """
    shape = positions["row"].shape
    return {
        "row": positions["row"] + spline.surface(control[..., 0], shape),
        "col": positions["col"] + spline.surface(control[..., 1], shape),
    }


def resample(fields: Fields, positions: Positions) -> dict[str, jax.Array]:
    """Returns a sample as it looks at other positions.

    Bilinear for the image, nearest for target and weight. What lies outside is
    reflected, as inference does at the edge of a scene. Next to an invalid value the
    image takes its nearest value too, so that nothing blends with nodata.

    Args:
        fields: One sample.
        positions: In it, for each pixel of the result.
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


def apply(
    fields: Fields, *maps: Callable[[Positions], Positions]
) -> dict[str, jax.Array]:
    """Returns a sample changed by maps of positions, the last map first.

    >>> ones = jnp.ones((4, 4))
    >>> fields = {"image": ones[..., None], "target": ones[..., None], "weight": ones}
    >>> turned = apply(fields, functools.partial(rotated, angle_rad=0.1))
    """
    positions = grid(fields["weight"].shape)
    return resample(
        fields, functools.reduce(lambda at, move: move(at), maps, positions)
    )


def random_zoomed(key: jax.Array, positions: Positions, *, amount: float) -> Positions:
    """Returns positions zoomed by a factor from 1 / (1 + `amount`) to 1 + `amount`.

    Uniform in the logarithm, so that enlarging and shrinking are equally likely.
    """
    factor_key, centre_key = jax.random.split(key)
    limit = math.log1p(amount)
    factor = jnp.exp(jax.random.uniform(factor_key, minval=-limit, maxval=limit))
    row, col = jax.random.uniform(centre_key, (2,))
    # Shrinking about a corner would leave most of the frame to reflections.
    row, col = jnp.where(factor < 1, 0.5, row), jnp.where(factor < 1, 0.5, col)
    return zoomed(positions, factor, row, col)


def random_rotated(key: jax.Array, positions: Positions, *, amount: float) -> Positions:
    """Returns positions turned by up to ±`amount` degrees."""
    limit = math.radians(amount)
    angle_rad = jax.random.uniform(key, minval=-limit, maxval=limit)
    return rotated(positions, angle_rad)


def random_translated(
    key: jax.Array, positions: Positions, *, amount: float
) -> Positions:
    """Returns positions moved by up to ±`amount` of each side."""
    height, width = positions["row"].shape
    down, right = jax.random.uniform(key, (2,), minval=-amount, maxval=amount)
    return translated(positions, down * height, right * width)


def random_cropped(key: jax.Array, positions: Positions, *, amount: float) -> Positions:
    """Returns positions of a window of 1 - `amount` to 1 of the area.

    Its sides are to each other as 3:4 to 4:3 of the frame's, where they fit in it.
    """
    area_key, ratio_key, place_key = jax.random.split(key, 3)
    side = jnp.sqrt(jax.random.uniform(area_key, minval=1 - amount, maxval=1.0))
    limit = math.log(4 / 3) / 2
    stretch = jnp.exp(jax.random.uniform(ratio_key, minval=-limit, maxval=limit))
    height, width = jnp.minimum(side * stretch, 1.0), jnp.minimum(side / stretch, 1.0)
    top, left = jax.random.uniform(place_key, (2,))
    return cropped(positions, top * (1 - height), left * (1 - width), height, width)


def random_displaced(
    key: jax.Array, positions: Positions, *, amount: float
) -> Positions:
    """Returns positions deformed by up to `amount` of a span, of `SPANS` a side."""
    shape = positions["row"].shape
    control = jax.random.uniform(
        key, (SPANS + 3, SPANS + 3, 2), minval=-amount, maxval=amount
    )
    span = jnp.array([size / SPANS for size in shape], jnp.float32)
    return displaced(positions, control * jnp.broadcast_to(span, control.shape))


def _reflect(position: jax.Array, size: int) -> jax.Array:
    """Indices of whole positions, mirrored at the centres of the edge pixels."""
    period = max(2 * (size - 1), 1)
    index = jnp.mod(position.astype(jnp.int32), period)
    return jnp.minimum(index, period - index) if size > 1 else index * 0
