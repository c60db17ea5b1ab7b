"""Mines: outlines, as people draw them, around what is dug, dumped and left between."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
from scipy import ndimage

from minenet.data.synthetic import workings

KINDS = ("pit", "dump", "tailings", "stripped", "plant")
"""What lies around the first pit of a mine; a placer is another thing."""

SMALLEST = 150.0
"""Area in pixels below which nobody would map a mine."""

ROAD_REACH = 40
"""How far from its outline a mine's own roads go, in pixels."""


class Mine(NamedTuple):
    """A mine in pixel coordinates `(col, row)`.

    Attributes:
        outline: All of it, drawn as coarsely as mines are mapped.
        parts: Kind and shape of each working within.
    """

    outline: shapely.Polygon
    parts: list[tuple[str, shapely.Polygon]]


def plan(
    generator: np.random.Generator, blocked: np.ndarray, *, count: int
) -> list[Mine]:
    """Returns about `count` mines that keep clear of each other; at least one.

    Args:
        generator: Of the draws.
        blocked: `[H, W]` bool, where no mine should have its centre.
        count: How many to try.
    """
    height, width = blocked.shape
    scene = shapely.box(0, 0, width, height)
    found: list[Mine] = []
    for number in range(20 * count):
        if number >= count and found:
            break
        row, col = generator.uniform(0.03, 0.97, 2) * (height, width)
        radius = float(np.exp(generator.uniform(np.log(12), np.log(52))))
        radius = min(radius, 0.16 * min(height, width))
        if blocked[int(row), int(col)] and number < count:
            continue
        mine = _mine(generator, col, row, radius, scene)
        if mine.outline.area < min(SMALLEST, scene.area / 8):
            continue
        if all(mine.outline.distance(other.outline) > 10 for other in found):
            found.append(mine)
    return found


def dig(generator: np.random.Generator, image: np.ndarray, mine: Mine) -> None:
    """Draws one mine into `image [H, W, 6]`, in place."""
    left, top, right, bottom = (int(edge) for edge in mine.outline.bounds)
    row = slice(max(0, top - ROAD_REACH), bottom + ROAD_REACH)
    col = slice(max(0, left - ROAD_REACH), right + ROAD_REACH)
    view = image[row, col]
    y, x = np.mgrid[: view.shape[0], : view.shape[1]] + 0.5
    y, x = y + row.start, x + col.start

    def depth(shape: shapely.Geometry) -> np.ndarray:
        """Returns the distance to the shape's border, 0 outside it."""
        shapely.prepare(shape)
        inside = shapely.contains_xy(shape, x, y)
        # Padded with the shape itself: the scene's edge is no border of a mine.
        padded = np.pad(inside, 1, mode="edge")
        return ndimage.distance_transform_edt(padded)[1:-1, 1:-1].astype(np.float32)

    workings.wear(generator, view, depth(mine.outline))
    ground = workings.Ground.draw(generator)
    for kind, shape in reversed(mine.parts):
        inner = depth(shape)
        if inner.max() > 1:
            workings.DRAW[kind](generator, view, inner, ground)
    stops = [
        (p.centroid.y - row.start, p.centroid.x - col.start) for _, p in mine.parts
    ]
    workings.haul(generator, view, stops, ground)


def _mine(
    generator: np.random.Generator,
    x: float,
    y: float,
    radius: float,
    scene: shapely.Polygon,
) -> Mine:
    angle = generator.uniform(0, 2 * np.pi)
    if generator.random() < 0.22:
        # A placer follows its valley: a chain of lobes of one kind.
        run = radius * 1.1 * np.arange(-1, 2)
        bent = radius * generator.normal(0, 0.35, 3)
        parts = [
            ("placer", _lobe(generator, x + dx, y + dy, 0.7 * radius))
            for dx, dy in zip(
                run * np.cos(angle) - bent * np.sin(angle),
                run * np.sin(angle) + bent * np.cos(angle),
                strict=True,
            )
        ]
    else:
        parts = [("pit", _lobe(generator, x, y, radius * generator.uniform(0.75, 1)))]
        kinds = generator.permutation(KINDS)[: int(generator.integers(1, 5))]
        for kind in kinds:
            angle += generator.uniform(0.9, 2.2)
            size = radius * generator.uniform(0.45, 0.85)
            size *= 0.5 if kind == "plant" else 1
            away = radius + 0.75 * size
            centre = x + away * np.cos(angle), y + away * np.sin(angle)
            parts.append((str(kind), _lobe(generator, *centre, size)))
    # Closed as a hand closes it: what lies between two workings belongs to the mine.
    close = 0.6 * radius
    outline = shapely.union_all([shape for _, shape in parts])
    outline = outline.buffer(close + 1).buffer(-close).simplify(0.4)
    outline = shapely.intersection(outline, scene)
    if outline.geom_type != "Polygon":
        outline = max(shapely.get_parts(outline), key=lambda part: part.area)
    return Mine(shapely.Polygon(outline.exterior), parts)


def _lobe(
    generator: np.random.Generator, x: float, y: float, radius: float
) -> shapely.Polygon:
    """Returns a disc with waves of falling size about its rim."""
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    reach = np.ones_like(angles)
    for wave in range(2, 9):
        phase = generator.uniform(0, 2 * np.pi)
        reach += generator.normal(0, 0.24 / wave) * np.sin(wave * angles + phase)
    reach = radius * np.maximum(reach, 0.35)
    return shapely.Polygon(
        np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], -1)
    )
