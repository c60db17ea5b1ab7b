"""Which chips training sees how often, and what corrects for it afterwards.

Mines are rare, so chips that hold one are drawn more often than they occur. A score
over such draws is not that of the ground; divided by the chance with which each chip is
drawn it is again (Horvitz and Thompson 1952).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from affine import Affine

from minenet.data import chips
from minenet.geo import vector
from minenet.geo.grids import Grid
from minenet.geo.raster import RasterInfo
from minenet.types import InputError

CELLS = 16
"""Cells a side of a chip in which the area of hard polygons is counted."""

ERRORS = ("scene", "row", "col", "error")


class Shares(NamedTuple):
    """Shares of samples by the way they are drawn; the rest is drawn from all alike.

    Attributes:
        positive: from chips that hold a class, each as often as the others.
        foreground: by the area of classes in a chip.
        hard: by how hard a chip is.
    """

    positive: float = 0.0
    foreground: float = 0.0
    hard: float = 0.0


def weights(
    index: pd.DataFrame, shares: Shares, *, hard: np.ndarray | None = None
) -> dict[str, tuple[float, np.ndarray]]:
    """Returns for each way to draw its share and the probability `[N]` of each chip.

    Without a chip that holds a class, all are drawn alike.

    Args:
        index: the chips that are drawn from.
        shares: of the ways.
        hard: `[N]`, how hard each chip is, 0 or above.

    Raises:
        InputError: shares below 0 or above 1 in all; hard chips wanted and none told.
    """
    for name, share in shares._asdict().items():
        if not 0 <= share <= 1:
            raise InputError(f"{name}_share: {share}, expected 0 to 1")
    if sum(shares) > 1 + 1e-9:
        raise InputError(
            f"positive_share + foreground_share + hard_share: {sum(shares):g}, "
            "expected at most 1; the rest is drawn from all chips"
        )
    found = {
        "positive": (shares.positive, chips.positive(index).astype(float)),
        "foreground": (shares.foreground, _area(index)),
        "hard": (shares.hard, _told(hard, len(index), shares.hard)),
    }
    rest = 1 - sum(share for share, weight in found.values() if weight.any())
    found["uniform"] = (rest, np.ones(len(index)))
    return {
        way: (share, weight / weight.sum())
        for way, (share, weight) in found.items()
        if share > 1e-9 and weight.any()
    }


def add(
    index: pd.DataFrame,
    infos: Mapping[str, RasterInfo | Grid],
    *,
    positive_share: float = 0.0,
    foreground_share: float = 0.0,
    hard_share: float = 0.0,
    hard: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Returns the index with the column `inclusion`.

    For training chips it is the probability that a sample is drawn from each; chips of
    the other splits come once each, so theirs are alike.

    Args:
        index: divided.
        infos: of each scene's first image, or its grid.
        positive_share: see `Shares`, and the next two.
        foreground_share: by the area of classes.
        hard_share: by how hard chips are.
        hard: file that tells, see `hardness`.
    """
    shares = Shares(positive_share, foreground_share, hard_share)
    sizes = index.groupby("split").split.transform("size")
    chance = (1.0 / sizes).to_numpy(copy=True)
    trains = (index.split == "train").to_numpy()
    training = index[trains]
    told = hardness(hard, infos, training) if hard_share and hard else None
    if trains.any():
        chance[trains] = inclusion(training, shares, hard=told)
    return index.assign(inclusion=chance)


def inclusion(
    index: pd.DataFrame, shares: Shares, *, hard: np.ndarray | None = None
) -> np.ndarray:
    """Returns the probability `[N]` that a sample is drawn from each chip; sums to 1.

    To be kept as the column `inclusion` of the index.

    >>> index = pd.DataFrame({"share_0": [1.0, 0.5], "share_1": [0.0, 0.5]})
    >>> inclusion(index, Shares(positive=0.5)).tolist()
    [0.25, 0.75]
    """
    ways = weights(index, shares, hard=hard).values()
    return sum(share * chance for share, chance in ways)


