"""Random changes of training samples that keep their labels true, on the device.

A sample is `{"image": [H, W, C], "target": [H, W, K], "weight": [H, W]}`, the image
already normalised, with 0 where it is invalid. Each change is a thin `random_*` that
draws the parameters of a function of `ops.color` or `ops.geometry` from a key. `batch`
maps `augment` over a batch with a key for each sample, so that a sample's draws depend
on nothing else in the batch.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from minenet.ops import color, geometry
from minenet.ops.geometry import Fields
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Batch

# At 1 and above, contrast and gain would invert the image; the others only end where
# nothing of it is left.
_LIMITS = {"brightness": 10.0, "contrast": 1.0, "gain": 1.0, "zoom": 10.0}


def random_orient(
    key: jax.Array, fields: Fields, *, flips: bool = True, turns: bool = True
) -> dict[str, jax.Array]:
    """Returns a sample mirrored and turned alike in all its fields.

    Raises:
        ValueError: If `turns` is asked for samples that are not square.
    """
    if not (flips or turns):
        return dict(fields)
    if flips and turns:
        elements = geometry.ALL
    else:
        elements = geometry.FLIPS if flips else geometry.TURNS
    element = jax.random.choice(key, jnp.array(elements))
    move = geometry.orient if turns else geometry.mirror
    return jax.tree.map(lambda array: move(array, element), dict(fields))


def random_brightness(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with up to ±`amount` added, in units of the normalised image."""
    delta = jax.random.uniform(key, minval=-amount, maxval=amount)
    return {**fields, "image": color.brightness(fields["image"], delta)}


def random_contrast(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample stretched by one factor in 1 ± `amount` for all bands."""
    factor = jax.random.uniform(key, minval=1 - amount, maxval=1 + amount)
    return {**fields, "image": color.contrast(fields["image"], factor)}


def random_gain(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample with each band multiplied by its own factor in 1 ± `amount`."""
    bands = fields["image"].shape[-1]
    factor = jax.random.uniform(key, (bands,), minval=1 - amount, maxval=1 + amount)
    return {**fields, "image": color.gain(fields["image"], factor)}


def random_zoom(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample zoomed by a factor from 1 / (1 + `amount`) to 1 + `amount`.

    Uniform in the logarithm, so that enlarging and shrinking are equally likely.
    """
    shape = fields["weight"].shape
    return geometry.resample(fields, _random_positions(key, shape, amount=amount))


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
    move = functools.partial(random_orient, keys[0], flips=flips, turns=turns)

    def recolor(fields: Fields) -> Fields:
        for change_key, change, amount in (
            (keys[1], random_gain, gain),
            (keys[2], random_contrast, contrast),
            (keys[3], random_brightness, brightness),
        ):
            if amount:
                fields = change(change_key, fields, amount=amount)
        return fields

    # Orientation and colour commute. In these orders XLA's fusion works nothing out
    # twice: the others take four times as long on a CPU.
    if not zoom:
        return dict(recolor(move(fields)))
    positions = _random_positions(keys[4], fields["weight"].shape, amount=zoom)
    return geometry.resample(recolor(fields), move(positions))


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


def _random_positions(
    key: jax.Array, shape: tuple[int, int], *, amount: float
) -> dict[str, jax.Array]:
    factor_key, centre_key = jax.random.split(key)
    limit = math.log1p(amount)
    factor = jnp.exp(jax.random.uniform(factor_key, minval=-limit, maxval=limit))
    row, col = jax.random.uniform(centre_key, (2,))
    # Shrinking about a corner would leave most of the frame to reflections.
    row, col = jnp.where(factor < 1, 0.5, row), jnp.where(factor < 1, 0.5, col)
    return geometry.zoomed_positions(shape, factor, row, col)
