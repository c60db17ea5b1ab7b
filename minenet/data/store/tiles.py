"""Which squares of which scenes a store holds, and where a window finds them.

Windows overlap and move by draws, so chips cut out once could not serve them. The store
holds instead each pixel once: scenes are cut by a regular grid from their top left
corner, and a window is put together from the up to four chips that it touches. Where
windows lie on that grid, as they do with a stride of one chip, each is one chip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from minenet.data.scenes import Scene
from minenet.geo import windows
from minenet.geo.windows import Window


def needed(
    scenes: Sequence[Scene], index: pd.DataFrame, *, size: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Returns the chips that the windows of an index touch, however they move.

    Args:
        scenes: all of them; a chip's scene is a place among these.
        index: windows as `chips.index` lists them, with `split` and `reach`.
        size: side of a chip in pixels.

    Returns:
        A row a chip, scene after scene and row after row: `scene, row, col, tile_ix,
        tile_iy`; and the split of each, "" where windows of several touch it.
    """
    numbers = {scene.name: i for i, scene in enumerate(scenes)}
    parts, splits = [np.empty((0, 3), np.int64)], []
    order = index.assign(number=index.scene.map(numbers)).groupby("number")
    for number, rows in order:
        grid = _shape(scenes[number], size)
        touched = {split: np.zeros(grid, bool) for split in rows.split.unique()}
        for row in rows.itertuples():
            touched[row.split][_touched(row, size)] = True
        counts = sum(each.astype(int) for each in touched.values())
        tiles = np.argwhere(counts)
        parts.append(np.insert(tiles, 0, number, axis=1))
        for y, x in tiles:
            alone = counts[y, x] == 1
            splits.append(next(k for k, m in touched.items() if m[y, x]) * bool(alone))
    scene, y, x = np.concatenate(parts).T
    columns = {"scene": scene, "row": y * size, "col": x * size}
    return pd.DataFrame({**columns, "tile_ix": x, "tile_iy": y}), np.array(splits)


class Lookup:
    """From a scene and a place on its grid to a chip's number, in constant time.

    Args:
        scenes: all of them.
        tiles: as `needed` returns them.
        size: side of a chip in pixels.
    """

    def __init__(self, scenes: Sequence[Scene], tiles: pd.DataFrame, *, size: int):
        self._size = size
        self._shapes = np.array([_shape(scene, size) for scene in scenes])
        self._starts = np.concatenate([[0], np.cumsum(self._shapes.prod(1))])
        self._chips = np.full(self._starts[-1], -1, np.int32)
        scene = tiles.scene.to_numpy()
        at = tiles.tile_iy * self._shapes[scene, 1] + tiles.tile_ix
        self._chips[self._starts[scene] + at] = np.arange(len(tiles))

    def find(self, scene: int, tile_ix: int, tile_iy: int) -> int:
        """Returns the number of a chip, -1 where the store has none."""
        rows, cols = self._shapes[scene]
        if not (0 <= tile_iy < rows and 0 <= tile_ix < cols):
            return -1
        return int(self._chips[self._starts[scene] + tile_iy * cols + tile_ix])

    def pieces(self, scene: int, window: Window) -> Iterator[tuple[int, Window]]:
        """Yields each chip that a window touches, with the window's part in it.

        The part is in the scene's pixels, like the window. Beyond the scene's edges
        there are no chips.

        Raises:
            ValueError: the store lacks a chip within the scene.
        """
        size = self._size
        rows, cols = self._shapes[scene]
        for y in _range(window.row, window.row_stop, size, rows):
            for x in _range(window.col, window.col_stop, size, cols):
                chip = self.find(scene, x, y)
                if chip < 0:
                    raise ValueError(
                        f"window={window} of scene {scene}: not in the store, which "
                        "holds the windows of its index and their reach"
                    )
                square = Window(y * size, x * size, size, size)
                yield chip, windows.intersect(window, square)


def _shape(scene: Scene, size: int) -> tuple[int, int]:
    return -(-scene.height // size), -(-scene.width // size)


def _range(start: int, stop: int, size: int, count: int) -> range:
    return range(max(0, start // size), min(count, -(-stop // size)))


def _touched(row, size: int) -> tuple[slice, slice]:
    return tuple(
        slice(max(0, (at - row.reach) // size), -(-(at + side + row.reach) // size))
        for at, side in ((row.row, row.height), (row.col, row.width))
    )
