"""Uncompressed arrays of a folder, read through memory maps.

What a window needs is copied out of the system's own pages. TensorStore first reads
whole every chunk that the window touches, 2.25 times its pixels, which took 2.5 times
as long. A map also survives a fork.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np

from minenet.types import InputError

SHARDS = 128
"""Maps that an array holds: each has a file descriptor."""

CHECKSUM_BYTES = 4
"""Of the index of chunks, at the end of a shard."""


class MappedArray:
    """An array of chips, `array[chip, rows, cols]`; threads may share it.

    Args:
        path: its folder.
        metadata: as `Layout.arrays` returns it, without a codec that compresses.
    """

    def __init__(self, path: Path, metadata: dict[str, Any]):
        inner = metadata["codecs"][0]["configuration"]["chunk_shape"]
        shard = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        self._path = path
        self._dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        self._fill = float("nan") if self._dtype.kind == "f" else metadata["fill_value"]
        self._size, self._chunk, self._tail = shard[1], inner[1], tuple(inner[3:])
        self._chips, self._across = shard[0], shard[1] // inner[1]
        self._shard = functools.lru_cache(SHARDS)(self._map)

    def __getitem__(self, at: tuple[int, slice, slice]) -> np.ndarray:
        """Returns a copy of a part of a chip."""
        chip, *sides = at
        (top, bottom, _), (left, right, _) = (s.indices(self._size) for s in sides)
        part = np.empty((bottom - top, right - left, *self._tail), self._dtype)
        number, place = divmod(int(chip), self._chips)
        try:
            bytes_, starts = self._shard(number)
        except FileNotFoundError:  # nothing but fill values
            part.fill(self._fill)
            return part
        side = self._chunk
        shape = side, side, *self._tail
        for i in range(top // side, -(-bottom // side)):
            rows = slice(max(top, i * side), min(bottom, (i + 1) * side))
            for j in range(left // side, -(-right // side)):
                cols = slice(max(left, j * side), min(right, (j + 1) * side))
                here = part[_less(rows, top), _less(cols, left)]
                start = starts[place][i][j]
                if start < 0:
                    here[...] = self._fill
                    continue
                chunk = np.ndarray(shape, self._dtype, bytes_, start)
                here[...] = chunk[_less(rows, i * side), _less(cols, j * side)]
        return part

    def _map(self, number: int) -> tuple[np.ndarray, list]:
        """The bytes of a shard and where its chunks begin, -1 for none.

        Raises:
            FileNotFoundError: there is no such shard.
        """
        path = Path(self._path, "c", str(number), "0", "0", *("0" for _ in self._tail))
        bytes_ = np.memmap(path, np.uint8, "r")
        shape = self._chips, self._across, self._across, 2
        index = bytes_[-16 * math.prod(shape[:3]) - CHECKSUM_BYTES : -CHECKSUM_BYTES]
        size = self._chunk**2 * math.prod(self._tail) * self._dtype.itemsize
        try:
            starts, sizes = np.moveaxis(index.view("<i8").reshape(shape), -1, 0)
            there = starts >= 0
            if not (sizes[there] == size).all() or starts.max() > len(bytes_) - size:
                raise ValueError
        except ValueError as error:
            raise InputError(
                f"{path}: no shard of this store, or damaged; delete it and run "
                "--mode=prepare again"
            ) from error
        return bytes_, starts.tolist()


def _less(span: slice, by: int) -> slice:
    return slice(span.start - by, span.stop - by)
