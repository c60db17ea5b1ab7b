"""Splits that do not leak: which windows train, which choose, which judge.

What may not part (a scene, a group, a block of ground, scenes that overlap) is a unit,
and units are dealt to splits so that each gets its share of pixels and of every class.
All functions are pure: numbers in, names of splits out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from minenet.data.split import distances
from minenet.types import InputError

NAMES = ("train", "validation", "test")

Deal = Callable[[np.ndarray], np.ndarray]
"""From quantities `[N, Q]` of units to the index of the split of each, `[N]`."""


def assign(sizes: np.ndarray, *, shares: Sequence[float], seed: int) -> np.ndarray:
    """Deals units to the splits so that each quantity comes out near its share.

    Greedy after Sechidis et al. 2011 (iterative stratification): large units first, in
    an order that the seed draws among alike ones, each to the split that lies farthest
    below its shares. As long as units suffice, every split gets some of every quantity.

    Args:
        sizes: `[N, Q]`, how much of each quantity (pixels, area of a class) a unit has.
        shares: of each split; 0 for one that shall stay empty.
        seed: draws the order.

    Returns:
        `[N]` index of the split.

    Raises:
        InputError: fewer units than splits.

    >>> np.bincount(assign(np.ones((10, 1)), shares=(0.6, 0.2, 0.2), seed=0)).tolist()
    [6, 2, 2]
    """
    wanted = np.asarray(shares, float) / np.sum(shares)
    wants = np.flatnonzero(wanted)
    if len(sizes) < len(wants):
        raise InputError(
            f"split: {len(sizes)} scenes, groups or blocks cannot fill {len(wants)} "
            'splits; add scenes, or use split.by="block" with a smaller split.block_m'
        )
    sizes = np.asarray(sizes, float)
    sizes = sizes / np.maximum(sizes.sum(0), 1e-12)
    # Rarest first: what few units have must not find its splits full.
    rare = np.argsort((sizes > 0).sum(0), kind="stable")
    largest = np.round(4 * np.log2(np.maximum(sizes.max(1), 1e-9)))
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-largest[order], kind="stable")]
    got, found = np.zeros((len(wanted), sizes.shape[1])), np.zeros(len(sizes), int)
    left = (sizes > 0).sum(0)
    filled = np.zeros(len(wanted), bool)
    for done, unit in enumerate(order):
        size, allowed = sizes[unit], wants
        for quantity in rare[size[rare] > 0]:
            lacking = [s for s in allowed if got[s, quantity] == 0]
            if lacking and left[quantity] <= len(lacking):
                allowed = lacking
        empty = [s for s in allowed if not filled[s]]
        if empty and len(order) - done <= len(wants) - filled[wants].sum():
            allowed = empty
        # How much χ² of what was dealt against what was wanted grows.
        change = (size * (2 * (got - wanted[:, None]) + size)).sum(1)
        cost = {s: change[s] / wanted[s] for s in allowed}
        split = min(cost, key=cost.get)
        got[split] += size
        found[unit], filled[split] = split, True
        left -= size > 0
    return found


def cross_validate(
    sizes: np.ndarray, *, folds: int, fold: int, seed: int
) -> np.ndarray:
    """Deals units to folds of equal shares: one tests, the next validates.

    Over all folds each unit tests once. Which units form a fold does not depend on
    `fold`.

    Args:
        sizes: `[N, Q]` as in `assign`.
        folds: how many, 3 or more.
        fold: which one tests, from 0.
        seed: draws the folds.

    Returns:
        `[N]` index of the split.

    >>> found = cross_validate(np.ones((4, 1)), folds=4, fold=1, seed=0)
    >>> sorted(found.tolist())
    [0, 0, 1, 2]
    """
    if folds < 3 or not 0 <= fold < folds:
        raise InputError(
            f"split.folds: {folds}, split.fold: {fold}, expected 3 folds or more (one "
            "tests, one validates, the rest trains) and a fold from 0 on"
        )
    found = assign(sizes, shares=np.ones(folds), seed=seed)
    roles = np.zeros(folds, int)
    roles[fold], roles[(fold + 1) % folds] = 2, 1
    return roles[found]


def keep_apart(
    found: np.ndarray, outlines: np.ndarray, *, buffer_m: float
) -> np.ndarray:
    """Tells which windows keep their distance from those of other splits.

    What judges stays whole: of two windows too near to each other the one that trains
    is left out, or else the one that validates.

    Args:
        found: `[N]` index of the split, -1 for windows that are left out already.
        outlines: `[N]` polygons of windows, see `footprints.outlines`.
        buffer_m: as in `apart`.

    Returns:
        `[N]` bool, false where a window is left out.
    """
    kept = found >= 0
    for split in range(len(NAMES) - 2, -1, -1):
        here, later = found == split, (found > split) & kept
        kept[here] = apart(outlines[here], outlines[later], buffer_m=buffer_m)
    return kept


def apart(outlines: np.ndarray, others: np.ndarray, *, buffer_m: float) -> np.ndarray:
    """Tells of each polygon whether it lies `buffer_m` or more from all others.

    With a buffer of 0, what touches counts as too near: shrink windows by less than a
    pixel where neighbours are welcome.
    """
    away, _ = distances.nearest(outlines, others)
    return away >= buffer_m if buffer_m else away > 0


def merge_overlapping(
    boxes: np.ndarray, units: Sequence[int], *, rim: np.ndarray | float | None = None
) -> np.ndarray:
    """Returns units `[N]` in which no two boxes of different units overlap.

    Args:
        boxes: `[N, 4]` of scenes: left, bottom, right, top.
        units: `[N]` what must stay together already.
        rim: of each box, what does not count; a thousandth of its sides if None.
    """
    # Neighbours share an edge, and rounding makes of it a sliver.
    sides = boxes[:, 2:] - boxes[:, :2]
    rim = 1e-3 * sides if rim is None else np.reshape(rim, (-1, 1))
    shrunk = np.concatenate([boxes[:, :2] + rim, boxes[:, 2:] - rim], axis=1)
    tree = shapely.STRtree(shapely.box(*shrunk.T))
    a, b = tree.query(tree.geometries, predicate="intersects")
    firsts = {unit: i for i, unit in reversed(list(enumerate(units)))}
    together = [firsts[unit] for unit in units]
    a, b = np.append(a, np.arange(len(units))), np.append(b, together)
    links = coo_array((np.ones(len(a)), (a, b)), shape=(len(units), len(units)))
    return connected_components(links, directed=False)[1]


class Blocks:
    """Square blocks of ground, each in one split.

    Args:
        boxes: `[N, 4]` of windows, in metres.
        sizes: `[N, Q]` quantities in each window.
        block_m: side of a block.
        deal: from quantities of blocks to splits, as `assign` is.
    """

    def __init__(self, boxes, sizes, *, block_m, deal: Deal):
        self.block_m = block_m
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        cells = np.floor(centres / block_m).astype(np.int64)
        blocks, of = np.unique(cells, axis=0, return_inverse=True)
        total = np.zeros((len(blocks), sizes.shape[1]))
        np.add.at(total, of.ravel(), sizes)
        found = deal(total)
        self._split = dict(
            zip(map(tuple, blocks.tolist()), found.tolist(), strict=True)
        )
        # A block at an edge may hold no centre: it goes with the first that reaches it.
        for touched, unit in zip(
            self._touched(boxes), of.ravel().tolist(), strict=True
        ):
            for block in touched:
                self._split.setdefault(block, int(found[unit]))

    def of(self, boxes: np.ndarray) -> np.ndarray:
        """Returns the split of each box `[N]`, -1 where it touches several."""
        splits = [
            {self._split[block] for block in touched if block in self._split}
            for touched in self._touched(boxes)
        ]
        return np.array([s.pop() if len(s) == 1 else -1 for s in splits], int)

    def _touched(self, boxes: np.ndarray) -> Iterator[list[tuple[int, int]]]:
        cells = np.floor(boxes / self.block_m).astype(np.int64).tolist()
        for left, bottom, right, top in cells:
            columns, rows = range(left, right + 1), range(bottom, top + 1)
            yield [(column, row) for column in columns for row in rows]


def check(shares: Sequence[float]) -> None:
    """Raises `InputError` where shares are not those of the three splits."""
    wanted = np.asarray(shares, float)
    if wanted.shape != (3,) or (wanted < 0).any() or not wanted[0] > 0:
        raise InputError(
            f"split.shares: {tuple(shares)}, expected three numbers for train, "
            "validation and test, the first above 0, none below"
        )
