"""Where the windows of each split lie: on the ground, and on pictures of scenes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from minenet.assess import place_map, plotting, thumbnails
from minenet.assess.plotting import SPLITS
from minenet.data.prepared import Prepared
from minenet.data.scenes import Scene
from minenet.geo.bands import Stack

PANELS = 24
"""Pictures of scenes on a page: more would be too small to look at."""

OUTLINED = 2500
"""Windows of a scene that are outlined one by one; more would hide it."""

TINT = 0.18
"""Opacity of a split's colour over a picture."""

MAP = 5.5
"""Width of the map in inches."""

SIDES = {1: 6.5, 2: 3.6, 3: 3.0, 4: 2.4}
"""Of a picture in inches, by the number of columns."""


def draw(path: Path, prepared: Prepared) -> None:
    """Draws a map of all scenes that lie on the ground, and pictures of a few.

    The pictures are tinted where windows of a split lie; what has no tint is in none.
    Memory depends on the number of windows, not on the size of scenes.

    Args:
        path: Of the PNG.
        prepared: Scenes and the index.
    """
    index, found = prepared.index, {scene.name: scene for scene in prepared.scenes}
    grids = {name: found[name].grid for name in index.scene.unique()}
    located = place_map.places(grids, index)
    shown = chosen(index, PANELS)
    mapped = located.scene.nunique() > 1
    wide = _columns(len(shown))
    high = -(-len(shown) // wide)
    # Cells have one area, whichever way scenes are longer.
    tall = float(np.median([found[name].height / found[name].width for name in shown]))
    tall = float(np.clip(tall, 0.25, 4)) ** 0.5
    side = SIDES.get(wide, 1.8)
    size = [wide * side / tall + mapped * MAP, high * (side * tall + 0.25) + 0.6]
    figure = plotting.pyplot().figure(
        figsize=(max(size[0], 6.5), max(size[1], 0.8 * MAP * mapped)),
        layout="constrained",
    )
    widths = [MAP] * mapped + [side / tall] * wide
    grid = figure.add_gridspec(high, mapped + wide, width_ratios=widths)
    if mapped:
        place_map.draw(figure.add_subplot(grid[:, 0]), grids, index, located)
    for i, name in enumerate(shown):
        axis = figure.add_subplot(grid[i // wide, i % wide + mapped])
        rows = index[index.scene == name]
        _draw_scene(axis, found[name], rows, prepared.stack, side=round(130 * side))
        axis.set_title(_short(name, round(11 * side)), fontsize=8)
    figure.legend(
        handles=_legend(index),
        loc="outside upper left",
        ncols=3,
        frameon=False,
        fontsize=9 if size[0] > 8 else 8,
    )
    if len(shown) < len(grids):
        text = f"{len(shown)} of {len(grids):,} scenes pictured"
        figure.text(0.995, 0.99, text, ha="right", va="top", fontsize=9)
    plotting.save(figure, path)


def chosen(index: pd.DataFrame, count: int) -> list[str]:
    """Returns up to `count` scenes, of each split as many as is its share of scenes."""
    order = {split: i for i, split in enumerate(SPLITS)}
    rank = index.split.map(order).groupby(index.scene).min()
    names = sorted(rank.index, key=lambda name: (rank[name], name))
    if len(names) > count:
        places = np.linspace(0, len(names) - 1, count).round().astype(int)
        names = [names[place] for place in places]
    return names


def painted(
    rows: pd.DataFrame, *, height: int, width: int, shape: tuple[int, int]
) -> np.ndarray:
    """Returns the number of the split at each pixel of a picture, -1 where none is.

    Args:
        rows: The windows of a scene.
        height: Of the scene in pixels.
        width: Of the scene in pixels.
        shape: Of the picture.
    """
    numbers = {split: i for i, split in enumerate(SPLITS)}
    found = np.full(shape, -1, np.int8)
    down, right = shape[0] / height, shape[1] / width
    for row in rows.itertuples():
        top, left = max(row.row, 0) * down, max(row.col, 0) * right
        bottom, stop = (row.row + row.height) * down, (row.col + row.width) * right
        here = np.s_[round(top) : round(bottom), round(left) : round(stop)]
        found[here] = numbers[row.split]
    return found


def _draw_scene(
    axis: Any, scene: Scene, rows: pd.DataFrame, stack: Stack, *, side: int
) -> None:
    """A picture of a scene, tinted by split, its windows outlined if they are few."""
    plot = plotting.pyplot()
    picture = thumbnails.read(scene, stack, side=side)
    splits = painted(
        rows, height=scene.height, width=scene.width, shape=picture.shape[:2]
    )
    colours = np.array([plot.matplotlib.colors.to_rgb(c) for c in SPLITS.values()])
    tint = np.dstack([colours[splits], np.where(splits < 0, 0, TINT)])
    extent = (0, scene.width, scene.height, 0)
    axis.imshow(0.85 * picture + 0.15, extent=extent, interpolation="nearest")
    axis.imshow(tint, extent=extent, interpolation="nearest")
    if len(rows) <= OUTLINED:
        squares = [
            plot.Rectangle((row.col, row.row), row.width, row.height)
            for row in rows.itertuples()
        ]
        axis.add_collection(
            plot.matplotlib.collections.PatchCollection(
                squares,
                facecolor="none",
                edgecolor=[SPLITS[split] for split in rows.split],
                linewidth=0.7,
            )
        )
    axis.set(xlim=(0, scene.width), ylim=(scene.height, 0))
    axis.set_aspect("equal")
    axis.axis("off")


def _columns(count: int) -> int:
    return count if count <= 3 else min(6, math.ceil(math.sqrt(count * 1.4)))


def _legend(index: pd.DataFrame) -> list[Any]:
    patch = plotting.pyplot().matplotlib.patches.Patch
    found = []
    for split, colour in SPLITS.items():
        rows = index[index.split == split]
        scenes = rows.scene.nunique()
        if scenes:
            text = f"{split}: {len(rows):,} windows"
            if index.scene.nunique() > 1:
                text += f" in {scenes:,} scene{'' if scenes == 1 else 's'}"
            found.append(patch(color=colour, label=text))
    return found


def _short(name: str, length: int) -> str:
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}…{name[-half:]}"