def correction(inclusion: np.ndarray) -> np.ndarray:
    """Returns what each drawn chip counts, so that all chips count alike on average.

    A sum over draws weighted by it, divided by the number of draws, is on average the
    mean over all chips.

    Raises:
        InputError: a chip that is never drawn.

    >>> correction(np.array([0.25, 0.75])).round(3).tolist()
    [2.0, 0.667]
    """
    if not (inclusion > 0).all():
        raise InputError(
            f"inclusion: {int((inclusion <= 0).sum())} chips are never drawn, which no "
            "weight corrects; let the shares sum to less than 1"
        )
    return 1 / (len(inclusion) * inclusion)


def hardness(
    path: str | os.PathLike[str],
    infos: Mapping[str, RasterInfo],
    index: pd.DataFrame,
) -> np.ndarray:
    """Returns how hard each chip is `[N]`, as a file tells.

    Args:
        path: CSV of a model's errors with the columns `scene`, `row`, `col` and
            `error`, a row a chip; or polygons around what looks like a mine and is
            none.
        infos: of each scene's first image, by the scene's name.
        index: the chips.

    Raises:
        InputError: not such a file; chips that are not in the index; nothing hard.
    """
    if Path(path).suffix.lower() == ".csv":
        found = from_errors(path, index)
    else:
        found = from_polygons(path, infos, index)
    if not found.any():
        raise InputError(f"{path}: no chip is hard; give errors or polygons on scenes")
    return found


def from_errors(path: str | os.PathLike[str], index: pd.DataFrame) -> np.ndarray:
    """Returns the error `[N]` of each chip by a table, 0 where it has no row."""
    try:
        table = pd.read_csv(path, dtype={"scene": str}, keep_default_na=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a CSV table that can be read ({reason})") from (
            error
        )
    for column in ERRORS:
        if column not in table.columns:
            raise InputError(
                f"{path}: no column {column!r}; it has {', '.join(table.columns)}"
            )
    numbers = table[["row", "col", "error"]].apply(pd.to_numeric, errors="coerce")
    if not (np.isfinite(numbers).all(axis=None) and (numbers.error >= 0).all()):
        raise InputError(
            f"{path}: row, col and error must be numbers, no error below 0"
        )
    keys = [table.scene, numbers.row.astype(int), numbers.col.astype(int)]
    errors = numbers.error.groupby(keys).sum()
    chip = pd.MultiIndex.from_frame(index[["scene", "row", "col"]])
    if unknown := len(errors.index.difference(chip)):
        raise InputError(
            f"{path}: {unknown} of {len(errors)} chips are not in the index; it was "
            "made with another chip_size, stride or split"
        )
    return errors.reindex(chip, fill_value=0.0).to_numpy(float)


def from_polygons(
    path: str | os.PathLike[str], infos: Mapping[str, RasterInfo], index: pd.DataFrame
) -> np.ndarray:
    """Returns the share `[N]` of each chip that polygons cover, to a 16th of a side."""
    polygons, found = vector.read(path), np.zeros(len(index))
    for name, rows in index.groupby("scene", sort=False).indices.items():
        info, part = infos[name], index.iloc[rows]
        cell = max(1, int(part.height.iloc[0]) // CELLS)
        covered = vector.rasterize(
            polygons,
            crs=info.crs,
            affine=info.affine @ Affine.scale(cell),
            height=-(-info.height // cell),
            width=-(-info.width // cell),
        )
        sums = np.pad(covered.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
        top, left = part.row.to_numpy() // cell, part.col.to_numpy() // cell
        bottom = np.minimum((part.row + part.height) // cell, covered.shape[0])
        right = np.minimum((part.col + part.width) // cell, covered.shape[1])
        inside = sums[bottom, right] - sums[top, right]
        inside = inside - sums[bottom, left] + sums[top, left]
        found[rows] = inside * cell**2 / (part.height * part.width)
    return found


def _area(index: pd.DataFrame) -> np.ndarray:
    shares = [c for c in index.columns if c.startswith("share_") and c != "share_0"]
    return index[shares].sum(axis=1).to_numpy(float)


def _told(hard: np.ndarray | None, count: int, share: float) -> np.ndarray:
    if not share:
        return np.zeros(count)
    if hard is None or len(hard) != count or not np.any(hard) or np.min(hard) < 0:
        raise InputError(
            f"hard_share: {share}, but no chip of the split is told to be hard; give "
            "polygons or a table of errors"
        )
    return np.asarray(hard, float)
