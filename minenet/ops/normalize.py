"""From raster units to numbers that a network likes: `(image - offset) / scale`.

Every kind of normalisation is this one affine map per band, with an optional clip. So
a bundle stores four values, and inference cannot apply another formula than training
did. A value that is not finite, which is how nodata arrives, becomes 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minenet.ops import indices
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array

KINDS = ("zscore", "percentile", "minmax")
"""The kinds that `from_statistics` derives from the data, band by band."""

GLOBAL = "global_"
"""Before one of `KINDS`: one map for all bands, which keeps their differences."""


class Normalizer(NamedTuple):
    """One affine map per band, then a clip.

    Attributes:
        offset: `[C]` float32, subtracted first, in the units of the band.
        scale: `[C]` float32, positive, divided by, in the units of the band.
        low: What results are raised to, or None.
        high: What results are lowered to, or None.
        indices: Spectral indices of the image before all that, which follow its bands
            as they are: the name of each, and the places of the bands that it takes.
    """

    offset: np.ndarray
    scale: np.ndarray
    low: float | None = None
    high: float | None = None
    indices: tuple[tuple[str, tuple[int, ...]], ...] = ()


def zscore(mean: Sequence[float], std: Sequence[float]) -> Normalizer:
    """Returns the map to mean 0 and standard deviation 1."""
    return _normalizer(mean, std)


def percentile(low: Sequence[float], high: Sequence[float]) -> Normalizer:
    """Returns the map of `low..high` to 0..1, clipped: outliers saturate."""
    return _normalizer(low, np.subtract(high, low), clip=(0.0, 1.0))


def minmax(low: Sequence[float], high: Sequence[float]) -> Normalizer:
    """Returns the map of `low..high` to 0..1, not clipped.

    What lies beyond the extremes of the training data keeps its order.
    """
    return _normalizer(low, np.subtract(high, low))


def fixed(scale: float | Sequence[float], *, num_bands: int) -> Normalizer:
    """Returns the division by a known constant, such as 10 000 for reflectance.

    Raises:
        InputError: If `scale` is not positive and finite, or not one value or one a
            band.
    """
    scales = np.asarray(scale, np.float64)
    if scales.shape not in ((), (num_bands,)):
        raise InputError(
            f"normalize: {scales.size} scales for {num_bands} bands; give one, or one "
            "a band"
        )
    if not np.all(np.isfinite(scales) & (scales > 0)):
        raise InputError(f"normalize={scale}: a fixed scale must be positive")
    return _normalizer(np.zeros(num_bands), np.broadcast_to(scales, num_bands))


def from_statistics(
    kind: str | float | Sequence[float] | Mapping[str, Any],
    statistics: Mapping[str, Any],
) -> Normalizer:
    """Returns the normaliser that a configuration asks for.

    Args:
        kind: One of `KINDS`, alone or behind `GLOBAL`; the scale(s) to divide by; or
            one of `KINDS` with published numbers, such as `{"kind": "zscore", "mean":
            1051.2, "std": 1133.4}` (percentile and minmax: "low" and "high"), each one
            value or one a band.
        statistics: As `data.statistics` measures them over the training pixels:
            `{"bands": [{"mean", "std", "min", "max", "p2", "p98", ...}, ...]}`.

    Raises:
        InputError: If `kind` is none of these, or its numbers do not fit.

    >>> bands = [{"mean": 5.0, "std": 2.0, "min": 0.0, "max": 9.0}]
    >>> from_statistics("zscore", {"bands": bands}).offset
    array([5.], dtype=float32)
    """
    bands = statistics["bands"]
    if isinstance(kind, Mapping):
        return _published(kind, num_bands=len(bands))
    if isinstance(kind, str) and kind.removeprefix(GLOBAL) in _MAPS:
        if kind.startswith(GLOBAL):
            bands = _pooled(bands)
        make, _, names = _MAPS[kind.removeprefix(GLOBAL)]
        # A band without one valid training pixel has no statistics (null in JSON).
        return make(*(np.array([b[name] for b in bands], float) for name in names))
    if isinstance(kind, str):
        try:
            kind = float(kind)  # how a command line gives a number
        except ValueError:
            raise InputError(
                f"normalize={kind!r}: not known; choose {', '.join(KINDS)}, one of "
                f"these behind {GLOBAL!r}, or a number to divide by"
            ) from None
    return fixed(kind, num_bands=len(bands))


def apply(image: Array, normalizer: Normalizer) -> jax.Array:
    """Returns `image` normalised and finite, followed by its indices.

    Args:
        image: `[..., C]` of any real type; a value that is not finite is invalid.
        normalizer: Of `C` bands.

    Returns:
        `[..., C + indices]` float32; 0 where `image` is invalid.

    Raises:
        ValueError: If the number of bands differs.

    >>> image = jnp.array([[7.0, jnp.nan]])
    >>> print(apply(image, zscore([5.0, 5.0], [2.0, 2.0])))
    [[1. 0.]]
    """
    bands = np.shape(normalizer.offset)[-1]
    if image.shape[-1] != bands:
        raise ValueError(
            f"image (shape={image.shape}) must have the normalizer's {bands} bands in "
            "its last axis"
        )
    image = jnp.asarray(image, jnp.float32)
    # Full shape: the tests' strict numerics allow no promotion of ranks.
    offset = jnp.broadcast_to(jnp.asarray(normalizer.offset, jnp.float32), image.shape)
    scale = jnp.broadcast_to(jnp.asarray(normalizer.scale, jnp.float32), image.shape)
    valid = jnp.isfinite(image)
    # Clean first and mask after: NaN × 0 would be NaN in the gradient.
    value = (jnp.where(valid, image, offset) - offset) / scale
    if normalizer.low is not None or normalizer.high is not None:
        value = jnp.clip(value, normalizer.low, normalizer.high)
    derived = [_finite(indices.of(image, *index)) for index in normalizer.indices]
    value = jnp.where(valid, value, 0.0)
    return jnp.concatenate([value, *derived], axis=-1) if derived else value


def present(image: Array, normalizer: Normalizer) -> jax.Array:
    """Returns which bands an image has after `apply`: 1 for a valid value, else 0.

    An index has one where a pixel has all of its bands.

    Args:
        image: `[..., H, W, C]` before `apply`; what is not finite is invalid.
        normalizer: Of `C` bands.

    Returns:
        `[..., C + indices]` float32.

    >>> pair = zscore([0.0, 0.0], [1.0, 1.0])
    >>> print(present(jnp.array([[[7.0, jnp.nan]]]), pair))
    [1. 0.]
    """
    valid = jnp.isfinite(jnp.asarray(image))
    derived = [
        valid[..., list(bands)].all(-1, keepdims=True)
        for _, bands in normalizer.indices
    ]
    valid = jnp.concatenate([valid, *derived], axis=-1)
    return valid.any((-3, -2)).astype(jnp.float32)


def _finite(image: jax.Array) -> jax.Array:
    return jnp.where(jnp.isfinite(image), image, 0.0)


def convert(image: Array, old: Normalizer, new: Normalizer) -> jax.Array:
    """Returns what `new` would have made of an image that `old` normalised.

    Args:
        image: `[..., C + indices]`, as `apply` returns it.
        old: Its normaliser; what it clipped stays clipped.
        new: The one wanted; its values may be traced.

    Returns:
        The same shape, float32; 0, which marks the invalid, stays 0, and an index what
        it is.
    """
    bands = np.shape(old.offset)[-1]
    image, derived = image[..., :bands], image[..., bands:]

    def per_band(values: Array) -> jax.Array:
        return jnp.broadcast_to(jnp.asarray(values, jnp.float32), image.shape)

    # One product and one sum: in raster units, digits of the offsets would cancel.
    gain = jnp.divide(old.scale, new.scale)
    shift = jnp.divide(jnp.subtract(old.offset, new.offset), new.scale)
    value = image * per_band(gain) + per_band(shift)
    if new.low is not None or new.high is not None:
        value = jnp.clip(value, new.low, new.high)
    return jnp.concatenate([jnp.where(image == 0, 0.0, value), derived], axis=-1)


def to_dict(normalizer: Normalizer) -> dict[str, Any]:
    """Returns plain values that JSON can hold, and `from_dict` takes back."""
    return {
        "offset": np.asarray(normalizer.offset, np.float64).tolist(),
        "scale": np.asarray(normalizer.scale, np.float64).tolist(),
        "low": normalizer.low,
        "high": normalizer.high,
        "indices": [[name, list(bands)] for name, bands in normalizer.indices],
    }


def from_dict(values: Mapping[str, Any]) -> Normalizer:
    """Returns the normaliser that `to_dict` wrote."""
    return Normalizer(
        np.asarray(values["offset"], np.float32),
        np.asarray(values["scale"], np.float32),
        values["low"],
        values["high"],
        tuple((name, tuple(bands)) for name, bands in values.get("indices", ())),
    )


_MAPS = {
    "zscore": (zscore, ("mean", "std"), ("mean", "std")),
    "percentile": (percentile, ("low", "high"), ("p2", "p98")),
    "minmax": (minmax, ("low", "high"), ("min", "max")),
}
"""For each kind: what makes it, its arguments, and the statistics they are."""


def _published(values: Mapping[str, Any], *, num_bands: int) -> Normalizer:
    kind = values.get("kind")
    if kind not in _MAPS:
        raise InputError(f"normalize.kind={kind!r}: choose {', '.join(KINDS)}")
    make, names, _ = _MAPS[kind]
    if {*values} != {"kind", *names}:
        raise InputError(
            f"normalize={dict(values)}: {kind} is told by {' and '.join(names)}"
        )
    numbers = [np.asarray(values[name], np.float64) for name in names]
    for name, number in zip(names, numbers, strict=True):
        if number.shape not in ((), (num_bands,)):
            raise InputError(
                f"normalize.{name}: {number.size} values for {num_bands} bands; give "
                "one, or one a band"
            )
    spread = numbers[1] if kind == "zscore" else numbers[1] - numbers[0]
    if not (np.all(np.isfinite(numbers[0])) and np.all(spread > 0)):
        raise InputError(
            f"normalize={dict(values)}: must be finite, with a positive spread"
        )
    return make(*(np.broadcast_to(number, num_bands) for number in numbers))


def _pooled(bands: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Every band described as the pixels of all bands together.

    Percentiles of a mixture do not follow from those of its parts: the lowest and the
    highest stand for them, so that no band saturates more than it would alone.
    """
    known = [band for band in bands if band["mean"] is not None]
    if not known:
        return [
            dict.fromkeys(("mean", "std", "min", "max", "p2", "p98"), np.nan)
        ] * len(bands)
    count, mean, std = (
        np.array([band[name] for band in known], np.float64)
        for name in ("count", "mean", "std")
    )
    middle = np.average(mean, weights=count)
    variance = np.average(std**2 + (mean - middle) ** 2, weights=count)
    pooled = {
        "mean": middle,
        "std": np.sqrt(variance),
        **{name: min(band[name] for band in known) for name in ("min", "p2")},
        **{name: max(band[name] for band in known) for name in ("max", "p98")},
    }
    return [pooled] * len(bands)


def _normalizer(
    offset: Any, scale: Any, clip: tuple[float | None, float | None] = (None, None)
) -> Normalizer:
    offset, scale = np.array(offset, np.float64), np.array(scale, np.float64)
    # A constant or empty band has no spread: it becomes 0 and not infinite.
    offset = np.where(np.isfinite(offset), offset, 0.0)
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
    return Normalizer(offset.astype(np.float32), scale.astype(np.float32), *clip)
