"""TFRecord files: byte strings one after another, each under two checksums.

A record is its length (uint64), the length's checksum, the bytes, their checksum, all
little-endian. The checksums are CRC-32C, rotated and shifted by a constant so that a
file of records may itself be a record.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from minenet.data.formats.crc32c import crc32c
from minenet.data.formats.labelled import OnError
from minenet.data.formats.pictures import LIMIT_BYTES
from minenet.files import replacing
from minenet.types import UnreadableError

HEAD = struct.Struct("<QI")
FOOT = struct.Struct("<I")
AGAIN = "copy or download it again"


def read(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yields the records of a file, gzipped or not, each after its check.

    Raises:
        UnreadableError: the file is not there, ends within a record, or a checksum is
            another; the message says in which record, counted from 0, at which byte.
    """
    return (data for _, data in numbered(path))


def numbered(
    path: str | os.PathLike[str], *, on_error: OnError = None
) -> Iterator[tuple[int, bytes]]:
    """Yields each record of a file with its number, counted from 0.

    Args:
        path: of the file, gzipped or not.
        on_error: called with the place of a record whose data are damaged, which is
            then left out: its length has a checksum of its own, so where the next one
            begins is known. None raises.

    Raises:
        UnreadableError: as `read`; with `on_error`, what there is no way past.
    """
    name, at = os.fspath(path), 0
    with _opened(name) as file:
        for number in itertools.count():
            where = f"{name}: record {number} at byte {at}"
            head = _taken(file, HEAD.size, name)
            if not head:
                return
            if len(head) < HEAD.size:
                raise UnreadableError(
                    f"{where}: the file ends within its head; {AGAIN}"
                )
            length, checksum = HEAD.unpack(head)
            if checksum != masked(head[:8]):
                raise UnreadableError(
                    f"{where}: the checksum (CRC-32C) of its length is wrong, so this "
                    f"is no TFRecord file or a damaged one; {AGAIN}"
                )
            if length > LIMIT_BYTES:
                raise UnreadableError(
                    f"{where}: {length} bytes, where a record may have {LIMIT_BYTES}"
                )
            data = _taken(file, length, name)
            foot = _taken(file, FOOT.size, name)
            if len(data) < length or len(foot) < FOOT.size:
                raise UnreadableError(
                    f"{where}: the file ends within its {length} bytes; {AGAIN}"
                )
            if FOOT.unpack(foot)[0] == masked(data):
                yield number, data
            else:
                error = UnreadableError(
                    f"{where}: the checksum (CRC-32C) of its data is wrong; {AGAIN}"
                )
                if on_error is None:
                    raise error
                on_error(f"{name}: record {number}", error)
            at += HEAD.size + length + FOOT.size


def write(path: str | os.PathLike[str], records: Iterable[bytes]) -> int:
    """Writes records to a file, whole or not at all, and returns how many."""
    count = 0
    with replacing(path) as part, open(part, "wb") as file:
        for data in records:
            length = struct.pack("<Q", len(data))
            file.write(length + FOOT.pack(masked(length)))
            file.write(data)
            file.write(FOOT.pack(masked(data)))
            count += 1
    return count


def masked(data: bytes) -> int:
    """Returns the checksum of bytes as TFRecord files store it."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    try:
        with open(name, "rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        file = gzip.open(name) if zipped else open(name, "rb")
    except OSError as error:
        raise UnreadableError(
            f"{name}: cannot be opened ({error.strerror}); check the path"
        ) from error
    with file:
        yield file


def _taken(file: BinaryIO, size: int, name: str) -> bytes:
    try:
        return file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError(f"{name}: cannot be read ({error}); {AGAIN}") from error
