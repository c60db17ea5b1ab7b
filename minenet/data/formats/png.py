"""Whether a PNG file is whole, by its own checksums.

GDAL reads a PNG that was cut short without a word, and the pixels that are missing, or
all of them, come out as zeros or as what the memory held.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import BinaryIO

from minenet.types import InputError

START = b"\x89PNG\r\n\x1a\n"


def check_file(path: str | os.PathLike[str]) -> None:
    """Checks a file, if it is a local one and a PNG.

    Raises:
        InputError: it is not whole.
    """
    if os.path.isfile(path):
        with open(path, "rb") as file:
            _check(file, os.fspath(path))


def check(data: bytes, *, name: str) -> None:
    """Checks a file in memory, if it is a PNG.

    Raises:
        InputError: it is not whole; the message begins with `name`.
    """
    _check(io.BytesIO(data), name)


def _check(file: BinaryIO, name: str) -> None:
    if file.read(len(START)) != START:
        return
    kind = b""
    while kind != b"IEND":
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        data, crc = file.read(length), file.read(4)
        if crc != struct.pack(">I", zlib.crc32(kind + data)):
            raise InputError(
                f"{name}: a PNG that is truncated or damaged; copy or download it again"
            )
