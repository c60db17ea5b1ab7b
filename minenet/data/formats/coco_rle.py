"""The run lengths of COCO: of zeros and ones in turn, zeros first, down the columns.

Compressed, the lengths are text: each from the fourth on less the one two before it, in
groups of 5 bits, lowest first, a sixth bit saying that more follow, 48 added to make a
character.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minenet.types import InputError


def encode(mask: np.ndarray) -> list[int]:
    """Returns the run lengths of a mask `[H, W]`.

    >>> encode(np.array([[0, 1, 1], [1, 0, 0]]))
    [1, 2, 1, 1, 1]
    """
    line = mask.T.ravel() != 0
    edges = np.flatnonzero(np.diff(line, prepend=False))
    return np.diff([0, *edges, line.size]).tolist()


def decode(
    counts: Sequence[int] | str, height: int, width: int, *, name: str = "counts"
) -> np.ndarray:
    """Returns the mask `[height, width]` uint8 of run lengths, compressed if text.

    Raises:
        InputError: no run lengths, or not of as many pixels.
    """
    if isinstance(counts, str):
        counts = decompress(counts, name=name)
    size = height * width
    good = all(type(n) is int and 0 <= n <= size for n in counts)
    if not good or sum(counts) != size:
        raise InputError(
            f"{name}: run lengths must be whole numbers that add up to the {size} "
            f"pixels of {height} x {width}"
        )
    values = np.arange(len(counts), dtype=np.uint8) % 2
    line = np.repeat(values, np.array(counts, np.int64))
    return np.ascontiguousarray(line.reshape(width, height).T)


def compress(counts: Sequence[int]) -> str:
    """Returns run lengths as text.

    >>> compress([1, 2, 1, 1, 1])
    '121O0'
    """
    text = []
    for i, value in enumerate(counts):
        value -= counts[i - 2] if i > 2 else 0
        while True:
            low, value = value & 0x1F, value >> 5
            last = value == (-1 if low & 0x10 else 0)
            text.append(chr(48 + low + (0 if last else 0x20)))
            if last:
                break
    return "".join(text)


def decompress(text: str, *, name: str = "counts") -> list[int]:
    """Returns the run lengths that `compress` made text of.

    Raises:
        InputError: a character that it does not use, or an end within a number.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        low = ord(character) - 48
        if not 0 <= low < 64:
            raise InputError(f"{name}: {character!r} is not of a compressed run length")
        value |= (low & 0x1F) << shift
        shift += 5
        if not low & 0x20:
            value -= (low & 0x10) << (shift - 4)
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise InputError(f"{name}: the compressed run lengths end within a number")
    return counts
