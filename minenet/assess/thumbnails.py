"""Small pictures of scenes, whatever their size and the grids of their images."""

from __future__ import annotations

import dataclasses

import numpy as np
from affine import Affine

from minenet.assess import figures
from minenet.data.scenes import Scene
from minenet.geo import bands, preview
from minenet.geo.bands import Stack
from minenet.geo.grids import Grid


def read(scene: Scene, stack: Stack, *, side: int) -> np.ndarray:
    """Returns a picture `[h, w, 3]` in 0..1 of a scene, its longer side `side` at most.

    Args:
        scene: Prepared; of the bands that it has, the visible ones are shown.
        stack: Its bands.
        side: In pixels.
    """
    present = [k for k, (i, _) in enumerate(stack.picks) if scene.images[i]]
    names = [stack.names[k] for k in present]
    shown = [present[place] for place in figures.visible(names)]
    picks = [stack.picks[k] for k in shown]
    if scene.aligned:
        part = dataclasses.replace(
            stack,
            names=tuple(stack.names[k] for k in shown),
            picks=tuple(picks),
            scales=(),
            offsets=(),
            nodata=tuple(stack.nodata[k] for k in shown if stack.nodata),
            resampling=("average",) * len(scene.images),
        )
        image = bands.read(scene.images, part, None, grid=_shrunk(scene.grid, side))
    else:
        image = np.dstack(
            [preview.read(scene.images[i], bands=[b], side=side) for i, b in picks]
        )
        for i, k in enumerate(shown):
            if stack.nodata and stack.nodata[k] is not None:
                image[..., i][image[..., i] == stack.nodata[k]] = np.nan
    return figures.true_colour(image, [stack.names[k] for k in shown])


def _shrunk(grid: Grid, side: int) -> Grid:
    by = max(1.0, max(grid.height, grid.width) / side)
    height, width = max(1, round(grid.height / by)), max(1, round(grid.width / by))
    step = Affine.scale(grid.width / width, grid.height / height)
    return Grid(grid.crs, grid.affine @ step, height, width)
