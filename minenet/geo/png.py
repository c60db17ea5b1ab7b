"""Whether a PNG file is whole, by its own checksums.

GDAL reads a PNG that was cut short without a word, and the pixels that are missing, or
all of them, come out as zeros.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import BinaryIO

from minenet.types import UnreadableError

START = b"\x89PNG\r\n\x1a\n"
PIECE = 1 << 20
"""Bytes read at once: a length is what the file claims."""


def check_file(path: str | os.PathLike[str]) -> None:
    """Checks a file, if it is a local one and a PNG.

    Raises:
        UnreadableError: it is not whole.
    """
    if os.path.isfile(path):
        with open(path, "rb") as file:
            _check(file, os.fspath(path))


def check(data: bytes, *, name: str) -> None:
    """Checks a file in memory, if it is a PNG.

    Raises:
        UnreadableError: it is not whole; the message begins with `name`.
    """
    _check(io.BytesIO(data), name)


def _check(file: BinaryIO, name: str) -> None:
    if file.read(len(START)) != START:
        return
    kind = b""
    while kind != b"IEND":
        head = file.read(8)
        left, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        crc = zlib.crc32(kind)
        while left and (piece := file.read(min(left, PIECE))):
            left, crc = left - len(piece), zlib.crc32(piece, crc)
        if left or file.read(4) != struct.pack(">I", crc):
            raise UnreadableError(
                f"{name}: a PNG that is truncated or damaged; copy or download it again"
            )
