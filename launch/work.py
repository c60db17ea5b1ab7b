"""What the work on many files runs on, and how far it is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import tqdm

from minenet.data import scenes, tasks
from minenet.data.scenes import Paths

MANY, LARGE = 64, 1 << 28
"""Files, and bytes, from which on processes are worth the seconds that they start."""


@contextlib.contextmanager
def executors(
    images: Paths | list[Paths], cluster: str | None
) -> Iterator[tasks.MakeExecutor]:
    """Yields what scenes are worked on with: a Dask cluster, processes, or threads.

    Args:
        images: of all scenes, as `config.data.images` names them.
        cluster: address of a Dask scheduler, or "local", or None.
    """
    files = [path for stack in scenes.stacks(images) for path in stack]
    size = sum(os.path.getsize(path) for path in files if os.path.exists(path))
    if cluster is None and len(files) < MANY and size < LARGE:
        yield tasks.threads()
        return
    with tasks.executors(cluster=cluster) as executor:
        yield executor


class Progress:
    """One line for each kind of work: share, count, time passed and time left."""

    def __init__(self) -> None:
        self._bar: tqdm.tqdm | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows how much of something is done."""
        bar = self._bar
        if bar is None or bar.desc != what:
            self.close()
            self._bar = bar = tqdm.tqdm(
                desc=what,
                total=total,
                initial=done,
                dynamic_ncols=True,
                delay=1,
                bar_format="{desc} {percentage:3.0f}% {n_fmt}/{total_fmt} "
                "[{elapsed}<{remaining}]",
            )
        bar.update(done - bar.n)

    def close(self) -> None:
        """Ends the line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
