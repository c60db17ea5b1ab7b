"""Spectral indices: pure functions of bands, and a table of them by name.

Bands are arrays of one shape, in reflectance (0..1) where an index has constants, else
in any unit. NaN stays NaN; where a denominator is 0, the index is 0. The names of a
function's arguments are the names of its bands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array


def ndvi(nir: Array, red: Array) -> jax.Array:
    """Returns the normalised difference vegetation index, `(N - R) / (N + R)`.

    After Rouse et al. 1974. An addition of 1e-10 to the denominator, as some have it,
    is below the precision of the result.

    >>> print(ndvi(jnp.array([0.4, 0.0]), jnp.array([0.1, 0.0])))
    [0.6 0. ]
    """
    return _ratio(nir - red, nir + red)


def savi(nir: Array, red: Array, *, soil: float = 0.5) -> jax.Array:
    """Returns the soil-adjusted vegetation index, after Huete 1988.

    `(N - R) / (N + R + L) · (1 + L)`, and L = `soil` is in reflectance: on digital
    numbers in the thousands nothing of it is left but the factor.
    """
    return _ratio((1 + soil) * (nir - red), nir + red + soil)


def ndwi(green: Array, nir: Array) -> jax.Array:
    """Returns the water index `(G - N) / (G + N)` of McFeeters 1996."""
    return _ratio(green - nir, green + nir)


def mndwi(green: Array, swir1: Array) -> jax.Array:
    """Returns the water index `(G - S1) / (G + S1)` of Xu 2006."""
    return _ratio(green - swir1, green + swir1)


def evi(nir: Array, red: Array, blue: Array, *, gain: float = 2.5) -> jax.Array:
    """Returns the enhanced vegetation index of Huete et al. 2002.

    `gain · (N - R) / (N + 6 R - 7.5 B + 1)`, in reflectance. The third place of the
    DSTL competition (Iglovikov et al. 2017) has a gain of 1. The denominator passes
    through 0 over bright clouds.
    """
    return _ratio(gain * (nir - red), nir + 6 * red - 7.5 * blue + 1)


def nbr(nir: Array, swir2: Array) -> jax.Array:
    """Returns the normalised burn ratio, `(N - S2) / (N + S2)`.

    After García and Caselles 1991.
    """
    return _ratio(nir - swir2, nir + swir2)


def bsi(blue: Array, red: Array, nir: Array, swir1: Array) -> jax.Array:
    """Returns the bare soil index of Rikimaru et al. 2002.

    `((S1 + R) - (N + B)) / ((S1 + R) + (N + B))`: high over open ground.
    """
    return _ratio((swir1 + red) - (nir + blue), (swir1 + red) + (nir + blue))


def ccci(
    nir: Array, red: Array, red_edge: Array, *, product: bool = False
) -> jax.Array:
    """Returns the canopy chlorophyll content index, NDRE / NDVI.

    After Barnes et al. 2000, where NDRE is `(N - RE) / (N + RE)`. Iglovikov et al. 2017
    multiply the two, with `product`, which has no pole where NDVI is 0.
    """
    edge, plain = _ratio(nir - red_edge, nir + red_edge), ndvi(nir, red)
    return edge * plain if product else _ratio(edge, plain)


INDICES: Mapping[str, Callable[..., jax.Array]] = MappingProxyType(
    {f.__name__: f for f in (ndvi, savi, ndwi, mndwi, evi, nbr, bsi, ccci)}
)
"""Every index by its name."""


def needs(name: str) -> tuple[str, ...]:
    """Returns the names of the bands that an index is made of.

    Raises:
        InputError: If there is no such index.

    >>> needs("nbr")
    ('nir', 'swir2')
    """
    if name not in INDICES:
        raise InputError(f"index={name!r}: not known; choose {', '.join(INDICES)}")
    parameters = inspect.signature(INDICES[name]).parameters.values()
    return tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)


def append(
    image: Array, bands: Sequence[str], names: Sequence[str], **options: Mapping
) -> jax.Array:
    """Returns `image` with indices as further bands, in the order of `names`.

    Args:
        image: `[..., C]`, NaN where invalid.
        bands: The name of each band of `image`. An index takes those called blue,
            green, red, red_edge, nir, swir1 and swir2; others may be called anything.
        names: Of the indices, as `choose` takes them.
        **options: Keyword arguments of an index under its name, such as
            `evi={"gain": 1.0}`.

    Returns:
        `[..., C + len(names)]` float32.

    Raises:
        InputError: If there is no such index, or a band that it needs is absent.
        ValueError: If `bands` does not name each band.

    >>> append(jnp.ones((8, 8, 2)), ("red", "nir"), ("ndvi", "savi")).shape
    (8, 8, 4)
    """
    image = jnp.asarray(image, jnp.float32)
    if len(bands) != image.shape[-1]:
        raise ValueError(
            f"bands={tuple(bands)}: must name each of the {image.shape[-1]} bands of "
            "the image"
        )
    for name in options:
        if name not in names:
            raise ValueError(f"{name}={options[name]}: {name} is not among the indices")

    derived = [
        of(image, name, places, **options.get(name, {}))
        for name, places in choose(names, bands)
    ]
    return jnp.concatenate([image, *derived], axis=-1)


def choose(
    names: Sequence[str | tuple[str, Sequence[str | int]]], bands: Sequence[str]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Returns indices with the places of their bands, as `of` takes them.

    Args:
        names: Of the indices, each alone, where bands have the names of its arguments,
            or with the names or 1-based numbers of its bands in their order.
        bands: The name of each band.

    Raises:
        InputError: If there is no such index or band.

    >>> choose(["ndvi", ("ndwi", (1, "nir"))], ["green", "red", "nir"])
    (('ndvi', (2, 1)), ('ndwi', (0, 2)))
    """
    chosen = []
    for each in names:
        name, own = (each, needs(each)) if isinstance(each, str) else each
        if len(own) != len(needs(name)):
            raise InputError(
                f"index={name!r}: takes the bands {', '.join(needs(name))}, got {own}"
            )
        places = []
        for band in own:
            number = bands.index(band) + 1 if band in bands else band
            if number not in range(1, len(bands) + 1):
                raise InputError(
                    f"index={name!r}: needs the band {band!r}, got {', '.join(bands)}; "
                    f"name its bands or their numbers, as in ({name!r}, (4, 3))"
                )
            places.append(number - 1)
        chosen.append((name, tuple(places)))
    return tuple(chosen)


def of(
    image: Array, name: str, places: Sequence[int], **options: float | bool
) -> jax.Array:
    """Returns the index of an image, `[..., 1]` float32.

    Args:
        image: `[..., C]`.
        name: One of `INDICES`.
        places: Of its bands, from 0, in the order of `needs(name)`.
        **options: Its keyword arguments.
    """
    image = jnp.asarray(image, jnp.float32)
    bands = (image[..., place] for place in places)
    return INDICES[name](*bands, **options)[..., None]


def _ratio(numerator: Array, denominator: Array) -> jax.Array:
    # Twice, so that no gradient passes through a division by 0.
    zero = denominator == 0
    return jnp.where(zero, 0.0, numerator / jnp.where(zero, 1.0, denominator))
