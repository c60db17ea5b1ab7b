"""Random fields that resemble land: fractal, and cut into parcels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, spatial


def fractal(
    generator: np.random.Generator, shape: tuple[int, int], *, slope: float = 2.0
) -> np.ndarray:
    """Returns a field `shape` float32 of mean 0 and deviation 1.

    White noise whose amplitudes fall with frequency to the power of `slope`/2·2: 1 is
    rough as gravel, 3 as smooth as hills.
    """
    rows = 2 ** int(np.ceil(np.log2(shape[0])))
    cols = 2 ** int(np.ceil(np.log2(shape[1])))
    spectrum = np.fft.rfft2(generator.standard_normal((rows, cols)).astype(np.float32))
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(cols))
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(spectrum / frequency ** (slope / 2 + 0.5), (rows, cols))
    field = field[: shape[0], : shape[1]]
    return ((field - field.mean()) / field.std()).astype(np.float32)


def parcels(
    generator: np.random.Generator, shape: tuple[int, int], *, side: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts the plane into fields of about `side` pixels, in rows as farmers lay them.

    Returns:
        The number of the parcel of each pixel, and the distance to its border.
    """
    angle = generator.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.array([side, side * generator.uniform(1.5, 2.5)])
    reach = int(np.hypot(*shape) / side) + 2
    lattice = np.stack(
        np.meshgrid(np.arange(-reach, reach), np.arange(-reach, reach)), -1
    )
    seeds = lattice.reshape(-1, 2) + generator.uniform(
        -0.28, 0.28, (lattice.size // 2, 2)
    )
    at = np.stack(np.indices(shape), -1).reshape(-1, 2) @ turn.T / stretch
    distance, nearest = spatial.cKDTree(seeds).query(at, k=2)
    border = (distance[:, 1] - distance[:, 0]) * side
    return nearest[:, 0].reshape(shape), border.reshape(shape).astype(np.float32)


def path(
    generator: np.random.Generator, shape: tuple[int, int], *, wander: float
) -> np.ndarray:
    """Returns the distance of each pixel to a line that crosses the scene.

    Args:
        generator: Of the draws.
        shape: Of the scene.
        wander: How much its direction changes, in radians; a road .1, a river 1.
    """
    height, width = shape
    size = max(shape)
    angle = generator.uniform(0, 2 * np.pi)
    middle = np.array([height, width]) * generator.uniform(0.25, 0.75, 2)
    count = 4 * size
    steps = np.linspace(-1.5 * size, 1.5 * size, count)
    bend = ndimage.gaussian_filter1d(generator.standard_normal(count), size / 12)
    bend *= wander / bend.std()
    heading = angle + bend
    run = steps[1] - steps[0]
    line = np.cumsum(np.stack([np.sin(heading), np.cos(heading)], -1) * run, axis=0)
    line += middle - line[count // 2]
    drawn = np.ones(shape, bool)
    at = np.round(line).astype(int)
    inside = ((at >= 0) & (at < shape)).all(axis=1)
    if not inside.any():
        return np.full(shape, np.inf, np.float32)
    drawn[tuple(at[inside].T)] = False
    return ndimage.distance_transform_edt(drawn).astype(np.float32)
