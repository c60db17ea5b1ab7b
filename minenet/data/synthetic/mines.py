"""Mines: irregular outlines around benches, pits, ponds, tailings and haul roads."""

from __future__ import annotations

import numpy as np
import rasterio.features
import shapely
from scipy import ndimage

from minenet.data.synthetic import land, noise


def outlines(
    generator: np.random.Generator, blocked: np.ndarray, *, count: int
) -> list[shapely.Polygon]:
    """Returns up to `count` outlines in pixel coordinates `(col, row)`.

    Args:
        generator: Of the draws.
        blocked: `[H, W]` bool, where no mine may have its centre.
        count: How many to try.
    """
    height, width = blocked.shape
    found: list[shapely.Polygon] = []
    for _ in range(count):
        row, col = generator.uniform(0.04, 0.96, 2) * (height, width)
        if blocked[int(row), int(col)]:
            continue
        radius = float(np.exp(generator.uniform(np.log(14), np.log(70))))
        radius = min(radius, 0.2 * min(height, width))
        shape = shapely.union_all(
            [
                _lobe(generator, col + dx, row + dy, radius * scale)
                for dx, dy, scale in _lobes(generator, radius)
            ]
        ).buffer(0)
        shape = shapely.intersection(shape, shapely.box(0, 0, width, height))
        if shape.geom_type != "Polygon" or shape.area < 150:
            continue
        if not any(shape.distance(other) < 12 for other in found):
            found.append(shape)
    return found


def dig(
    generator: np.random.Generator, image: np.ndarray, outline: shapely.Polygon
) -> None:
    """Draws one mine into `image [H, W, 6]`, in place."""
    row, col, part = _around(outline, image.shape[:2])
    view = image[row, col]
    inside = rasterio.features.rasterize(
        [(outline, 1)],
        out_shape=image.shape[:2],
        dtype=np.uint8,
    )[row, col].astype(bool)
    shape = inside.shape
    depth = ndimage.distance_transform_edt(inside).astype(np.float32)
    rough = noise.fractal(generator, shape, slope=1.4)
    smooth = noise.fractal(generator, shape, slope=3.0)
    ground = np.array(view)
    soil = generator.choice(["rock", "soil", "red_soil", "tailings"])
    land.mix(ground, soil, np.full(shape, 0.92))
    # Benches follow the outline: bright floors, dark faces.
    period = generator.uniform(5.0, 9.0)
    bench = np.sin(2 * np.pi * (depth + 2.5 * smooth + 0.8 * rough) / period)
    worked = np.clip(0.5 + noise.fractal(generator, shape, slope=2.6), 0, 1)
    ground *= (1 + 0.10 * worked * bench + 0.08 * rough)[..., None].clip(0.4, 1.7)
    deepest = float(depth.max())
    land.mix(ground, "tailings", 0.9 * ((smooth > 0.9) & (depth > 3)))
    pit = ndimage.gaussian_filter(((smooth < -0.8) & (depth > 4)).astype(float), 0.7)
    ground *= (1 - 0.5 * pit)[..., None]
    pond = (noise.fractal(generator, shape, slope=2.8) > 1.35) & (depth > 3)
    land.mix(ground, "pond", ndimage.gaussian_filter(pond.astype(float), 0.6))
    # What is not dug yet, or grown over again, lies within the outline too.
    left = noise.fractal(generator, shape, slope=2.4) > 1.0
    kept = ndimage.gaussian_filter((left & ~pond).astype(float), 0.8)
    ground += (view - ground) * (kept * 0.85)[..., None]
    for _ in range(2 + int(deepest > 15)):
        road = noise.path(generator, shape, wander=0.5)
        land.mix(ground, "sand", 0.45 * land.soft(road, 1.2))
    share = np.clip(depth - 0.3 * rough, 0, 1.2) / 1.2 * inside
    view += (ground - view) * share[..., None]


def _lobes(generator, radius):
    yield 0.0, 0.0, 1.0
    for _ in range(int(generator.integers(1, 4))):
        angle, away = generator.uniform(0, 2 * np.pi), generator.uniform(0.5, 1.1)
        yield (
            radius * away * np.cos(angle),
            radius * away * np.sin(angle),
            generator.uniform(0.45, 0.8),
        )


def _lobe(generator, x, y, radius) -> shapely.Polygon:
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    reach = np.ones_like(angles)
    for wave in range(2, 9):
        phase = generator.uniform(0, 2 * np.pi)
        reach += generator.normal(0, 0.28 / wave) * np.sin(wave * angles + phase)
    reach = radius * np.maximum(reach, 0.35)
    return shapely.Polygon(
        np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], -1)
    ).buffer(0)


def _around(outline, shape):
    x0, y0, x1, y1 = outline.bounds
    row = slice(max(0, int(y0) - 2), min(shape[0], int(y1) + 3))
    col = slice(max(0, int(x0) - 2), min(shape[1], int(x1) + 3))
    return row, col, outline
