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

from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array

KINDS = ("zscore", "percentile", "minmax")
"""The kinds that `from_statistics` derives from the data."""


class Normalizer(NamedTuple):
    """One affine map per band, then a clip.

    Attributes:
        offset: `[C]` float32, subtracted first, in the units of the band.
        scale: `[C]` float32, positive, divided by, in the units of the band.
        low: What results are raised to, or None.
        high: What results are lowered to, or None.
    """

    offset: np.ndarray
    scale: np.ndarray
    low: float | None = None
    high: float | None = None


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
    kind: str | float | Sequence[float], statistics: Mapping[str, Any]
) -> Normalizer:
    """Returns the normaliser that a configuration asks for.

    Args:
        kind: One of `KINDS`, or the scale(s) to divide by.
        statistics: As `data.statistics` measures them over the training pixels:
            `{"bands": [{"mean", "std", "min", "max", "p2", "p98", ...}, ...]}`.

    Raises:
        InputError: If `kind` is none of these.

    >>> bands = [{"mean": 5.0, "std": 2.0, "min": 0.0, "max": 9.0}]
    >>> from_statistics("zscore", {"bands": bands}).offset
    array([5.], dtype=float32)
    """
    bands = statistics["bands"]

    def column(name: str) -> np.ndarray:
        # A band without one valid training pixel has no statistics (null in JSON).
        return np.array([band[name] for band in bands], np.float64)

    if kind == "zscore":
        return zscore(column("mean"), column("std"))
    if kind == "percentile":
        return percentile(column("p2"), column("p98"))
    if kind == "minmax":
        return minmax(column("min"), column("max"))
    if isinstance(kind, str):
        try:
            kind = float(kind)  # how a command line gives a number
        except ValueError:
            raise InputError(
                f"normalize={kind!r}: not known; choose {', '.join(KINDS)} or a number "
                "to divide by"
            ) from None
    return fixed(kind, num_bands=len(bands))


def apply(image: Array, normalizer: Normalizer) -> jax.Array:
    """Returns `image` normalised and finite.

    Args:
        image: `[..., C]` of any real type; a value that is not finite is invalid.
        normalizer: Of `C` bands.

    Returns:
        `[..., C]` float32; 0 where `image` is invalid.

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
    return jnp.where(valid, value, 0.0)


def to_dict(normalizer: Normalizer) -> dict[str, Any]:
    """Returns plain values that JSON can hold, and `from_dict` takes back."""
    return {
        "offset": np.asarray(normalizer.offset, np.float64).tolist(),
        "scale": np.asarray(normalizer.scale, np.float64).tolist(),
        "low": normalizer.low,
        "high": normalizer.high,
    }


def from_dict(values: Mapping[str, Any]) -> Normalizer:
    """Returns the normaliser that `to_dict` wrote."""
    return Normalizer(
        np.asarray(values["offset"], np.float32),
        np.asarray(values["scale"], np.float32),
        values["low"],
        values["high"],
    )


def _normalizer(
    offset: Any, scale: Any, clip: tuple[float | None, float | None] = (None, None)
) -> Normalizer:
    offset, scale = np.array(offset, np.float64), np.array(scale, np.float64)
    # A constant or empty band has no spread: it becomes 0 and not infinite.
    offset = np.where(np.isfinite(offset), offset, 0.0)
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
    return Normalizer(offset.astype(np.float32), scale.astype(np.float32), *clip)
