"""Outputs that appear whole or not at all: written beside, then renamed."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minenet.types import InputError

UNWRITABLE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
)
"""Errors that the disk or its owner is the reason of, not this program."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a sibling path to write to; on success it takes the name `path`.

    The sibling keeps the suffix, because GDAL and matplotlib choose the format by it.
    If the body raises, the sibling is deleted and whatever stood at `path` stays.

    Raises:
        InputError: There is no space, or no permission.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); see that the disk has "
            "space left and that the folder may be written to"
        ) from error
    finally:
        # GDAL's side-cars too.
        for left in part.parent.glob(f"{glob.escape(part.name)}*"):
            left.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all; NaN is an error."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with replacing(path) as part:
        part.write_text(text)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Returns the value of a JSON file."""
    return json.loads(Path(path).read_text())


def as_json(value: Any) -> Any:
    """Returns `value` as a JSON file would give it back: tuples become lists."""
    return json.loads(json.dumps(value))
