"""Values of an image between its pixels, from the pixels near each point.

The kernels are those of GDAL's warp, which takes several times as long where each band
has holes of its own. The value of a point depends on nothing but the pixels near it, to
the last bit: not on the other points, nor on which part of the image was at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import sparse

NEAREST = "nearest"

EDGE = 1e-6
"""Pixels by which a point on the edge of two is drawn to the latter one."""

STRETCH = 2.0
"""The most that a kernel is widened: its cost grows with the square."""

SLIGHT = 1 / 0.95
"""Up to this, a coarser target is not filtered, as in GDAL."""

LEAST = 1e-5
"""Share of the weight on valid pixels below which a point has no value."""


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = −½, also called Catmull–Rom."""
    inner = distance < 1
    weight = np.zeros_like(distance)
    # Where a kernel is not widened, each of its taps lies in one part of it.
    if inner.any():
        weight = (1.5 * distance - 2.5) * distance * distance + 1
    if not inner.all():
        outer = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
        weight = np.where(inner, weight, np.where(distance < 2, outer, 0))
    return weight


KERNELS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "bilinear": (1, _linear),
    "cubic": (2, _cubic),
}
"""Name → how far it looks, and its weight at a distance in pixels."""


POINTS = 1 << 14
"""How many are gathered at once: what is known of them stays in the cache."""


def stretch(method: str, scale: float) -> float | None:
    """Returns how much wider a kernel is, None where it is none of ours.

    Args:
        method: any of GDAL's.
        scale: pixels of the image that lie between two points.
    """
    if method == NEAREST:
        return 1.0
    if method not in KERNELS or scale > STRETCH:
        return None
    return scale if scale > SLIGHT else 1.0


def reach(method: str, stretch: float) -> int:
    """Returns how many pixels a point needs around the one that it lies in."""
    return 0 if method == NEAREST else math.ceil(KERNELS[method][0] * stretch)


def values(
    image: np.ndarray,
    rows: np.ndarray,
    cols: np.ndarray,
    *,
    origin: tuple[int, int],
    method: str,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Returns the values of points.

    Where the kernel wants a pixel at which a band is NaN, the band is a mean of valid
    ones with bilinear weights: cubic ones, some of them below 0, may have no sum.

    Args:
        image: `[H, W, C]` float32 with NaN: a part of a raster with `reach` pixels
            around all of the points.
        rows: `[N]` float64 in the raster; its first row lies between 0 and 1.
        cols: `[N]`.
        origin: row and column in the raster of the part's first pixel.
        method: "nearest" or one of `KERNELS`.
        stretch: of the kernel in rows and columns, see `stretch`.

    Returns:
        `[N, C]` float32 with NaN.
    """
    if method == NEAREST:
        row, col = (np.floor(at + EDGE).astype(np.int32) for at in (rows, cols))
        index = (row - origin[0]) * np.int32(image.shape[1]) + (col - origin[1])
        return np.take(image.reshape(-1, image.shape[-1]), index, axis=0)
    found = np.empty((len(rows), image.shape[-1]), np.float32)
    for start in range(0, len(rows), POINTS):
        some = slice(start, start + POINTS)
        found[some] = _weighted(image, rows[some], cols[some], origin, method, stretch)
    return found


def _weighted(image, rows, cols, origin, method, stretch) -> np.ndarray:
    pixels = image.reshape(-1, image.shape[-1])
    index, weights = _taps(image.shape[1], rows, cols, origin, method, stretch)
    count, taps = index.shape
    matrix = sparse.csr_array(
        (
            weights.reshape(-1),
            index.reshape(-1),
            np.arange(0, count * taps + 1, taps, dtype=np.int32),
        ),
        shape=(count, len(pixels)),
    )
    found = matrix @ pixels
    with np.errstate(invalid="ignore", over="ignore"):
        # numpy reduces a short last axis slowly; a product is NaN where any band is.
        holes = np.flatnonzero(np.isnan(found @ np.ones(found.shape[1], np.float32)))
    if len(holes):
        index, weights = _taps(
            image.shape[1], rows[holes], cols[holes], origin, "bilinear", stretch
        )
        near, part = _renormalized(pixels[index], weights), found[holes]
        found[holes] = np.where(np.isnan(part), near, part)
    return found


def _renormalized(near: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means `[N, C]` of `near [N, T, C]` over what is valid, NaN where nothing is."""
    valid = ~np.isnan(near)
    weights = weights[:, :, None] * valid
    total = weights.sum(1)
    sums = (np.where(valid, near, 0) * weights).sum(1)
    enough = total > LEAST
    return np.where(enough, sums / np.where(enough, total, 1), np.float32(np.nan))


def _taps(width, rows, cols, origin, method, stretch):
    """Flat indices and weights `[N, T]` of the pixels that each point is made of."""
    (row, down), (col, right) = (
        _along(at, method, wider)
        for at, wider in zip((rows, cols), stretch, strict=True)
    )
    first = (row - origin[0]) * np.int32(width) + (col - origin[1])
    steps = np.arange(len(down))[:, None] * width + np.arange(len(right))
    index = first[:, None] + steps.reshape(-1).astype(np.int32)
    weights = np.empty((len(rows), len(down), len(right)), np.float32)
    for i, a in enumerate(down):
        for j, b in enumerate(right):
            np.multiply(a, b, out=weights[:, i, j])  # 3 times as fast as broadcast
    return index, weights.reshape(index.shape)


def _along(at: np.ndarray, method: str, stretch: float):
    """First pixel `[N]` and weights `[T][N]` along one axis."""
    radius, kernel = KERNELS[method]
    taps = math.ceil(radius * stretch)
    before = np.floor(at - 0.5)  # the last pixel whose centre is not beyond
    past = (at - 0.5 - before).astype(np.float32)
    steps = np.arange(1 - taps, 1 + taps, dtype=np.float32)
    weights = [kernel(np.abs(step - past) / np.float32(stretch)) for step in steps]
    if stretch != 1:
        total = sum(weights)
        weights = [weight / total for weight in weights]
    return before.astype(np.int32) + np.int32(1 - taps), weights
