"""Radar backscatter: decibels, and the speckle filter of Lee 1981.

Power (intensity) is above 0; NaN marks an invalid value and stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array

_RADIUS = 3
# The four edge templates on the 3 × 3 means, and the half window (7 × 7, edge
# included) on the side of their +1. The other side is its half turn.
_TEMPLATES = np.array(
    [
        [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
        [[0, 1, 1], [-1, 0, 1], [-1, -1, 0]],
        [[1, 1, 1], [0, 0, 0], [-1, -1, -1]],
        [[1, 1, 0], [1, 0, -1], [0, -1, -1]],
    ],
    np.float32,
)
_ALONG = np.arange(-_RADIUS, _RADIUS + 1)
_ROW, _COL = np.meshgrid(_ALONG, _ALONG, indexing="ij")
_HALVES = np.stack([_COL >= 0, _COL >= _ROW, _ROW <= 0, _COL <= -_ROW])
# Where, among the nine means, the neighbour across each template's edge lies.
_ACROSS = ((1, 2), (0, 2), (0, 1), (0, 0))


def to_db(power: Array) -> jax.Array:
    """Returns decibels, `10 log₁₀ power`; NaN where power is not above 0.

    >>> print(to_db(jnp.array([1.0, 0.01, 0.0])))
    [  0. -20.  nan]
    """
    power = jnp.asarray(power, jnp.float32)
    positive = power > 0
    decibels = 10 * jnp.log10(jnp.where(positive, power, 1.0))
    return jnp.where(positive, decibels, jnp.nan)


def from_db(decibels: Array) -> jax.Array:
    """Returns power, `10^(dB / 10)`."""
    return jnp.power(10.0, jnp.asarray(decibels, jnp.float32) / 10)


def refined_lee(power: Array, *, looks: float | None = None) -> jax.Array:
    """Returns `power` with its speckle smoothed but not its edges.

    The refined filter of Lee 1981: in the 7 × 7 pixels around each, nine overlapping
    3 × 3 means show the strongest of four edges, and the half window on the pixel's
    side of it gives a local mean m and variance v. The result is `m + b (power - m)`,
    `b = (v - m² s) / ((1 + s) v)` within 0..1, where s is the variance of speckle of
    mean 1.

    Args:
        power: `[H, W, C]` of linear power, not decibels.
        looks: Equivalent number of looks, s = 1 / looks; 4.4 for Sentinel-1 GRD IW. If
            None, s is the mean of the five smallest `v / m²` of the nine 3 × 3 windows.

    Returns:
        `[H, W, C]` float32. Beyond the edges, the image is reflected; invalid values
        count in no mean.

    Raises:
        InputError: If `looks` is not positive.
    """
    if looks is not None and not looks > 0:
        raise InputError(f"looks={looks}: must be positive")
    power = jnp.asarray(power, jnp.float32)
    known = jnp.isfinite(power)
    # About its mean, or squares would lose the variance of a bright image.
    level = jnp.where(known, power, 0.0).sum((0, 1)) / jnp.maximum(known.sum((0, 1)), 1)
    level = jnp.broadcast_to(level, power.shape)
    value = jnp.where(known, power - level, 0.0)

    shifts = (-2, 0, 2)
    box = _moments(value, known, level, np.ones((1, 3, 3), np.float32), reach=2)
    height, width = power.shape[:2]
    nine = {
        (i, j): tuple(
            part[2 + down : 2 + down + height, 2 + right : 2 + right + width, :, 0]
            for part in box
        )
        for i, down in enumerate(shifts)
        for j, right in enumerate(shifts)
    }
    means = {place: mean for place, (mean, _) in nine.items()}
    gradients = jnp.stack(
        [
            sum(float(t[place]) * mean for place, mean in means.items() if t[place])
            for t in _TEMPLATES
        ],
        axis=-1,
    )
    strongest = jnp.argmax(jnp.abs(gradients), axis=-1)
    centre = means[1, 1]
    beyond = jnp.stack(
        [
            jnp.abs(means[2 - i, 2 - j] - centre) < jnp.abs(means[i, j] - centre)
            for i, j in _ACROSS
        ],
        axis=-1,
    )
    other = jnp.take_along_axis(beyond, strongest[..., None], axis=-1)[..., 0]
    halves = np.concatenate([_HALVES, _HALVES[:, ::-1, ::-1]]).astype(np.float32)
    window = strongest + 4 * other
    mean, variance = (
        jnp.take_along_axis(part, window[..., None], axis=-1)[..., 0]
        for part in _moments(value, known, level, halves, reach=0)
    )
    if looks is None:
        ratios = jnp.stack([_over(v, jnp.square(m)) for m, v in nine.values()], axis=-1)
        noise = jnp.sort(ratios, axis=-1)[..., :5].mean(-1)
    else:
        noise = jnp.full_like(power, 1 / looks)
    signal = (variance - jnp.square(mean) * noise) / (1 + noise)
    share = jnp.clip(_over(signal, variance), 0.0, 1.0)
    return jnp.where(known, mean + share * (jnp.where(known, power, 0.0) - mean), power)


def _moments(
    value: jax.Array,
    known: jax.Array,
    level: jax.Array,
    kernels: np.ndarray,
    reach: int,
) -> tuple[jax.Array, jax.Array]:
    """Mean and variance `[H + 2 reach, W + 2 reach, C, N]` of the power in windows."""
    pad = kernels.shape[-1] // 2 + reach
    around = ((pad, pad), (pad, pad), (0, 0))

    def total(array: jax.Array) -> jax.Array:
        array = jnp.pad(array, around, mode="symmetric").transpose(2, 0, 1)[:, None]
        summed = jax.lax.conv(
            array,
            jnp.asarray(kernels)[:, None],
            (1, 1),
            "VALID",
            precision=jax.lax.Precision.HIGHEST,
        )
        return summed.transpose(2, 3, 0, 1)

    count = jnp.maximum(total(known.astype(jnp.float32)), 1.0)
    mean = total(value) / count
    variance = jnp.maximum(total(jnp.square(value)) / count - jnp.square(mean), 0.0)
    level = jnp.broadcast_to(level[:1, :1, :, None], mean.shape)
    return mean + level, variance


def _over(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    zero = denominator == 0
    return jnp.where(zero, 0.0, numerator / jnp.where(zero, 1.0, denominator))
