"""Between land and sensor: haze, clouds and their shadows, noise, the swath."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from minenet.data.synthetic import noise

HAZE = np.array([0.030, 0.019, 0.011, 0.005, 0.002, 0.001], np.float32)
"""Scattered light of hazy air: blue most."""

CLOUD = np.array([0.52, 0.51, 0.51, 0.56, 0.42, 0.34], np.float32)


def observe(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Returns reflectance `[H, W, 6]` as a sensor would report it."""
    shape = image.shape[:2]
    image = _cloud(generator, image)
    veil = generator.uniform(0.1, 1.1)
    veil = veil * (1 + 0.25 * noise.fractal(generator, shape, slope=2.2))
    veil = veil.clip(0)[..., None]
    light = generator.uniform(0.9, 1.1) * generator.normal(1, 0.025, 6)
    image = image * light.astype(np.float32) * (1 - 0.06 * veil) + HAZE * veil
    # Each pixel sees a little of its neighbours.
    image = ndimage.gaussian_filter(image, (0.5, 0.5, 0))
    grain = generator.standard_normal(image.shape, np.float32)
    return image + grain * (0.0012 + 0.01 * image)


def _cloud(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    shape = image.shape[:2]
    cover = noise.fractal(generator, shape, slope=1.45)
    cover -= np.quantile(cover, 1 - generator.choice([0.002, 0.02, 0.05]))
    opacity = np.clip(cover * 2.2, 0, 1) ** 1.5 * 0.96
    # Low clouds: the shadow falls to the lower left, some hundred metres away.
    down, left = (int(n) for n in generator.integers(9, 22, 2))
    shadow = np.zeros_like(opacity)
    shadow[down:, : shape[1] - left] = opacity[: shape[0] - down, left:]
    shadow = ndimage.gaussian_filter(shadow, 1.0)
    image = image * (1 - 0.6 * shadow)[..., None]
    billow = 1 + 0.10 * noise.fractal(generator, shape, slope=1.1)
    white = CLOUD * (billow * (0.75 + 0.3 * opacity))[..., None]
    return image + (white - image) * opacity[..., None]


def swath(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns where the sensor saw something: all but a wedge at one side."""
    rows, cols = np.indices(shape)
    rows, cols = rows / shape[0], cols / shape[1]
    if generator.random() < 0.5:
        rows = 1 - rows
    if generator.random() < 0.5:
        cols = 1 - cols
    tilt, width = generator.uniform(0.12, 0.3), generator.uniform(0.06, 0.14)
    return cols + tilt * rows > width + tilt * 0.3
