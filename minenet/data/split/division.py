"""The index divided into splits, by what the user asked and by where scenes lie."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from minenet.data.scenes import Scene
from minenet.data.split import footprints, splits
from minenet.geo.grids import Grid
from minenet.geo.raster import RasterInfo
from minenet.types import InputError

SHARES = (0.6, 0.2, 0.2)
CHIPS_A_BLOCK = 4
WHOLE = ("random", "group")
GIVEN = ("folder", "column")
WAYS = (*WHOLE, *GIVEN, "place", "block")
TRAIN, VALIDATION, TEST = range(3)


def divide(
    scenes: Sequence[Scene],
    infos: Mapping[str, RasterInfo | Grid],
    index: pd.DataFrame,
    *,
    stride: int,
    by: str = "random",
    shares: Sequence[float] = SHARES,
    block_m: float | None = None,
    buffer_m: float = 0.0,
    folds: int = 0,
    fold: int = 0,
    repeat: int = 0,
    held_out: Sequence[str] = (),
    stratify: bool = True,
    seed: int = 0,
) -> tuple[pd.DataFrame, int]:
    """Returns the index with columns `group`, `split` and `reach`.

    "random" and "group" deal out whole scenes and groups, and scenes that overlap on
    the ground stay together. "block" deals out squares of ground, and drops windows
    that touch squares of several splits. "place" tests on whole groups, such as the
    scenes of a country, and deals out the scenes of all others for training and
    validation. "folder" and "column" take the splits that scenes came with.

    Args:
        scenes: with the group and split they were found with.
        infos: of each scene's first image, or its grid, by the scene's name.
        index: windows of all scenes, as `chips.index` lists them.
        stride: distance of windows; half of it is the farthest a window may move.
        by: one of `WAYS`.
        shares: of train, validation and test.
        block_m: side of a block, in pixels without a CRS; four windows if None.
        buffer_m: least distance between windows of different splits, in pixels without
            a CRS; windows that are nearer are dropped, those that train first.
        folds: deals out this many folds in place of `shares`: one tests, the next
            validates, the others train.
        fold: which fold tests, from 0; which of the sorted groups, for "place".
        repeat: number of another draw with the same seed.
        held_out: groups that test, for "place"; the group number `fold` if empty.
        stratify: whether splits get their shares of each class too, not of pixels only.
        seed: decides which unit goes where.

    Returns:
        The index without the windows that were dropped, and their number.

    Raises:
        InputError: an unknown way; scenes without the split they should have; too few
            units for the splits; a split that gets no window.
    """
    _check(by, shares, block_m, buffer_m, folds)
    if repeat:
        seed = int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])
    if folds:
        deal = functools.partial(
            splits.cross_validate, folds=folds, fold=fold, seed=seed
        )
    else:
        deal = functools.partial(splits.assign, shares=shares, seed=seed)
    named = {scene.name: scene for scene in scenes}
    groups = index.scene.map({name: scene.group for name, scene in named.items()})
    index = index.assign(group=groups, reach=stride // 2)
    sizes = _quantities(index, stratify)
    if by == "block":
        found, index["reach"] = _blocks(named, infos, index, sizes, deal, block_m)
        expected = {TRAIN, VALIDATION, TEST} if folds else set(np.flatnonzero(shares))
    else:
        if by in GIVEN:
            split_of = _given(named, infos, index, by)
        elif by in WHOLE:
            split_of = _whole(named, infos, index, sizes, deal)
        else:
            held = _held_out(index, held_out, fold)
            deal = functools.partial(splits.assign, shares=(*shares[:2], 0), seed=seed)
            split_of = _places(named, infos, index, sizes, deal, held)
        found = index.scene.map(split_of).to_numpy()
        expected = set(found.tolist())
    if buffer_m or by == "place":
        found, index["reach"] = _apart(infos, index, found, buffer_m)
    keep = found >= 0
    if missing := expected - set(found.tolist()):
        raise InputError(
            f"split: no window for {splits.NAMES[min(missing)]}, {(~keep).sum()} lie "
            "on borders of blocks or too near to another split; choose another "
            "split.block_m, split.buffer_m, split.seed or chip_size"
        )
    index = index.assign(split=np.array(splits.NAMES)[found])[keep]
    return index.reset_index(drop=True), int((~keep).sum())


def block_side_m(scenes: Sequence[Scene], index: pd.DataFrame) -> float:
    """Returns the side in metres of a block that holds a few windows each way."""
    seen = set(index.scene)
    gsd = [scene.gsd_m or 1.0 for scene in scenes if scene.name in seen]
    return CHIPS_A_BLOCK * int(index.height.iloc[0]) * float(np.median(gsd))


def check(
    keywords: Mapping[str, object],
    *,
    group_column: str | None,
    split_column: str | None,
) -> None:
    """Raises `InputError` for a keyword of `divide` that is none, or lacks a column.

    Args:
        keywords: as the user gave them.
        group_column: of the scenes' table, or None.
        split_column: likewise.
    """
    parameters = inspect.signature(divide).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    known.remove("stride")
    for key in keywords:
        if key not in known:
            raise InputError(f"split.{key}: no such key; it has {', '.join(known)}")
    by = keywords.get("by")
    if by in ("group", "place") and not group_column:
        raise InputError(f"split.by: {by!r} needs a table and group_column")
    if by == "column" and not split_column:
        raise InputError(f"split.by: {by!r} needs a table and split_column")


def _check(by, shares, block_m, buffer_m, folds) -> None:
    if by not in WAYS:
        raise InputError(f"split.by: {by!r}, expected one of {', '.join(WAYS)}")
    splits.check(shares)
    if block_m is not None and not block_m > 0:
        raise InputError(f"split.block_m: {block_m}, expected metres above 0")
    if not 0 <= buffer_m < np.inf:
        raise InputError(f"split.buffer_m: {buffer_m}, expected metres, 0 or above")
    if folds and by not in (*WHOLE, "block"):
        raise InputError(
            f"split.folds: {folds}, but split.by={by!r} says itself what tests; choose "
            "one of random, group, block, or leave split.folds at 0"
        )


def _given(named, infos, index, by) -> dict[str, int]:
    for name, scene in named.items():
        if scene.split is None:
            where = "folder of its path" if by == "folder" else "split_column"
            raise InputError(
                f"split.by: {by!r}, but no {where} tells the split of scene {name!r}; "
                "the words are train, validation and test"
            )
    given = {name: scene.split for name, scene in named.items()}
    names = index.scene.unique().tolist()
    units = _merged(named, infos, names, names)
    for unit in np.unique(units):
        together = [name for name, u in zip(names, units, strict=True) if u == unit]
        if len({given[name] for name in together}) > 1:
            logging.getLogger(__name__).warning(
                "scenes %s overlap on the ground but were given to different splits: "
                "scores will flatter the model",
                ", ".join(together[:4]),
            )
    return {name: splits.NAMES.index(split) for name, split in given.items()}


def _whole(named, infos, index, sizes, deal) -> dict[str, int]:
    names = index.scene.unique().tolist()
    units = _merged(named, infos, names, [named[name].group for name in names])
    unit_of = dict(zip(names, units.tolist(), strict=True))
    total = sizes.groupby(index.scene.map(unit_of)).sum().sort_index()
    found = deal(total.to_numpy())
    return {name: int(found[unit]) for name, unit in unit_of.items()}


def _held_out(index, held_out, fold) -> set[str]:
    places = sorted(index.group.unique().tolist())
    if not held_out and not 0 <= fold < len(places):
        raise InputError(
            f"split.fold: {fold}, expected 0 to {len(places) - 1} for {len(places)} "
            "groups"
        )
    held = {str(each) for each in held_out} or {places[fold]}
    if unknown := sorted(held - set(places)):
        raise InputError(
            f"split.held_out: no group {', '.join(unknown)}; there are "
            f"{', '.join(places[:12])}"
        )
    if held == set(places):
        raise InputError("split.held_out: all groups, so none is left to train on")
    return held


def _places(named, infos, index, sizes, deal, held) -> dict[str, int]:
    rest = ~index.group.isin(held)
    alone = {name: scene for name, scene in named.items() if scene.group not in held}
    alone = {n: dataclasses.replace(scene, group=n) for n, scene in alone.items()}
    found = _whole(alone, infos, index[rest], sizes[rest], deal)
    return {name: found.get(name, TEST) for name in named}


def _blocks(named, infos, index, sizes, deal, block_m):
    """The split of every window, -1 on a border, and how far each may move."""
    block_m = block_m or block_side_m(list(named.values()), index)
    boxes = footprints.of_windows(infos, index)
    blocks = splits.Blocks(boxes, sizes.to_numpy(), block_m=block_m, deal=deal)
    found = blocks.of(boxes)
    reach = np.zeros(len(index), int)
    for farther in _steps(index):
        same = blocks.of(footprints.of_windows(infos, index, grow=farther)) == found
        reach[same & (found >= 0)] = farther
    return found, reach


def _apart(infos, index, found, buffer_m):
    """Drops windows too near to another split, and shortens how far others may move."""
    # Neighbours share an edge: without a buffer half a pixel between them is enough.
    slack = 0 if buffer_m else -0.5

    def outlines(grow):
        return footprints.outlines(infos, index, grow=grow + slack)

    still, reach = outlines(0), np.zeros(len(index), int)
    found = np.where(splits.keep_apart(found, still, buffer_m=buffer_m), found, -1)
    moves = found == TRAIN
    for farther in _steps(index):
        near = outlines(farther)[moves]
        fine = splits.apart(near, still[found > TRAIN], buffer_m=buffer_m)
        fine &= index.reach.to_numpy()[moves] >= farther
        reach[np.flatnonzero(moves)[fine]] = farther
    return found, np.where(moves, reach, index.reach)


def _steps(index: pd.DataFrame) -> list[int]:
    """How far windows may be tried to move: an eighth, a fourth, half of the stride."""
    most = int(index.reach.max())
    return sorted({most // 4, most // 2, most} - {0})


def _quantities(index: pd.DataFrame, stratify: bool) -> pd.DataFrame:
    """What every split should have its share of: pixels, and area of each class."""
    shares = [c for c in index.columns if c.startswith("share_") and c != "share_0"]
    return index[["valid", *shares] if stratify else ["valid"]]


def _merged(named, infos, names, units) -> np.ndarray:
    """Units in which scenes that overlap by a pixel or more are together."""
    rims = [0.5 * (named[name].gsd_m or 1.0) for name in names]
    boxes = footprints.of_scenes(infos, names)
    return splits.merge_overlapping(boxes, units, rim=rims)
