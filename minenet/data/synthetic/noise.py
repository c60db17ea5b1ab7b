"""Random fields and lines that resemble nature's: fractal ground, wandering paths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage


def fractal(
    generator: np.random.Generator, shape: tuple[int, int], *, slope: float
) -> np.ndarray:
    """Returns a field `shape` float32 of mean 0 and deviation 1.

    White noise whose amplitudes fall with frequency to the power of `slope`, which is
    what heights, covers and clouds look like at every scale (Voss 1985): .5 is rough
    as gravel, 1 as crumbled as a coast, 2 as smooth as hills.
    """
    rows, cols = (fft.next_fast_len(size, real=True) for size in shape)
    waves = fft.rfft2(generator.standard_normal((rows, cols), np.float32))
    frequency = np.hypot(fft.fftfreq(rows)[:, None], fft.rfftfreq(cols))
    frequency[0, 0] = np.inf
    waves *= (frequency**-slope).astype(np.float32)
    field = fft.irfft2(waves, (rows, cols))[: shape[0], : shape[1]]
    return (field - field.mean()) / max(float(field.std()), 1e-6)


class Path(NamedTuple):
    """What each pixel knows of a line, all `[H, W]` float32.

    Attributes:
        distance: To its nearest point, in pixels.
        bend: How much the line turns there towards the pixel's side; > 0 within a bend.
        width: A factor about 1 that varies along the line.
    """

    distance: np.ndarray
    bend: np.ndarray
    width: np.ndarray


def path(
    generator: np.random.Generator,
    shape: tuple[int, int],
    *,
    wander: float,
    scale: float,
    through: tuple[float, float] | None = None,
) -> Path:
    """Draws a line that crosses the scene.

    Args:
        generator: Of the draws.
        shape: Of the scene.
        wander: Deviation of its direction, in radians: .3 a road, 1 a river.
        scale: Length of its bends, in pixels.
        through: A point `(row, col)` of it; anywhere near the middle by default.
    """
    reach = int(1.5 * np.hypot(*shape)) + 8
    heading = generator.uniform(0, 2 * np.pi) + wander * _curve(generator, reach, scale)
    line = np.cumsum(np.stack([np.sin(heading), np.cos(heading)], -1), axis=0)
    if through is None:
        through = generator.uniform(0.25, 0.75, 2) * shape
    line += through - line[len(line) // 2]
    at = np.round(line).astype(int)
    inside = np.flatnonzero(((at >= 0) & (at < shape)).all(axis=1))
    number = np.zeros(shape, np.int32)
    number[tuple(at[inside].T)] = inside + 1
    distance, (rows, cols) = ndimage.distance_transform_edt(
        number == 0, return_indices=True
    )
    nearest = number[rows, cols] - 1
    away = np.indices(shape) - np.stack([rows, cols])
    # The side is the sign of the cross product of heading and offset.
    along = np.stack([np.sin(heading), np.cos(heading)])[:, nearest]
    side = np.sign(along[1] * away[0] - along[0] * away[1])
    turn = np.gradient(ndimage.gaussian_filter1d(heading, scale / 4))
    bend = side * (turn / (turn.std() + 1e-9))[nearest]
    width = np.exp(0.3 * _curve(generator, reach, scale / 2))[nearest]
    return Path(*(a.astype(np.float32) for a in (distance, bend, width)))


def _curve(generator: np.random.Generator, half: int, scale: float) -> np.ndarray:
    """Returns a smooth random curve of deviation 1, `[2 · half]`."""
    curve = ndimage.gaussian_filter1d(generator.standard_normal(2 * half), scale / 3)
    return (curve - curve.mean()) / (curve.std() + 1e-9)
