"""Where the windows of each split lie: on the ground, and on pictures of scenes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from minenet.assess import figures, plotting
from minenet.data import chips, footprints
from minenet.data.prepared import Prepared
from minenet.data.scenes import Scene
from minenet.geo import preview, raster
from minenet.geo.bands import Stack
from minenet.geo.raster import RasterInfo

COLOURS = {"train": "#0072b2", "validation": "#e69f00", "test": "#cc79a7"}
"""Of the splits, told apart by every eye (Okabe and Ito 2008)."""

PANELS = 24
"""Pictures of scenes on a page: more would be too small to look at."""

OUTLINED = 2500
"""Windows of a scene that are outlined one by one; more would hide it."""

TINT = 0.27
"""Opacity of a split's colour over a picture."""

MAP = 5.5
"""Width of the map in inches."""

DEGREES = "EPSG:4326"


def draw(path: Path, prepared: Prepared) -> None:
    """Draws a map of all scenes, if they lie on the ground, and pictures of a few.

    The pictures are tinted where windows of a split lie; what has no tint is in none.
    Memory depends on the number of windows, not on the size of scenes.

    Args:
        path: Of the PNG.
        prepared: Scenes and the index.
    """
    index = prepared.index
    found = {scene.name: scene for scene in prepared.scenes}
    infos = {n: raster.info(found[n].images[0]) for n in index.scene.unique()}
    located = places(infos, index)
    shown = chosen(index, PANELS)
    wide = _columns(len(shown))
    high = -(-len(shown) // wide)
    side = {1: 6.5, 2: 3.6, 3: 3.2, 4: 2.4}.get(wide, 1.75)
    mapped = located.scene.nunique() > 1
    size = [side * wide, (side + 0.25) * high + 0.6]
    if mapped:
        size = [size[0] + MAP, max(size[1], 0.7 * MAP)]
    figure = plotting.pyplot().figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(
        high, wide + mapped, width_ratios=[MAP / side] * mapped + [1] * wide
    )
    if mapped:
        _draw_map(figure.add_subplot(grid[:, 0]), located)
    for i, name in enumerate(shown):
        axis = figure.add_subplot(grid[i // wide, i % wide + mapped])
        rows = index[index.scene == name]
        _draw_scene(axis, found[name], rows, prepared.stack, inches=side)
        axis.set_title(_short(name, round(10 * side)), fontsize=8)
    figure.legend(
        handles=_legend(index), loc="outside upper left", ncols=3, frameon=False
    )
    if len(shown) < len(infos):
        text = f"{len(shown)} of {index.scene.nunique():,} scenes pictured"
        figure.text(0.995, 0.985, text, ha="right", va="top", fontsize=9)
    plotting.save(figure, path)


def places(infos: Mapping[str, RasterInfo], index: pd.DataFrame) -> pd.DataFrame:
    """Returns where the windows of each split of each scene lie on the ground.

    Args:
        infos: Of each scene's first image, by the scene's name.
        index: Windows, with their split.

    Returns:
        Columns `scene, split, windows, lon, lat`: how many there are, and the middle of
        them in degrees; scenes without a CRS are left out.
    """
    known = [name for name, info in infos.items() if info.crs is not None]
    index = index[index.scene.isin(known)]
    middles = index.assign(row=index.row + index.height / 2).assign(
        col=index.col + index.width / 2
    )
    by = middles.groupby(["scene", "split"], sort=False)
    table = by.agg(row=("row", "mean"), col=("col", "mean"), windows=("row", "size"))
    table = table.reset_index().assign(height=0, width=0)
    if table.empty:
        return pd.DataFrame(columns=["scene", "split", "windows", "lon", "lat"])
    # A window of no extent is a point, whichever CRS it comes from.
    points = footprints.outlines(infos, table, plane=DEGREES)
    at = np.array([point.exterior.coords[0][:2] for point in points])
    return table[["scene", "split", "windows"]].assign(lon=at[:, 0], lat=at[:, 1])


def chosen(index: pd.DataFrame, count: int) -> list[str]:
    """Returns up to `count` scenes, of each split as many as is its share of scenes."""
    order = {split: i for i, split in enumerate(COLOURS)}
    rank = index.split.map(order).groupby(index.scene).min()
    names = sorted(rank.index, key=lambda name: (rank[name], name))
    if len(names) > count:
        places = np.linspace(0, len(names) - 1, count).round().astype(int)
        names = [names[place] for place in places]
    return names


def painted(
    rows: pd.DataFrame, *, height: int, width: int, shape: tuple[int, int]
) -> np.ndarray:
    """Returns the number of the split at each pixel of a picture, -1 where there is none.

    Args:
        rows: The windows of a scene.
        height: Of the scene in pixels.
        width: Of the scene in pixels.
        shape: Of the picture.
    """
    numbers = {split: i for i, split in enumerate(COLOURS)}
    found = np.full(shape, -1, np.int8)
    down, right = shape[0] / height, shape[1] / width
    for row in rows.itertuples():
        top, left = max(row.row, 0) * down, max(row.col, 0) * right
        bottom, stop = (row.row + row.height) * down, (row.col + row.width) * right
        here = np.s_[round(top) : round(bottom), round(left) : round(stop)]
        found[here] = numbers[row.split]
    return found


def _draw_map(axis: Any, located: pd.DataFrame) -> None:
    """A dot for each split of each scene; of several splits, a ring in a ring."""
    several = located.groupby("scene").split.transform("size") > 1
    dot = float(np.clip(6000 / len(located), 10, 60))
    for i, (split, colour) in enumerate(COLOURS.items()):
        rows = located[located.split == split]
        scale = np.where(several[rows.index], (3.0, 1.3, 0.35)[i], 1.0)
        axis.scatter(
            rows.lon,
            rows.lat,
            s=dot * scale,
            color=colour,
            edgecolor="white",
            linewidth=0.4,
            zorder=2 + i,
        )
    middle = (located.lat.min() + located.lat.max()) / 2
    axis.set_aspect(1 / max(math.cos(math.radians(middle)), 0.1), adjustable="datalim")
    axis.margins(0.08)
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.set(xlabel="longitude, °", ylabel="latitude, °")
    axis.ticklabel_format(useOffset=False)


def _draw_scene(
    axis: Any, scene: Scene, rows: pd.DataFrame, stack: Stack, *, inches: float
) -> None:
    """A picture of a scene, tinted by split, its windows outlined if they are few."""
    plot = plotting.pyplot()
    picture = thumbnail(scene, stack, side=round(130 * inches))
    splits = painted(
        rows, height=scene.height, width=scene.width, shape=picture.shape[:2]
    )
    colours = np.array([plot.matplotlib.colors.to_rgb(c) for c in COLOURS.values()])
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
                edgecolor=[COLOURS[split] for split in rows.split],
                linewidth=0.7,
            )
        )
    axis.set(xlim=(0, scene.width), ylim=(scene.height, 0))
    axis.set_aspect("equal")
    axis.axis("off")


def thumbnail(scene: Scene, stack: Stack, *, side: int) -> np.ndarray:
    """Returns a picture `[h, w, 3]` in 0..1 of the first of a scene's images."""
    bands = [
        (name, band)
        for name, (image, band) in zip(stack.names, stack.picks, strict=True)
        if image == 0
    ]
    names = [name for name, _ in bands] or [""]
    picks = [band for _, band in bands] or [1]
    return figures.true_colour(
        preview.read(scene.images[0], bands=picks, side=side), names
    )


def _columns(count: int) -> int:
    return count if count <= 3 else min(6, math.ceil(math.sqrt(count * 1.4)))


def _legend(index: pd.DataFrame) -> list[Any]:
    patch = plotting.pyplot().matplotlib.patches.Patch
    by = index.groupby("split").scene.agg(["size", "nunique"])
    return [
        patch(
            color=colour,
            label=f"{split}: {by['size'][split]:,} windows in "
            f"{by['nunique'][split]:,} scenes",
        )
        for split, colour in COLOURS.items()
        if split in by.index
    ]


def _short(name: str, length: int) -> str:
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}…{name[-half:]}"
