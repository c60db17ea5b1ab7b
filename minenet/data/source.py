"""Chips on demand: a random-access source over the index, straight from GeoTIFFs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from minenet.data import chips
from minenet.data.label import targets
from minenet.data.quarantine import Quarantine
from minenet.geo import bands
from minenet.geo.windows import Window
from minenet.types import IGNORE, Sample, Task

if TYPE_CHECKING:
    from minenet.data.prepare import Prepared


class Place(NamedTuple):
    """Where a chip is cut, cheap to shuffle and to move before anything is read.

    Attributes:
        scene: its place among the prepared scenes.
        row: origin, in pixels.
        col: origin, in pixels.
        reach: pixels that the origin may move each way and stay in its split.
    """

    scene: int
    row: int
    col: int
    reach: int


class Pixels(Protocol):
    """What windows of prepared scenes are read from."""

    def read(self, scene: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Returns image `[H, W, C]` float32 with NaN and the labels."""


class Rasters:
    """Pixels straight from the rasters of prepared scenes.

    Args:
        prepared: whose scenes are read.
        quarantine: where a window is noted that cannot be read; it counts for nothing
            then. Without one it is an error.
    """

    def __init__(self, prepared: Prepared, *, quarantine: Quarantine | None = None):
        self._scenes, self._stack = prepared.scenes, prepared.stack
        overlap = prepared.task == "multilabel"
        self._channels = (len(prepared.classes),) * overlap
        self._quarantine = quarantine

    def read(self, scene: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Returns image `[H, W, C]` float32 with NaN and the labels."""
        if self._quarantine is None:
            return self._read((scene, window))
        where = {"scene": self._scenes[scene].name, "row": window.row}
        found = self._quarantine.guard(
            self._read, (scene, window), col=window.col, **where
        )
        return self._nothing(window) if found is None else found

    def _read(self, place: tuple[int, Window]) -> tuple[np.ndarray, np.ndarray]:
        scene, window = self._scenes[place[0]], place[1]
        image = bands.read(scene.images, self._stack, window, grid=scene.onto)
        return image, chips.known(image, chips.read_labels(scene, window))

    def _nothing(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        shape = window.height, window.width
        image = np.full((*shape, len(self._stack.names)), np.nan, np.float32)
        return image, np.full((*shape, *self._channels), IGNORE, np.uint8)


class ChipSource:
    """The chips of one split; `source[i]` is a sample without its `index`.

    Grain calls this a random-access data source. It can be pickled, for it holds no
    open file: readers live in `geo.handles`, one pool a process.

    Args:
        prepared: what to cut chips from.
        split: "train", "validation" or "test".
        pixels: where to read them; from the scenes' rasters if None.
    """

    def __init__(self, prepared: Prepared, *, split: str, pixels: Pixels | None = None):
        rows = prepared.index[prepared.index.split == split]
        numbers = {scene.name: i for i, scene in enumerate(prepared.scenes)}
        self.split = split
        self.size = prepared.chip_size
        self.index = rows.reset_index(drop=True)
        self.positive = chips.positive(rows)
        self.places = [
            Place(numbers[row.scene], int(row.row), int(row.col), int(row.reach))
            for row in rows.itertuples()
        ]
        self._task: Task = prepared.task
        self._classes = len(prepared.classes)
        self._stack = prepared.stack
        self._scenes = prepared.scenes
        self._pixels = Rasters(prepared) if pixels is None else pixels

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, i: int) -> Sample:
        return self.read(self.places[i])

    def __repr__(self) -> str:
        return f"ChipSource({self.split}, {len(self)} chips of {self.size}²)"

    def move(self, place: Place, generator: np.random.Generator) -> Place:
        """Returns a place near `place`, in the same split.

        It never reaches farther beyond the scene's edge than `place` did.
        """
        scene = self._scenes[place.scene]
        row = _moved(place.row, scene.height - self.size, place.reach, generator)
        col = _moved(place.col, scene.width - self.size, place.reach, generator)
        return place._replace(row=row, col=col)

    def centre(self, place: Place, generator: np.random.Generator) -> Place:
        """Returns a place with a drawn pixel of a class as near its centre as may be.

        It moves as far as `move` would, and not again: its `reach` is 0.
        """
        scene = self._scenes[place.scene]
        window = Window(place.row, place.col, self.size, self.size)
        _, labels = self._pixels.read(place.scene, window)  # a store has no rasters
        at = np.flatnonzero(targets.marked(labels))
        if not len(at):
            return place._replace(reach=0)
        row, col = divmod(int(generator.choice(at)), self.size)
        towards = (row - self.size // 2, col - self.size // 2)
        row, col = (
            int(
                np.clip(
                    origin + step, *_limits(origin, length - self.size, place.reach)
                )
            )
            for origin, step, length in zip(
                place[1:3], towards, (scene.height, scene.width), strict=True
            )
        )
        return place._replace(row=row, col=col, reach=0)

    def read(self, place: Place) -> Sample:
        """Returns the chip at `place`: image with NaN, target, weight."""
        window = Window(place.row, place.col, self.size, self.size)
        image, labels = self._pixels.read(place.scene, window)
        return {
            "image": image,
            "target": targets.target(labels, task=self._task, classes=self._classes),
            "weight": targets.weight(labels),
        }

    def blank(self) -> Sample:
        """Returns a chip that counts for nothing, to fill the last batch."""
        shape = self.size, self.size
        return {
            "image": np.full((*shape, len(self._stack.names)), np.nan, np.float32),
            "target": np.zeros((*shape, self._classes), np.float32),
            "weight": np.zeros(shape, np.float32),
        }


def _moved(origin: int, inside: int, reach: int, generator) -> int:
    low, high = _limits(origin, inside, reach)
    return int(generator.integers(low, high + 1))


def _limits(origin: int, inside: int, reach: int) -> tuple[int, int]:
    """Origins within reach; `inside` is the last that stays in the scene."""
    low = max(origin - reach, min(origin, 0))
    return low, min(origin + reach, max(origin, inside))
