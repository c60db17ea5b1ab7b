"""Between land and sensor: haze, clouds and their shadows, noise, the swath."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from minenet.data.synthetic import noise

HAZE = np.array([0.030, 0.018, 0.010, 0.004, 0.001, 0.0], np.float32)
"""Scattered light at its thickest: blue most."""

CLOUD = np.array([0.62, 0.61, 0.60, 0.64, 0.45, 0.38], np.float32)


def observe(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Returns reflectance `[H, W, 6]` as a sensor would report it."""
    shape = image.shape[:2]
    cover = noise.fractal(generator, shape, slope=2.6) - generator.uniform(1.4, 2.6)
    opacity = np.clip(cover * 1.6, 0, 0.97)
    drift = generator.integers(12, 28, 2)
    shadow = np.roll(ndimage.gaussian_filter(opacity, 1.2), drift, axis=(0, 1))
    shadow[: drift[0]], shadow[:, : drift[1]] = 0, 0
    image = image * (1 - 0.62 * shadow * (1 - opacity))[..., None]
    image = image + (CLOUD - image) * opacity[..., None]
    veil = 0.6 + 0.25 * noise.fractal(generator, shape, slope=3.2)
    image = image * generator.uniform(0.92, 1.08) + HAZE * veil.clip(0, 1.6)[..., None]
    blurred = ndimage.gaussian_filter(image, (0.55, 0.55, 0))
    return blurred + generator.normal(0, 0.0025, image.shape).astype(np.float32)


def swath(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns where the sensor saw something: all but a wedge at one corner."""
    rows, cols = np.indices(shape)
    rows, cols = rows / shape[0], cols / shape[1]
    if generator.random() < 0.5:
        rows = 1 - rows
    if generator.random() < 0.5:
        cols = 1 - cols
    tilt, width = generator.uniform(0.12, 0.3), generator.uniform(0.06, 0.14)
    return cols + tilt * rows > width + tilt * 0.3
