"""Random changes of training samples that keep their labels true, on the device.

A sample is `{"image": [H, W, C], "target": [H, W, K], "weight": [H, W]}` with the image
already normalised, where 0 marks an invalid value: what is exactly 0 stays 0 (as do the
values that a percentile normaliser clipped to 0: saturated stays saturated). Each change is a deterministic function of its parameters, and a thin `random_*` one that
draws them from a key. `batch` maps samples over a batch, with a key for each, so that
a sample's draws depend on nothing else in the batch.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array, Batch

Fields = Mapping[str, jax.Array]

FLIPS = (0, 1, 2, 3)
"""The elements of `orient` that mirror rows, columns, or both (a half turn)."""

TURNS = (0, 3, 5, 6)
"""The elements of `orient` that turn by 0°, 180°, 90° and 270° counter-clockwise."""

ALL = tuple(range(8))
"""The elements of `orient`."""

# At 1 and above, contrast and gain would invert the image; the others only end where
# nothing of it is left.
_LIMITS = {"brightness": 10.0, "contrast": 1.0, "gain": 1.0, "zoom": 10.0}


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


def brightness(image: Array, delta: Array | float) -> jax.Array:
    """Returns `image` with `delta` (scalar or `[C]`) added to all valid values."""
    return jnp.where(image == 0, 0.0, image + _per_band(delta, image))


def contrast(image: Array, factor: Array | float) -> jax.Array:
    """Returns `image` stretched by `factor` about its mean in each band.

    Args:
        image: `[H, W, C]`, 0 where invalid.
        factor: Scalar or `[C]`; 0 leaves the mean, 1 changes nothing.
    """
    valid = image != 0
    count = jnp.maximum(valid.sum(axis=(0, 1), keepdims=True), 1)
    mean = image.sum(axis=(0, 1), keepdims=True) / count
    return jnp.where(valid, mean + (image - mean) * _per_band(factor, image), 0.0)


def gain(image: Array, factor: Array) -> jax.Array:
    """Returns `image` with band c multiplied by `factor[c]`, as haze or a sensor do."""
    return image * _per_band(factor, image)


def zoom(
    fields: Fields, factor: Array | float, row: Array | float, col: Array | float
) -> dict[str, jax.Array]:
    """Returns a sample seen from `factor` times nearer, at its own shape.

    Bilinear for the image, nearest for target and weight. What lies outside is
    reflected, as inference does at the edge of a scene. Next to an invalid value the
    image takes its nearest value too, so that nothing blends with nodata.

    Args:
        fields: One sample.
        factor: Above 1 enlarges, below 1 shrinks; 1 changes nothing.
        row: Row of the centre that stays in place, in 0..1 of the height.
        col: Column of it, in 0..1 of the width.
    """
    height, width = fields["weight"].shape
    rows = _positions(height, factor, row)
    cols = _positions(width, factor, col)
    image = _interpolate(_interpolate(fields["image"], rows, axis=0), cols, axis=1)

    def nearest(array: jax.Array) -> jax.Array:
        picked = jnp.take(array, _reflect(jnp.floor(rows + 0.5), height), axis=0)
        return jnp.take(picked, _reflect(jnp.floor(cols + 0.5), width), axis=1)

    return {
        **fields,
        "image": image,
        "target": nearest(fields["target"]),
        "weight": nearest(fields["weight"]),
    }


def random_orient(
    key: jax.Array, fields: Fields, *, flips: bool = True, turns: bool = True
) -> dict[str, jax.Array]:
    """Returns a sample mirrored and turned alike in all its fields.

    Raises:
        ValueError: If `turns` is asked for samples that are not square.
    """
    if not (flips or turns):
        return dict(fields)
    elements = ALL if flips and turns else FLIPS if flips else TURNS
    element = jax.random.choice(key, jnp.array(elements))
    move = orient if turns else mirror
    return jax.tree.map(lambda array: move(array, element), dict(fields))


def random_brightness(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with up to ±`amount` added, in units of the normalised image."""
    delta = jax.random.uniform(key, minval=-amount, maxval=amount)
    return {**fields, "image": brightness(fields["image"], delta)}


