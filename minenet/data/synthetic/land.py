"""Land without mines: hills, grass, forest and bare ground, then what people made."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from minenet.data.synthetic import farms, noise, paint, towns, water


def landscape(
    generator: np.random.Generator, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns reflectance `[H, W, 6]` and where no mine has its centre, `[H, W]`."""
    hills = noise.fractal(generator, shape, slope=2.0)
    ridges = np.abs(noise.fractal(generator, shape, slope=1.7))
    relief = hills + 0.5 * ridges
    steep = generator.uniform(0.5, 2.2) / (np.hypot(*np.gradient(relief)).mean() + 1e-6)
    image = _meadows(generator, ridges)
    forest = _forest(generator, image, hills, ridges)
    _outcrops(generator, image)
    paint.texture(image, paint.shade(relief * steep * 0.12))
    farmed = noise.fractal(generator, shape, slope=1.8) - 0.4 * hills
    farmed = paint.soft(farmed > generator.uniform(0.1, 0.9), 1.0)
    farms.sow(generator, image, farmed * (1 - 0.9 * forest))
    _clearings(generator, image)
    wet = water.flood(generator, image)
    town = towns.build(generator, image)
    return image, wet | town


def _meadows(generator: np.random.Generator, ridges: np.ndarray) -> np.ndarray:
    shape = ridges.shape
    image = np.empty((*shape, 6), np.float32)
    image[...] = paint.spectrum("grass")
    dry = 0.5 + 0.35 * noise.fractal(generator, shape, slope=1.2) + 0.2 * (ridges - 1)
    paint.mix(image, "dry_grass", dry + generator.uniform(-0.5, 0.4))
    worn = noise.fractal(generator, shape, slope=1.0)
    paint.mix(image, str(generator.choice(["soil", "red_soil"])), 0.35 * (worn - 0.6))
    if generator.random() < 0.4:
        burnt = noise.fractal(generator, shape, slope=1.5) > 1.7
        paint.mix(image, "burnt", 0.7 * paint.soft(burnt))
    paint.texture(image, 1 + 0.05 * noise.fractal(generator, shape, slope=0.5))
    trees = ndimage.gaussian_filter(generator.standard_normal(shape, np.float32), 0.6)
    paint.mix(image, "woodland", 0.7 * (trees > generator.uniform(0.75, 1.3)))
    return image


def _forest(
    generator: np.random.Generator,
    image: np.ndarray,
    hills: np.ndarray,
    ridges: np.ndarray,
) -> np.ndarray:
    """Grows forest on high ground and in valleys; returns its share `[H, W]`."""
    shape = hills.shape
    wild = noise.fractal(generator, shape, slope=1.45) + 0.3 * hills
    stands = wild > generator.uniform(-0.3, 0.7)
    valleys = ridges + 0.1 * noise.fractal(generator, shape, slope=0.8) < 0.1
    share = paint.soft(stands | valleys, 0.6)
    kinds = np.empty_like(image)
    kinds[...] = paint.spectrum("forest")
    kind = noise.fractal(generator, shape, slope=1.3)
    paint.mix(kinds, "woodland", 0.4 + 0.4 * kind)
    # Crowns and the shadows between them.
    crowns = ndimage.gaussian_filter(generator.standard_normal(shape, np.float32), 0.7)
    paint.texture(kinds, 1 + 0.22 * crowns + 0.04 * kind)
    paint.mix(image, kinds, share * 0.97)
    return share


def _outcrops(generator: np.random.Generator, image: np.ndarray) -> None:
    """Bare rock: the colours and roughness of a mine, with nothing dug."""
    shape = image.shape[:2]
    bare = noise.fractal(generator, shape, slope=1.3)
    ground = np.empty_like(image)
    ground[...] = paint.bare(generator)
    rough = noise.fractal(generator, shape, slope=1.3)
    # Strata show as bands, as benches do.
    strata = np.sin(2 * np.pi * (rough * 2.2 + bare * 5) / 1.7)
    paint.texture(ground, paint.shade(rough * 0.8) * (1 + 0.07 * strata + 0.05 * bare))
    # Frayed: plants take natural ground back from its rim and its hollows.
    frayed = bare + 0.3 * rough
    paint.mix(image, ground, paint.soft(frayed > generator.uniform(1.8, 2.6)))


def _clearings(generator: np.random.Generator, image: np.ndarray) -> None:
    """Blocks cleared of plants with straight sides, each by itself."""
    shape = image.shape[:2]
    for _ in range(int(generator.integers(1, 2 + np.prod(shape) / 50_000))):
        row, col = generator.uniform(0, 1, 2) * shape
        half = generator.uniform(6, 34, 2)
        reach = int(np.hypot(*half)) + 2
        top, left = max(0, int(row) - reach), max(0, int(col) - reach)
        view = image[top : int(row) + reach, left : int(col) + reach]
        rows, cols = np.indices(view.shape[:2], np.float32)
        rows, cols = rows + top - row, cols + left - col
        angle = generator.uniform(0, np.pi)
        down = rows * np.cos(angle) + cols * np.sin(angle)
        right = cols * np.cos(angle) - rows * np.sin(angle)
        inside = np.minimum(half[0] - np.abs(down), half[1] - np.abs(right))
        rough = noise.fractal(generator, inside.shape, slope=1.2)
        ground = np.empty_like(view)
        ground[...] = paint.bare(generator)
        paint.texture(ground, paint.shade(rough * generator.uniform(0.1, 0.7)))
        paint.mix(ground, "dry_grass", 0.6 * (rough > 1.2))
        paint.mix(view, ground, inside + 0.5 + 0.5 * rough * (inside > 0))
