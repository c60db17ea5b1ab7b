"""The index divided into splits, by what the user asked and by where scenes lie."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from minenet.data import footprints, splits
from minenet.data.scenes import Scene
from minenet.geo.raster import RasterInfo
from minenet.types import InputError

SHARES = (0.6, 0.2, 0.2)
CHIPS_A_BLOCK = 4
WHOLE = ("random", "group")
GIVEN = ("folder", "column")
WAYS = (*WHOLE, *GIVEN, "block")


def divide(
    scenes: Sequence[Scene],
    infos: Mapping[str, RasterInfo],
    index: pd.DataFrame,
    *,
    stride: int,
    by: str = "random",
    shares: Sequence[float] = SHARES,
    block_m: float | None = None,
    seed: int = 0,
) -> tuple[pd.DataFrame, int]:
    """Returns the index with columns `group`, `split` and `reach`.

    "random" and "group" deal out whole scenes and groups, and scenes that overlap on
    the ground stay together. "block" deals out squares of ground, and drops windows
    that touch squares of several splits. "folder" and "column" take the splits that
    scenes came with.

    Args:
        scenes: with the group and split they were found with.
        infos: of each scene's first image, by the scene's name.
        index: windows of all scenes, as `chips.index` lists them.
        stride: distance of windows; half of it is the farthest a window may move.
        by: one of `WAYS`.
        shares: of train, validation and test.
        block_m: side of a block, in pixels without a CRS; four windows if None.
        seed: decides which unit goes where.

    Returns:
        The index without the windows that were dropped, and their number.

    Raises:
        InputError: an unknown way; scenes without the split they should have; too few
            units for the splits; a split that gets no window.
    """
    if by not in WAYS:
        raise InputError(f"split.by: {by!r}, expected one of {', '.join(WAYS)}")
    named = {scene.name: scene for scene in scenes}
    groups = index.scene.map({name: scene.group for name, scene in named.items()})
    index = index.assign(group=groups, reach=stride // 2)
    if by in GIVEN:
        index["split"] = index.scene.map(_given(named, index, infos, by))
        return index, 0
    if by in WHOLE:
        index["split"] = index.scene.map(_whole(named, index, infos, shares, seed))
        return index, 0
    found, reach = _blocks(named, index, infos, stride, shares, block_m, seed)
    keep = found >= 0
    index = index.assign(split=np.array(splits.NAMES)[found], reach=reach)[keep]
    for name, share in zip(splits.NAMES, shares, strict=True):
        if share > 0 and not (index.split == name).any():
            raise InputError(
                f"split: no window for {name}, {(~keep).sum()} lie on borders of "
                "blocks; choose another split.block_m, split.seed or chip_size"
            )
    return index.reset_index(drop=True), int((~keep).sum())


def _given(named, index, infos, by) -> dict[str, str]:
    for name, scene in named.items():
        if scene.split is None:
            where = "folder of its path" if by == "folder" else "split_column"
            raise InputError(
                f"split.by: {by!r}, but no {where} tells the split of scene {name!r}; "
                "the words are train, validation and test"
            )
    given = {name: scene.split for name, scene in named.items()}
    names = index.scene.unique().tolist()
    units = splits.merge_overlapping(_boxes(named, infos, names), names)
    for unit in np.unique(units):
        together = [name for name, u in zip(names, units, strict=True) if u == unit]
        if len({given[name] for name in together}) > 1:
            logging.getLogger(__name__).warning(
                "scenes %s overlap on the ground but were given to different splits: "
                "scores will flatter the model",
                ", ".join(together[:4]),
            )
    return given


def _whole(named, index, infos, shares, seed) -> dict[str, str]:
    names = index.scene.unique().tolist()
    groups = [named[name].group for name in names]
    units = splits.merge_overlapping(_boxes(named, infos, names), groups)
    unit_of = dict(zip(names, units.tolist(), strict=True))
    quantities = _quantities(index)
    sizes = quantities.groupby(index.scene.map(unit_of)).sum().sort_index()
    found = splits.assign(sizes.to_numpy(), shares=shares, seed=seed)
    return {name: splits.NAMES[found[unit]] for name, unit in unit_of.items()}


def _blocks(named, index, infos, stride, shares, block_m, seed):
    """The split of every window, -1 on a border, and how far each may move."""
    size = int(index.height.iloc[0])
    if block_m is None:
        gsd = [named[name].gsd_m or 1.0 for name in index.scene.unique()]
        block_m = CHIPS_A_BLOCK * size * float(np.median(gsd))
    if not block_m > 0:
        raise InputError(f"split.block_m: {block_m}, expected metres above 0")
    blocks = splits.Blocks(
        _window_boxes(named, infos, index, 0),
        _quantities(index).to_numpy(),
        block_m=block_m,
        shares=shares,
        seed=seed,
    )
    found = blocks.of(_window_boxes(named, infos, index, 0))
    reach = np.zeros(len(index), int)
    for farther in sorted({stride // 8, stride // 4, stride // 2} - {0}):
        same = blocks.of(_window_boxes(named, infos, index, farther)) == found
        reach[same & (found >= 0)] = farther
    return found, reach


def _quantities(index: pd.DataFrame) -> pd.DataFrame:
    """What every split should have its share of: pixels, and area of each class."""
    shares = [c for c in index.columns if c.startswith("share_") and c != "share_0"]
    return index[["valid", *shares]]


def _boxes(named, infos, names) -> np.ndarray:
    return np.concatenate(
        [
            footprints.boxes(
                infos[name], [[0, 0, named[name].height, named[name].width]], scene=i
            )
            for i, name in enumerate(names)
        ]
    )


def _window_boxes(named, infos, index, farther: int) -> np.ndarray:
    """Boxes of windows grown by pixels on each side, without what lies off a scene."""
    boxes = np.empty((len(index), 4))
    for i, (name, rows) in enumerate(
        index.groupby("scene", sort=False).indices.items()
    ):
        scene, part = named[name], index.iloc[rows]
        top = np.maximum(part.row - farther, 0)
        left = np.maximum(part.col - farther, 0)
        bottom = np.minimum(part.row + part.height + farther, scene.height)
        right = np.minimum(part.col + part.width + farther, scene.width)
        spans = np.stack([top, left, bottom - top, right - left], axis=1)
        boxes[rows] = footprints.boxes(infos[name], spans, scene=i)
    return boxes