def random_contrast(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample stretched by one factor in 1 ± `amount` for all bands."""
    factor = jax.random.uniform(key, minval=1 - amount, maxval=1 + amount)
    return {**fields, "image": contrast(fields["image"], factor)}


def random_gain(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with each band multiplied by its own factor in 1 ± `amount`."""
    bands = fields["image"].shape[-1]
    factor = jax.random.uniform(key, (bands,), minval=1 - amount, maxval=1 + amount)
    return {**fields, "image": gain(fields["image"], factor)}


def random_zoom(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample zoomed by a factor from 1 / (1 + `amount`) to 1 + `amount`.

    Uniform in the logarithm, so that enlarging and shrinking are equally likely.
    """
    factor_key, centre_key = jax.random.split(key)
    limit = math.log1p(amount)
    factor = jnp.exp(jax.random.uniform(factor_key, minval=-limit, maxval=limit))
    row, col = jax.random.uniform(centre_key, (2,))
    # Shrinking about a corner would leave most of the frame to reflections.
    row, col = jnp.where(factor < 1, 0.5, row), jnp.where(factor < 1, 0.5, col)
    return zoom(fields, factor, row, col)


def augment(
    key: jax.Array,
    fields: Fields,
    *,
    flips: bool = True,
    turns: bool = True,
    brightness: float = 0.0,
    contrast: float = 0.0,
    gain: float = 0.0,
    zoom: float = 0.0,
) -> dict[str, jax.Array]:
    """Returns one sample changed at random; options at 0 cost nothing.

    Every change has its own key: to switch one off leaves the draws of the others.

    Args:
        key: A key for this sample alone.
        fields: One sample, normalised.
        flips: Mirror rows and columns, each with probability 1/2.
        turns: Turn by quarters; with `flips`, all eight orientations are as likely.
        brightness: Largest addition, in units of the normalised image.
        contrast: Largest relative stretch about the sample's mean, below 1.
        gain: Largest relative change of one band, below 1.
        zoom: Largest relative change of scale; .4 is 1/1.4 to 1.4.
    """
    keys = jax.random.split(key, 5)
    fields = random_orient(keys[0], fields, flips=flips, turns=turns)
    for change_key, change, amount in (
        (keys[1], random_zoom, zoom),
        (keys[2], random_gain, gain),
        (keys[3], random_contrast, contrast),
        (keys[4], random_brightness, brightness),
    ):
        if amount:
            fields = change(change_key, fields, amount=amount)
    return dict(fields)


def batch(**options: Any) -> Callable[[jax.Array, Batch], Batch]:
    """Returns the function `(keys [B], batch) -> batch` that augments each sample.

    Args:
        **options: Those of `augment`.

    Raises:
        InputError: If an amount is out of its range.
        TypeError: If there is no such option.
    """
    inspect.signature(augment).bind(None, None, **options)
    for name, limit in _LIMITS.items():
        if not 0 <= options.get(name, 0.0) < limit:
            raise InputError(
                f"augment.{name}={options[name]}: must be at least 0 and below {limit}"
            )

    def one(key: jax.Array, fields: Fields) -> dict[str, jax.Array]:
        return augment(key, fields, **options)

    def apply(keys: jax.Array, batch: Batch) -> Batch:
        fields = {name: batch[name] for name in ("image", "target", "weight")}
        return {**batch, **jax.vmap(one)(keys, fields)}

    return apply


def _per_band(value: Array | float, image: jax.Array) -> jax.Array:
    return jnp.broadcast_to(jnp.asarray(value, image.dtype), image.shape)


def _positions(size: int, factor: Array | float, centre: Array | float) -> jax.Array:
    """Where each of `size` output pixels lies among the input's pixel centres."""
    middle = centre * (size - 1)
    return middle + (jnp.arange(size) - middle) / factor


def _reflect(position: jax.Array, size: int) -> jax.Array:
    """Indices of whole positions, mirrored at the centres of the edge pixels."""
    period = max(2 * (size - 1), 1)
    index = jnp.mod(position.astype(jnp.int32), period)
    return jnp.minimum(index, period - index) if size > 1 else index * 0


def _interpolate(image: jax.Array, position: jax.Array, *, axis: int) -> jax.Array:
    size = image.shape[axis]
    floor = jnp.floor(position)
    before = jnp.take(image, _reflect(floor, size), axis=axis)
    after = jnp.take(image, _reflect(floor + 1, size), axis=axis)
    shape = [-1 if i == axis else 1 for i in range(image.ndim)]
    share = (position - floor).reshape(shape)
    nearest = jnp.where(share < 0.5, before, after)
    blend = before + (after - before) * share
    return jnp.where((before == 0) | (after == 0), nearest, blend)
