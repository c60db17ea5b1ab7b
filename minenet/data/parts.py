"""Results of many tasks, each kept in a file of its own until all are there.

A job that is killed goes on with the tasks whose files are missing. The folder is of
one origin: what was made from other data or options is thrown away.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from minenet import files
from minenet.data import tasks

T, R = TypeVar("T"), TypeVar("R")
ORIGIN = "origin.json"

Progress = Callable[[str, int, int], None]
"""Called with what is done, how many tasks are, and how many there are in all."""


def begin(folder: Path, origin: Mapping[str, Any]) -> None:
    """Makes the folder, empty unless what is in it is of the same origin."""
    path = folder / ORIGIN
    if not path.is_file() or files.read_json(path) != files.as_json(origin):
        shutil.rmtree(folder, ignore_errors=True)
        files.write_json(path, origin)


@dataclasses.dataclass(frozen=True)
class Keep(Generic[T, R]):
    """Work that writes its result beside that of others; it can be pickled.

    Attributes:
        work: from an item to its result, or None where nothing is to be kept.
        write: writes a result to a path, whole or not at all.
        read: the inverse.
        folder: of the results.
        suffix: of their files.
    """

    work: Callable[[T], R | None]
    write: Callable[[Path, R], None]
    read: Callable[[Path], R]
    folder: Path
    suffix: str

    def path(self, name: str) -> Path:
        """Returns where the result of an item is kept."""
        return self.folder / f"{name}{self.suffix}"

    def __call__(self, named: tuple[str, T]) -> None:
        """Does the work on an item and keeps what comes of it."""
        name, item = named
        result = self.work(item)
        if result is not None:
            self.write(self.path(name), result)


def run(
    keep: Keep[T, R],
    items: Mapping[str, T],
    *,
    executor: tasks.MakeExecutor,
    give_up: Callable[[tuple[str, T], str], None] | None = None,
    progress: Progress | None = None,
) -> Iterator[R]:
    """Yields the results of items in their order, done now or in an earlier run.

    Args:
        keep: what to do and where to keep it.
        items: by a name that is fit for a file.
        executor: see `tasks.run`.
        give_up: see `tasks.run`.
        progress: also called once at the start.
    """
    todo = [item for item in items.items() if not keep.path(item[0]).exists()]
    done, what = len(items) - len(todo), keep.folder.name

    def tell(more: int, _: int) -> None:
        if progress is not None:
            progress(what, done + more, len(items))

    tell(0, len(todo))
    tasks.run(keep, todo, executor=executor, give_up=give_up, progress=tell)
    for name in items:
        path = keep.path(name)
        if path.exists():
            yield keep.read(path)
