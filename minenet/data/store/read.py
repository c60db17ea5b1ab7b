"""A store opened: chips by number, and windows put together from them."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from minenet.data import prepared as prepared_
from minenet.data.prepared import Prepared
from minenet.data.store import arrays, location, tables
from minenet.data.store import layout as layout_
from minenet.data.store.layout import Layout
from minenet.data.store.tiles import Lookup
from minenet.geo import windows
from minenet.geo.windows import Window
from minenet.types import IGNORE, InputError


class Store:
    """The chips of a store, and what was prepared; only its address is pickled.

    Threads share it. Spawned workers open it themselves. So do forked ones, but with
    zarr-python if their parent had TensorStore, whose threads no fork survives.

    Args:
        url: where `create` made it.
    """

    def __init__(self, url: str | os.PathLike[str]):
        self.url = location.absolute(url)
        self._arrays: dict[tuple[int, bool], dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "_arrays": {}}

    @functools.cached_property
    def facts(self) -> dict[str, Any]:
        """What `create` noted in the group's attributes."""
        root = location.read_json(self.url, "zarr.json")
        if root is None or "minenet" not in root.get("attributes", {}):
            raise InputError(f"{self.url}: no store of chips; run --mode=prepare first")
        return root["attributes"]["minenet"]

    @functools.cached_property
    def layout(self) -> Layout:
        """How chips lie in the arrays."""
        facts = self.facts["layout"]
        return Layout(**{**facts, "bands": tuple(facts["bands"])})

    @functools.cached_property
    def index(self) -> pd.DataFrame:
        """A row a chip: where it is, in which cluster and which split.

        `scene` is a place among `prepared.scenes`, `cluster` and `split` are names.
        """
        names = {key: self.facts["names"][key] for key in ("cluster", "split")}
        columns = self.facts["columns"]["chips"]
        return tables.named(tables.read(self.url, columns), names)

    @functools.cached_property
    def prepared(self) -> Prepared:
        """What the store was made of: windows, splits, classes, bands, statistics."""
        facts = dict(self.facts["prepared"])
        columns = self.facts["columns"]["windows"]
        index = tables.read(self.url, columns, group="windows")
        index = tables.named(index, self.facts["names"])
        index = index.rename(columns={"cluster": "group"})
        statistics = facts.pop("statistics")
        return prepared_.restore(Path(self.url), facts, index, statistics)

    @functools.cached_property
    def lookup(self) -> Lookup:
        """Finds the chips of a window."""
        scenes = self.prepared.scenes
        return Lookup(scenes, self.index, size=self.layout.size)

    def pending(self) -> list[int]:
        """Returns the shards that are not written.

        A shard's images are written last of its arrays, and appear whole.
        """
        there = location.shards(self.url)
        return [i for i in range(self.layout.shards) if i not in there]

    def read(self, scene: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Returns image `[H, W, C]` float32 with NaN and class ids `[H, W]`.

        Pixel for pixel what the rasters of the scene give.
        """
        size, side, parts = self.layout.size, (window.height, window.width), []
        for chip, part in self.lookup.pieces(scene, window):
            at = windows.shift(
                part, -(part.row // size * size), -(part.col // size * size)
            )
            parts.append((part, self._fetch((chip, *at.slices))))
        if len(parts) == 1 and parts[0][0] == window:
            return _received(parts[0][1])
        planes = (self.layout.planes,) * bool(self.layout.planes)
        image = np.empty((*side, len(self.layout.bands)), np.float32)
        target = np.empty((*side, *planes), np.uint8)
        if sum(part.height * part.width for part, _ in parts) < math.prod(side):
            image.fill(np.nan)
            target.fill(IGNORE)
        for part, fetched in parts:
            at = windows.shift(part, -window.row, -window.col).slices
            image[at], target[at] = _received(fetched)
        return image, target

    def write(self, shard: int, image: np.ndarray, target: np.ndarray) -> None:
        """Writes a whole shard: it appears at once, or not at all.

        Args:
            shard: its number.
            image: `[n, H, W, C]` float32 with NaN, of its chips.
            target: `[n, H, W]` uint8 class ids, or `[n, H, W, K]`.

        Raises:
            InputError: an integer type that does not hold the values; no space.
        """
        import tensorstore

        values = {"target": target, **self.layout.encode(image)}
        # The image, whose presence is the sign, in a step of its own after the rest.
        values["image"] = values.pop("image")
        try:
            written = self._opened(writable=True)
            for name, value in values.items():
                array = written[name]
                with tensorstore.Transaction() as whole:
                    rows = array.with_transaction(whole)[self.layout.rows(shard)]
                    rows.write(value).result()
        except (ValueError, OSError) as error:
            raise location.unwritable(self.url, error) from error

    def _fetch(self, at: tuple) -> tuple:
        opened = self._opened()
        valid = opened.get("valid")
        return (
            opened["image"][at].read(),
            opened["target"][at].read(),
            None if valid is None else valid[at].read(),
        )

    def _opened(self, *, writable: bool = False) -> dict[str, Any]:
        # By process: what a parent opened stays untouched in a forked child.
        key = os.getpid(), writable
        if key not in self._arrays:
            if writable:
                found = arrays.writable(self.url, self.layout.arrays())
            else:
                found = arrays.chips(self.url, self.layout)
            self._arrays[key] = found
        return self._arrays[key]


def _received(fetched) -> tuple[np.ndarray, np.ndarray]:
    image, target, valid = (each and each.result() for each in fetched)
    return layout_.decode(image, valid), target
