"""The workings of a mine: benches, dumps, tailings, stripped ground, plants, roads.

Each function draws into a view of the scene, in place. `depth [H, W]` is the distance
to the border of the working, in pixels, 0 outside it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from minenet.data.synthetic import noise, paint
from minenet.data.synthetic.farms import parcels

Generator = np.random.Generator


class Ground(NamedTuple):
    """The ground of one mine: reflectance `[6]` of its rock, and of its water."""

    rock: np.ndarray
    water: np.ndarray

    @classmethod
    def draw(cls, generator: Generator) -> Ground:
        """Returns the ground of another mine."""
        part = generator.uniform(0, 1)
        water = part * paint.spectrum("pond") + (1 - part) * paint.spectrum("water")
        return cls(paint.bare(generator), water * generator.uniform(0.8, 1.2))

    def laid(self, shape: tuple[int, int], brightness: float = 1.0) -> np.ndarray:
        """Returns an image `[H, W, 6]` of its rock."""
        return np.broadcast_to(self.rock * brightness, (*shape, 6)).astype(np.float32)


def _lay(
    view: np.ndarray, laid: np.ndarray, depth: np.ndarray, edge: float | np.ndarray
) -> None:
    """Puts a working into the scene, its border frayed by `edge`, never beyond it."""
    paint.mix(view, laid, (depth - edge) * (depth > 0))


def wear(generator: Generator, view: np.ndarray, depth: np.ndarray) -> None:
    """Thins the plants within a mine, and leaves many of them."""
    worn = 0.4 * noise.fractal(generator, depth.shape, slope=1.2)
    paint.mix(view, "dry_grass", worn * (depth > 0))


def pit(
    generator: Generator, view: np.ndarray, depth: np.ndarray, ground: Ground
) -> None:
    """Digs steps down to a floor, often with water on it."""
    shape = depth.shape
    rough = noise.fractal(generator, shape, slope=1.2)
    smooth = noise.fractal(generator, shape, slope=2.2)
    period = generator.uniform(2.6, 5.0)
    deepest = generator.uniform(0.3, 0.8) * depth.max()
    way = np.minimum(depth + smooth * 0.2 * depth.max() + 0.25 * rough, deepest)
    step, within = np.divmod(way / period, 1)
    height = -(step + np.clip((within - 0.4) / 0.6, 0, 1)) * period
    # Here a face is steep, there the ramp of a road or a slide.
    steep = np.clip(0.22 + 0.12 * noise.fractal(generator, shape, slope=1.4), 0.04, 0.5)
    laid = ground.laid(shape)
    # Strata: some benches cut another rock.
    strata = generator.normal(1, 0.08, int(step.max()) - int(step.min()) + 1)
    strata = strata[(step - step.min()).astype(int)]
    paint.texture(laid, paint.shade(height * steep) * strata * (1 + 0.07 * rough))
    floor = way >= deepest
    paint.texture(laid, 1 - 0.15 * floor)
    if generator.random() < 0.6:
        filled = depth + 0.2 * depth.max() * smooth > generator.uniform(0.6, 0.9) * (
            depth.max()
        )
        paint.mix(laid, ground.water, paint.soft(filled & (depth > 2)))
    _lay(view, laid, depth, 0.5)


def dump(
    generator: Generator, view: np.ndarray, depth: np.ndarray, ground: Ground
) -> None:
    """Heaps waste rock: flat on top, gullied at its sides, grown over in part."""
    shape = depth.shape
    rough = noise.fractal(generator, shape, slope=1.1)
    smooth = noise.fractal(generator, shape, slope=2.0)
    tier = generator.uniform(4, 9)
    step, within = np.divmod((depth + smooth) / tier, 1)
    height = (np.minimum(step, 2) + np.clip(within / 0.4, 0, 1) * (step < 3)) * 3.0
    laid = ground.laid(shape, generator.uniform(0.85, 1.2))
    paint.texture(laid, paint.shade(0.35 * height + 0.4 * rough))
    grown = noise.fractal(generator, shape, slope=1.4) > generator.uniform(0.2, 2)
    paint.mix(laid, str(generator.choice(["grass", "woodland"])), 0.8 * grown)
    _lay(view, laid, depth, 0.3 * rough)


def tailings(
    generator: Generator, view: np.ndarray, depth: np.ndarray, ground: Ground
) -> None:
    """Settles fine mud behind a dam: pale where dry, then grey, then water."""
    shape = depth.shape
    rows, cols = np.indices(shape, np.float32)
    angle = generator.uniform(0, 2 * np.pi)
    wet = rows * np.sin(angle) + cols * np.cos(angle)
    inside = depth > 0
    low, high = np.quantile(wet[inside], [0.02, 0.98])
    wet = (wet - low) / max(high - low, 1)
    wet += 0.12 * noise.fractal(generator, shape, slope=1.8)
    laid = ground.laid(shape)
    paint.mix(laid, "pale", np.full(shape, generator.uniform(0.4, 0.9)))
    paint.texture(laid, 1.08 - 0.45 * np.clip(wet, 0, 1))
    paint.mix(laid, ground.water, (wet - generator.uniform(0.3, 0.9)) * 6)
    dam = paint.stroke(np.abs(depth - 1.8), 1.6)
    crest = ground.laid(shape)
    paint.texture(crest, paint.shade(np.minimum(depth, 2.5)))
    paint.mix(laid, crest, dam)
    _lay(view, laid, depth, 0.2)


def stripped(
    generator: Generator, view: np.ndarray, depth: np.ndarray, ground: Ground
) -> None:
    """Clears the ground for what comes next; patches of plants still stand."""
    shape = depth.shape
    rough = noise.fractal(generator, shape, slope=1.2)
    laid = ground.laid(shape)
    paint.texture(laid, paint.shade(rough * generator.uniform(0.3, 1.0)))
    stand = noise.fractal(generator, shape, slope=1.5)
    paint.mix(laid, np.array(view), 0.9 * paint.soft(stand > 0.5))
    _lay(view, laid, depth, 0.4 * rough)


def plant(
    generator: Generator, view: np.ndarray, depth: np.ndarray, ground: Ground
) -> None:
    """Builds sheds, yards and basins."""
    shape = depth.shape
    lot, yard, _ = parcels(generator, shape, side=4.5)
    count = int(lot.max()) + 1
    laid = ground.laid(shape)
    paint.mix(laid, "asphalt", np.full(shape, 0.5))
    draw = generator.random(count)[lot]
    paint.mix(laid, "roof", 0.9 * (draw < 0.18) * yard)
    paint.mix(laid, ground.water, ((draw > 0.92) * yard))
    _lay(view, laid, depth, 0.0)


def placer(
    generator: Generator, view: np.ndarray, depth: np.ndarray, ground: Ground
) -> None:
    """Turns a valley over: a quilt of small ponds, gravel heaps and regrowth."""
    shape = depth.shape
    quilt = noise.fractal(generator, shape, slope=1.05)
    quilt = 1.3 * (quilt - ndimage.gaussian_filter(quilt, 9))  # no pond is large
    rough = noise.fractal(generator, shape, slope=1.0)
    laid = ground.laid(shape)
    paint.mix(laid, "sand", np.full(shape, 0.5))
    paint.texture(laid, paint.shade(0.5 * rough))
    hue = noise.fractal(generator, shape, slope=1.5)[..., None] > 0
    ponds = np.where(hue, paint.spectrum("silt") * 1.2, ground.water)
    paint.mix(laid, ponds, paint.soft(quilt > 0.55, 0.5))
    paint.mix(laid, np.array(view), 0.9 * paint.soft(quilt < -0.75, 0.6))
    _lay(view, laid, depth, 0.5 * rough)


def haul(
    generator: Generator,
    view: np.ndarray,
    stops: list[tuple[float, float]],
    ground: Ground,
) -> None:
    """Leads a road from each working to the next, and one out of the mine."""
    shape = view.shape[:2]
    angle = generator.uniform(0, 2 * np.pi)
    away = 2 * max(shape)
    out = stops[0][0] + away * np.sin(angle), stops[0][1] + away * np.cos(angle)
    bare = np.ones(shape, bool)
    for start, stop in zip([out, *stops], stops, strict=False):
        start, stop = np.array(start), np.array(stop)
        length = np.hypot(*(stop - start))
        along = np.linspace(0, 1, int(3 * length) + 2)[:, None]
        swing = 0.12 * min(length, 80) * generator.normal(0, 1, 2)
        waves = np.sin(np.pi * along * np.array([1, 3 + length // 60]))
        across = (stop - start)[::-1] * (1, -1) / max(length, 1)
        line = start + along * (stop - start) + (waves @ swing)[:, None] * across
        at = np.round(line).astype(int)
        at = at[((at >= 0) & (at < shape)).all(axis=1)]
        bare[tuple(at.T)] = False
    if bare.all():
        return
    distance = ndimage.distance_transform_edt(bare).astype(np.float32)
    paint.mix(view, ground.rock * 1.12, 0.8 * paint.stroke(distance, 0.9))


DRAW = {
    "pit": pit,
    "dump": dump,
    "tailings": tailings,
    "stripped": stripped,
    "plant": plant,
    "placer": placer,
}
"""How each kind of working is drawn."""
