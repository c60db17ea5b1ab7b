"""Towns, the roads that join them, and lone farm yards."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from minenet.data.synthetic import noise, paint
from minenet.data.synthetic.farms import parcels


def build(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Draws towns and roads into `image`, in place; returns where towns are."""
    shape = image.shape[:2]
    town = np.zeros(shape, np.float32)
    centres = generator.uniform(0.05, 0.95, (int(generator.integers(1, 4)), 2)) * shape
    rows, cols = np.indices(shape, np.float32)
    ragged = noise.fractal(generator, shape, slope=1.3)
    for row, col in centres:
        radius = np.exp(generator.uniform(np.log(9), np.log(42)))
        away = np.hypot(rows - row, (cols - col) * generator.uniform(0.7, 1.4))
        town = np.maximum(town, np.clip(2.4 * (1 - away / radius) + ragged, 0, 1))
    _houses(generator, image, town)
    count = int(generator.integers(2, 5))
    for number in range(count):
        through = centres[number] if number < len(centres) else None
        dirt = generator.random() < 0.55
        road = noise.path(
            generator, shape, wander=0.35, scale=generator.uniform(60, 180),
            through=through,
        )  # fmt: skip
        width = generator.uniform(0.5, 1.0) if dirt else generator.uniform(0.7, 1.5)
        paint.mix(
            image, "soil" if dirt else "asphalt", paint.stroke(road.distance, width)
        )
    return town > 0.3


def _houses(
    generator: np.random.Generator, image: np.ndarray, town: np.ndarray
) -> None:
    shape = town.shape
    # Roofs and yards of a pixel or two, streets between blocks, trees, large sheds.
    block, street, _ = parcels(generator, shape, side=generator.uniform(5, 7))
    count = int(block.max()) + 1
    roofs = (
        ndimage.gaussian_filter(generator.standard_normal(shape, np.float32), 0.7) / 0.4
    )
    built = np.empty_like(image)
    built[...] = paint.spectrum("town")
    paint.texture(built, 1 + 0.22 * roofs)
    red = generator.random(count) < generator.uniform(0.1, 0.6)
    paint.mix(built, "red_soil", 0.35 * red[block])
    sheds = generator.random(count) < 0.025
    paint.mix(built, "roof", 0.9 * sheds[block])
    bare = generator.random(count) < 0.08
    paint.mix(built, paint.bare(generator), 0.9 * bare[block])
    trees = noise.fractal(generator, shape, slope=0.8) > 0.75
    green = (generator.random(count) < 0.12)[block]
    paint.mix(built, "woodland", paint.soft(trees, 0.5) * 0.8 * ~sheds[block])
    paint.mix(built, "grass", 0.85 * green)
    paint.mix(built, "asphalt", 0.7 * (1 - street))
    # Towards its edge a town dissolves into single houses.
    scattered = ndimage.gaussian_filter(generator.random(shape, np.float32), 0.6)
    share = np.clip((town - 0.6 * (1 - town) * (scattered * 4 - 1)) * 1.6, 0, 1)
    paint.mix(image, built, share * (town > 0.05))
