"""Rivers with sand bars in their bends, and lakes."""

from __future__ import annotations

import numpy as np

from minenet.data.synthetic import noise, paint


def flood(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Draws waters into `image`, in place; returns where they are, `[H, W]` bool."""
    shape = image.shape[:2]
    wet = _river(generator, image, generator.uniform(5, 13))
    if generator.random() < 0.6:
        wet |= _river(generator, image, generator.uniform(1.2, 3))
    basin = noise.fractal(generator, shape, slope=2.0)
    basin += 0.12 * noise.fractal(generator, shape, slope=1.2)
    level = generator.uniform(1.9, 2.6)
    paint.mix(image, "sand", 0.7 * paint.soft(basin > level - 0.05, 1.0))
    lake = basin > level
    paint.mix(image, str(generator.choice(["water", "silt"])), paint.soft(lake))
    return wet | lake


def _river(
    generator: np.random.Generator, image: np.ndarray, width: float
) -> np.ndarray:
    shape = image.shape[:2]
    bank = noise.fractal(generator, shape, slope=1.3)
    river = noise.path(
        generator,
        shape,
        wander=generator.uniform(0.6, 1.0),
        scale=width * generator.uniform(9, 14),
    )
    width = width * river.width
    distance = river.distance + 0.6 * bank
    # Woods and damp meadows beside it.
    plain = np.clip(1.4 - distance / (3.5 * width) + 0.4 * bank, 0, 1)
    paint.mix(image, "woodland", 0.75 * plain * (bank > -0.5))
    # Sand settles where the water turns slowly: within the bend.
    reach = width / 2 + width * np.clip(0.9 * river.bend - 0.55 + 0.35 * bank, 0, 1.3)
    ground = np.empty_like(image)
    ground[...] = paint.spectrum("sand") * generator.uniform(0.85, 1.15)
    ripples = np.sin(2 * np.pi * distance / generator.uniform(3.5, 7))
    rough = noise.fractal(generator, shape, slope=0.9)
    paint.texture(ground, 1 + 0.07 * ripples + 0.07 * rough)
    paint.mix(ground, "grass", 0.8 * paint.soft(bank + 0.4 * rough > 1.1))
    paint.mix(image, ground, np.clip(reach - distance, 0, 1))
    clear = generator.random()
    colour = clear * paint.spectrum("water") + (1 - clear) * paint.spectrum("silt")
    paint.mix(image, colour, np.clip(width / 2 - distance + 0.5, 0, 1))
    return distance < width / 2 + 2
