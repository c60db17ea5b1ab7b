"""Rows of an index by tile and year, in constant time whatever the index holds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from minenet.types import InputError

COLUMNS = ("tile_ix", "tile_iy", "year")


class Tiles:
    """Finds the rows of an index that show a tile of the world in a year.

    A tile may have several rows in a year: one for each cluster that claims it.

    Args:
        index: with columns `tile_ix`, `tile_iy` and `year`; -1 where a row has none.

    Raises:
        InputError: a column is missing.

    >>> index = pd.DataFrame({"tile_ix": [7, 7], "tile_iy": [9, 9], "year": [1, 2]})
    >>> Tiles(index).rows(7, 9, 2)
    array([1])
    """

    def __init__(self, index: pd.DataFrame):
        for column in COLUMNS:
            if column not in index.columns:
                raise InputError(
                    f"index: no column {column!r}; it has {', '.join(index.columns)}"
                )
        keys = index[list(COLUMNS)].to_numpy(np.int64)
        placed = np.flatnonzero((keys >= 0).all(1))
        self._order = placed[np.lexsort(keys[placed].T[::-1])]
        unique, first = np.unique(keys[self._order], axis=0, return_index=True)
        stops = np.append(first, len(self._order))[1:]
        spans = zip(first.tolist(), stops.tolist(), strict=True)
        self._spans = dict(zip(map(tuple, unique.tolist()), spans, strict=True))

    def __len__(self) -> int:
        return len(self._spans)

    def __contains__(self, key: tuple[int, int, int]) -> bool:
        return tuple(key) in self._spans

    def rows(self, tile_ix: int, tile_iy: int, year: int) -> np.ndarray:
        """Returns the places of the rows in the index, none if it has none."""
        start, stop = self._spans.get((tile_ix, tile_iy, year), (0, 0))
        return self._order[start:stop]
