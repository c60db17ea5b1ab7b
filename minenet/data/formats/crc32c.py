"""CRC-32C, the checksum of TFRecord files (Castagnoli; RFC 3720, appendix B.4).

A checksum goes byte by byte, which NumPy cannot do. But it is linear over GF(2): the
bytes are laid in rows, all rows advance together, and the rows' checksums are joined in
pairs, each left one moved past as many zeros as the right one has bytes.
"""

from __future__ import annotations

import functools

import numpy as np

POLYNOMIAL = 0x82F63B78  # reflected
ONES = 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Returns the checksum of bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    if len(data) < 64:
        table, crc = _table().tolist(), ONES
        for byte in data:
            crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        return crc ^ ONES
    # A power of two, short beside the number of rows: a step costs NumPy's call too.
    log_width = len(data).bit_length() // 2 - 2
    rows = -(-len(data) >> log_width)
    padded = np.zeros(rows << log_width, np.uint8)
    padded[-len(data) :] = np.frombuffer(data, np.uint8)
    # Zeros in front change nothing where the register starts at 0, and starting at ones
    # is flipping the first four bytes.
    first = padded.size - len(data)
    padded[first : first + 4] ^= 0xFF
    crc = np.zeros(rows, np.uint32)
    for column in np.ascontiguousarray(padded.reshape(rows, -1).T):
        crc = _advanced(crc, column)
    while len(crc) > 1:
        if len(crc) % 2:
            crc = np.concatenate([np.zeros(1, np.uint32), crc])
        crc = _applied(_past_zeros(log_width), crc[0::2]) ^ crc[1::2]
        log_width += 1
    return int(crc[0]) ^ ONES


@functools.cache
def _table() -> np.ndarray:
    """The checksum of each byte, `[256]` uint32."""
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = np.where(crc & 1, (crc >> 1) ^ np.uint32(POLYNOMIAL), crc >> 1)
    return crc


def _advanced(crc: np.ndarray, byte: np.ndarray | int) -> np.ndarray:
    return _table()[(crc ^ byte) & 0xFF] ^ (crc >> 8)


@functools.cache
def _past_zeros(log_count: int) -> np.ndarray:
    """What 2^log_count bytes of zero make of each single bit, `[32]` uint32."""
    if log_count == 0:
        return _advanced(np.uint32(1) << np.arange(32, dtype=np.uint32), 0)
    half = _past_zeros(log_count - 1)
    return _applied(half, half)


def _applied(images: np.ndarray, crc: np.ndarray) -> np.ndarray:
    """The linear map that takes bit i to `images[i]`."""
    out = np.zeros_like(crc)
    for i, image in enumerate(images):
        out ^= np.where((crc >> np.uint32(i)) & 1, image, np.uint32(0))
    return out
