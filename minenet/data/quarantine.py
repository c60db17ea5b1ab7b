"""What could not be read, with the reason: one JSON object a line.

A worker appends before it lets go of the work, in one write of the operating system, so
that a kill loses no line and lines of several workers never mix. Work that was done
twice leaves a line twice; `settle` makes one of them.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from minenet import files
from minenet.types import InputError, UnreadableError

T, R = TypeVar("T"), TypeVar("R")


@dataclasses.dataclass(frozen=True)
class Quarantine:
    """Where records go; it can be pickled and sent to workers that see the same disk.

    Attributes:
        path: file of lines, `data/quarantine.jsonl` of a workdir.
        strict: whether to stop at the first record instead.
    """

    path: str | os.PathLike[str]
    strict: bool = False

    def add(self, reason: BaseException | str, **where: Any) -> None:
        """Appends a record of what was left out.

        Args:
            reason: a line, or the error that says it.
            **where: names what was left out, as JSON can hold it.

        Raises:
            InputError: `strict`; the message is the reason.
        """
        if self.strict:
            if isinstance(reason, InputError):
                raise reason
            named = ", ".join(f"{key}={value}" for key, value in where.items())
            raise InputError(f"{named}: {reason}")
        line = json.dumps({**where, "reason": str(reason)}) + "\n"
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)

    def guard(self, work: Callable[[T], R], item: T, **where: Any) -> R | None:
        """Returns `work(item)`, or None and a record where a file cannot be read.

        It tries twice: with threads GDAL may tell one read of the failure of another.

        Args:
            work: what reads files.
            item: its argument.
            **where: names the item, see `add`.

        Raises:
            InputError: `strict` and a file that cannot be read; any other.
        """
        try:
            return work(item)
        except UnreadableError:
            pass
        try:
            return work(item)
        except UnreadableError as error:
            self.add(error, **where)
            return None

    def settle(self) -> list[dict[str, Any]]:
        """Returns the records, sorted and each once, and leaves the file so.

        Only for when no worker appends.
        """
        path = Path(self.path)
        if not path.exists():
            return []
        before = path.read_text()
        lines = sorted(set(before.splitlines()))
        after = "".join(f"{line}\n" for line in lines)
        if after != before:
            with files.replacing(path) as part:
                part.write_text(after)
        return [json.loads(line) for line in lines]
