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


def _normalizer(
    offset: Any, scale: Any, clip: tuple[float | None, float | None] = (None, None)
) -> Normalizer:
    offset, scale = np.array(offset, np.float64), np.array(scale, np.float64)
    # A constant or empty band has no spread: it becomes 0 and not infinite.
    offset = np.where(np.isfinite(offset), offset, 0.0)
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
    return Normalizer(offset.astype(np.float32), scale.astype(np.float32), *clip)
