"""Bands that a sample lacks, and bands of two dates.

A missing band is 0 everywhere, and 0 in the sample's `present [C]`, where it has that
field (`ops.normalize.present`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from minenet.ops.geometry import Fields
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array

Groups = Sequence[Sequence[int]]
"""Numbers of the bands of each sensor, or of each date."""


def drop(fields: Fields, keep: Array) -> dict[str, jax.Array]:
    """Returns a sample without some of its bands.

    A pixel that had a value and has none left does not count any more.

    Args:
        fields: One sample.
        keep: `[C]`, 1 or True for the bands that stay.
    """
    image = fields["image"]
    keep = jnp.asarray(keep, image.dtype)
    left = image * jnp.broadcast_to(keep, image.shape)
    changed = {**fields, "image": left}
    if "present" in fields:
        changed["present"] = fields["present"] * keep
    return {**changed, "weight": counted(fields["weight"], image, left)}


def counted(weight: Array, before: Array, after: Array) -> jax.Array:
    """Returns `weight [..., H, W]`, 0 where an image `[..., H, W, C]` lost all."""
    lost = (before != 0).any(-1) & ~(after != 0).any(-1)
    return jnp.where(lost, 0.0, weight)


def drop_sensors(fields: Fields, keep: Array, *, sensors: Groups) -> dict:
    """Returns a sample without some of its sensors.

    Args:
        fields: One sample.
        keep: `[S]`, 1 or True for the sensors that stay.
        sensors: The bands of each; bands of none always stay.
    """
    bands = fields["image"].shape[-1]
    keep = jnp.asarray(keep, bool)
    kept = jnp.ones(bands, bool)
    for i, mask in enumerate(_members(sensors, bands)):
        kept = kept & (~jnp.asarray(mask) | jnp.broadcast_to(keep[i], (bands,)))
    return drop(fields, kept)


def swap_dates(
    fields: Fields, swap: Array | bool, *, dates: Groups
) -> dict[str, jax.Array]:
    """Returns a sample with the bands of two dates exchanged, where `swap` says so.

    Args:
        fields: One sample.
        swap: A boolean scalar.
        dates: The bands of the one and of the other, in the same order.

    Raises:
        InputError: If these are not two groups of as many different bands.
    """
    bands = fields["image"].shape[-1]
    if len(dates) != 2 or len(dates[0]) != len(dates[1]):
        raise InputError(f"augment.dates={dates}: must be two groups of as many bands")
    _members(dates, bands)
    order = np.arange(bands)
    order[[*dates[0], *dates[1]]] = [*dates[1], *dates[0]]

    def exchanged(array: jax.Array) -> jax.Array:
        return jnp.where(swap, array[..., order], array)

    changed = {**fields, "image": exchanged(fields["image"])}
    if "present" in fields:
        changed["present"] = exchanged(fields["present"])
    return changed


def random_drop(
    key: jax.Array, fields: Fields, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a sample without each of its bands with probability `amount`.

    One that it has always stays.
    """
    here = fields.get("present", jnp.ones(fields["image"].shape[-1]))
    return drop(fields, _keep(key, here, amount))


def random_drop_sensors(
    key: jax.Array, fields: Fields, *, amount: float, sensors: Groups
) -> dict[str, jax.Array]:
    """Returns a sample without each sensor with probability `amount`.

    One that it has always stays, so that the model learns every subset of them.
    """
    bands = fields["image"].shape[-1]
    here = fields.get("present", jnp.ones(bands))
    members = jnp.asarray(np.array(_members(sensors, bands)), jnp.float32)
    some = jnp.matmul(members, here, precision=jax.lax.Precision.HIGHEST)
    keep = _keep(key, some, amount)
    return drop_sensors(fields, keep, sensors=sensors)


def random_swap_dates(
    key: jax.Array, fields: Fields, *, amount: float, dates: Groups
) -> dict[str, jax.Array]:
    """Returns a sample with its two dates exchanged with probability `amount`."""
    return swap_dates(fields, jax.random.uniform(key) < amount, dates=dates)


def _keep(key: jax.Array, here: jax.Array, amount: float) -> jax.Array:
    """Which of those that are `here` (above 0) stay, at least one."""
    draw = jnp.where(here > 0, jax.random.uniform(key, here.shape), -1.0)
    return draw >= jnp.minimum(amount, draw.max())


def _members(groups: Groups, bands: int) -> list[np.ndarray]:
    """The groups as masks `[C]`.

    Raises:
        InputError: If a band is in none or in two of them, or does not exist.
    """
    numbers = [band for group in groups for band in group]
    if (
        not groups
        or not all(len(group) for group in groups)
        or len({*numbers}) < len(numbers)
        or not {*numbers} <= {*range(bands)}
    ):
        raise InputError(
            f"groups of bands {groups}: must be different numbers from 0 to {bands - 1}"
        )
    return [np.isin(np.arange(bands), group) for group in groups]
