"""Scenes whose numbers cannot be in the units that a model was trained on."""

from __future__ import annotations

import numpy as np

from minenet.geo import bands
from minenet.geo.windows import Window, clip
from minenet.infer.bundle import Bundle
from minenet.infer.mosaic import Scene
from minenet.types import InputError

SIDE = 512
"""Of the window in the middle of a scene that is looked at, in pixels."""

FAR = 50.0
"""Normalised: typical numbers so far from those of training are of other units."""

FLAT = 1e-3
"""Normalised: a scene that differs so little within itself is of other units too."""


def check(bundle: Bundle, scene: Scene) -> None:
    """Raises `InputError` where most bands of a scene are in other units.

    A model makes some map of any numbers: of reflectance from 0 to 10 000 where it
    knows 0 to 1 a map without sense, and nothing else would tell.
    """
    row, col = (max(0, (n - SIDE) // 2) for n in (scene.grid.height, scene.grid.width))
    window = clip(Window(row, col, SIDE, SIDE), scene.grid.height, scene.grid.width)
    grid = scene.grid if scene.aligned else None
    image = bands.read(scene.images, scene.stack, window, grid=grid)
    norm, known, strange = bundle.normalizer, 0, []
    for c, name in enumerate(scene.stack.names):
        values = image[..., c][np.isfinite(image[..., c])]
        if not values.size:
            continue
        known += 1
        usual = (values - norm.offset[c]) / norm.scale[c]
        low, high = np.percentile(usual, [2, 98])
        if np.abs(np.median(usual)) > FAR or 0 < high - low < FLAT:
            strange.append((c, name, values))
    if 2 * len(strange) <= known:
        return
    c, name, values = strange[0]
    low, high = np.percentile(values, [2, 98])
    begin, end = norm.offset[c] - norm.scale[c], norm.offset[c] + norm.scale[c]
    raise InputError(
        f"{scene.path}: {name} holds {low:.4g} to {high:.4g}, but the model was "
        f"trained on numbers like {begin:.4g} to {end:.4g}; bring the scene to these "
        "units (gdal_calc, or train with config.data.scaled)"
    )
