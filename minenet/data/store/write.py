"""Filling a store: a task reads what a shard needs from scenes and writes it whole."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import numpy as np

from minenet.data import tasks
from minenet.data.quarantine import Quarantine
from minenet.data.source import Rasters
from minenet.data.store.read import Store
from minenet.geo import handles
from minenet.geo.windows import Window
from minenet.types import IGNORE, InputError


class ShardWriter:
    """Reads and writes a shard; can be sent to other processes and done again.

    A chip that cannot be read is blank, NaN and 255, and goes into quarantine.

    Args:
        store: with its index.
        quarantine: where unreadable chips are noted.
    """

    def __init__(self, store: Store, quarantine: Quarantine):
        self._url, self._digest = store.url, store.facts["digest"]
        self._quarantine = quarantine

    def __call__(self, shard: int) -> None:
        """Reads and writes the shard of a number."""
        store = _opened(self._url, self._digest)
        layout, scenes = store.layout, store.prepared.scenes
        rasters = Rasters(store.prepared)
        rows = store.index.iloc[layout.rows(shard)]
        side, planes = (layout.size,) * 2, (layout.planes,) * bool(layout.planes)
        image = np.full((len(rows), *side, len(layout.bands)), np.nan, np.float32)
        target = np.full((len(rows), *side, *planes), IGNORE, np.uint8)
        for i, row in enumerate(rows.itertuples()):
            window = Window(row.row, row.col, *side)
            try:
                image[i], target[i] = _read_again(rasters, row.scene, window)
            except (InputError, *handles.FAILURES) as error:
                where = {"row": row.row, "col": row.col, "size": layout.size}
                scene = scenes[row.scene].name
                self._quarantine.add(error, scene=scene, **where)
        store.write(shard, image, target)


def fill(
    store: Store,
    *,
    quarantine: str | os.PathLike[str],
    strict: bool = False,
    executor: tasks.MakeExecutor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict]:
    """Writes every shard that is not there and returns what is in quarantine.

    Args:
        store: as `create` returns it.
        quarantine: file that notes chips that cannot be read, `data/quarantine.jsonl`.
        strict: whether to stop at the first of them instead.
        executor: makes executors, see `tasks.executors`; of processes if None.
        progress: called with the number of shards done and to do.

    Raises:
        InputError: `strict` and a chip that cannot be read; no space.
    """
    noted = Quarantine(os.path.abspath(quarantine), strict)
    try:
        tasks.run(
            ShardWriter(store, noted),
            store.pending(),
            executor=executor or tasks.processes(),
            give_up=lambda shard, reason: noted.add(reason, shard=shard),
            progress=progress,
        )
    finally:
        records = noted.settle()
    return records


def _read_again(rasters: Rasters, scene: int, window: Window):
    """Reads twice where the first fails: GDAL may tell the failure of another read."""
    try:
        return rasters.read(scene, window)
    except (InputError, *handles.FAILURES):
        return rasters.read(scene, window)


@functools.lru_cache(maxsize=2)
def _opened(url: str, digest: str) -> Store:
    # A process writes many shards of one store; the digest tells it from an older one.
    store = Store(url)
    if store.facts["digest"] != digest:
        raise InputError(f"{url}: was replaced by another store meanwhile; start again")
    return store
