"""Farmland: parcels between hedges, some ploughed bare, and watered circles."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from minenet.data.synthetic import noise, paint

FIELDS = {
    "crop": 0.26,
    "ripe": 0.20,
    "grass": 0.14,
    "dry_grass": 0.08,
    "stubble": 0.12,
    "soil": 0.08,
    "red_soil": 0.07,
    "rock": 0.03,
    "pale": 0.02,
}
"""What stands on a parcel, and how often."""


def sow(generator: np.random.Generator, image: np.ndarray, farmed: np.ndarray) -> None:
    """Lays fields over `image [H, W, 6]`, in place, with a share `farmed [H, W]`."""
    shape = farmed.shape
    side = generator.uniform(14, 30)
    number, hedge, across = parcels(generator, shape, side=side)
    count = int(number.max()) + 1
    kind = generator.choice(len(FIELDS), count, p=list(FIELDS.values()))
    colours = np.array([paint.SPECTRA[name] for name in FIELDS], np.float32)[kind]
    colours *= generator.normal(1, 0.12, (count, 1)).clip(0.7, 1.35)
    colours *= generator.normal(1, 0.04, (count, 6))
    fields = colours[number]
    # Rows, contour ploughing and damp patches, each field in its own way.
    patchy = noise.fractal(generator, shape, slope=1.1)
    level = 9 * noise.fractal(generator, shape, slope=2.0)
    period = generator.uniform(2.5, 6, count)[number]
    curved = (generator.random(count) < 0.35)[number]
    stripes = np.sin(2 * np.pi * np.where(curved, level, across) / period)
    ploughed = generator.uniform(0, 0.13, count)[number]
    paint.texture(fields, 1 + 0.06 * patchy + ploughed * stripes)
    paint.mix(image, "woodland", farmed * (1 - hedge) * 0.6)
    paint.mix(image, fields, farmed * hedge)
    if generator.random() < 0.4:
        _pivots(generator, image, farmed)


def parcels(
    generator: np.random.Generator, shape: tuple[int, int], *, side: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts the land into halves, and these again, down to fields of about `side`.

    Returns:
        Three arrays `[H, W]`: the number of the parcel, how much of the pixel is field
        (0 on a border), and the position across its rows, in pixels.
    """
    reach = int(1.25 * np.hypot(*shape)) + 8
    label = np.zeros((reach, reach), np.int32)
    border = np.zeros((reach, reach), np.float32)
    todo, count = [(0, reach, 0, reach)], 0
    while todo:
        top, bottom, left, right = todo.pop()
        high, wide = bottom - top, right - left
        if high * wide < 2 * side**2 * generator.uniform(0.6, 2.4):
            label[top:bottom, left:right] = count
            border[top + 1 : bottom, left + 1 : right] = 1
            count += 1
        elif high > wide * generator.uniform(0.5, 1.2):
            cut = top + int(high * generator.uniform(0.36, 0.64))
            todo += [(top, cut, left, right), (cut, bottom, left, right)]
        else:
            cut = left + int(wide * generator.uniform(0.36, 0.64))
            todo += [(top, bottom, left, cut), (top, bottom, cut, right)]
    # Turned, and bent as the land is.
    angle = generator.uniform(0, np.pi)
    rows, cols = np.indices(shape, np.float32)
    bend = [side * noise.fractal(generator, shape, slope=2.4) for _ in range(2)]
    rows, cols = rows - shape[0] / 2 + bend[0], cols - shape[1] / 2 + bend[1]
    at = np.stack(
        [
            np.cos(angle) * rows - np.sin(angle) * cols,
            np.sin(angle) * rows + np.cos(angle) * cols,
        ]
    )
    at += reach / 2
    number = ndimage.map_coordinates(label, at, order=0, mode="nearest")
    field = ndimage.map_coordinates(border, at, order=1, mode="nearest")
    return number, field, at[0]


def _pivots(
    generator: np.random.Generator, image: np.ndarray, farmed: np.ndarray
) -> None:
    """Circles that an arm turning about its end waters."""
    shape = farmed.shape
    rows, cols = np.indices(shape, np.float32)
    for _ in range(int(generator.integers(2, 9))):
        row, col = generator.uniform(0, 1, 2) * shape
        radius = generator.uniform(16, 36)
        if farmed[int(row), int(col)] < 0.5:
            continue
        away = np.hypot(rows - row, cols - col)
        names = generator.choice(["crop", "ripe", "stubble", "soil", "red_soil"], 2)
        turn = np.arctan2(rows - row, cols - col) - generator.uniform(-np.pi, np.pi)
        part = paint.soft(np.mod(turn, 2 * np.pi) < generator.uniform(0.5, 6))
        disc = np.empty_like(image)
        disc[...] = paint.spectrum(names[0])
        paint.mix(disc, str(names[1]), part)
        rings = 1 + 0.05 * np.sin(away * 2 * np.pi / generator.uniform(3, 6))
        paint.texture(disc, rings * generator.uniform(0.85, 1.15))
        paint.mix(image, disc, np.clip(radius - away + 0.5, 0, 1))
