"""The message `tf.train.Example`: named lists of bytes, floats or integers.

Only what the message is made of is read from protobuf's wire format: a field is a
number and a wire type, then a varint, 4 or 8 bytes, or a length and as many bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from minenet.types import UnreadableError

Feature = list[bytes] | np.ndarray
"""Bytes as a list; floats as `[N]` float32; integers as `[N]` int64."""

VARINT, EIGHT, SIZED, FOUR = 0, 1, 2, 5
BYTES, FLOATS, INTEGERS = 1, 2, 3  # numbers of the lists in a feature


def decode(data: bytes, *, name: str = "record") -> dict[str, Feature]:
    """Returns the features of a serialised Example.

    Args:
        data: the message.
        name: of it, for errors.

    Raises:
        UnreadableError: it is no such message.
    """
    features: dict[str, Feature] = {}
    try:
        for part in _sized(memoryview(data), 1):
            for entry in _sized(part, 1):
                key, value = "", memoryview(b"")
                for number, _, field in _fields(entry):
                    if number == 1:
                        key = bytes(field).decode()
                    elif number == 2:
                        value = field
                features[key] = _feature(value)
    except (ValueError, TypeError) as error:
        raise UnreadableError(
            f"{name}: not a tf.train.Example ({error}); write it again"
        ) from error
    return features


def encode(features: Mapping[str, bytes | Sequence | np.ndarray]) -> bytes:
    """Returns a serialised Example, the same bytes for the same features.

    Args:
        features: name → bytes, a list of bytes, floats or integers (an array's values
            in C order).

    Raises:
        TypeError: other values.
    """
    entries = b""
    for key in sorted(features):
        feature = _field(2, _serialized(features[key]))
        entries += _field(1, _field(1, key.encode()) + feature)
    return _field(1, entries)


def _serialized(value: bytes | Sequence | np.ndarray) -> bytes:
    if isinstance(value, bytes):
        value = [value]
    if isinstance(value, list | tuple) and value and isinstance(value[0], bytes):
        return _field(BYTES, b"".join(_field(1, item) for item in value))
    array = np.asarray(value).ravel()
    if array.dtype.kind == "f":
        return _field(FLOATS, _field(1, array.astype("<f4").tobytes()))
    if array.dtype.kind in "bi" or array.dtype.kind == "u" and array.itemsize < 8:
        numbers = array.astype(np.int64).tolist()
        return _field(INTEGERS, _field(1, b"".join(map(_varint, numbers))))
    raise TypeError(f"features are bytes, floats or integers, got {array.dtype}")


def _feature(data: memoryview) -> Feature:
    feature: Feature = []
    for number, _, field in _fields(data):
        if number == BYTES:
            feature = [bytes(item) for item in _sized(field, 1)]
        elif number == FLOATS:
            feature = np.frombuffer(b"".join(_floats(field)), "<f4").astype(np.float32)
        elif number == INTEGERS:
            feature = np.array(list(_integers(field)), np.uint64).astype(np.int64)
    return feature


def _floats(data: memoryview) -> Iterator[memoryview]:
    for number, wire, field in _fields(data):
        if number == 1 and wire in (FOUR, SIZED):  # one, or many packed
            yield field


def _integers(data: memoryview) -> Iterator[int]:
    for number, wire, field in _fields(data):
        if number == 1 and wire == VARINT:
            yield field
        elif number == 1 and wire == SIZED:
            at = 0
            while at < len(field):
                value, at = _read_varint(field, at)
                yield value


def _sized(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """The fields of one number that hold bytes."""
    for number, wire, field in _fields(data):
        if number == wanted and wire == SIZED:
            yield field


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Number, wire type and value of each field, also of those nobody asks for."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _read_varint(data, at)
            yield number, wire, value
            continue
        if wire == SIZED:
            size, at = _read_varint(data, at)
        elif wire in (FOUR, EIGHT):
            size = 4 if wire == FOUR else 8
        else:
            raise ValueError(f"wire type {wire} in field {number}")
        if at + size > len(data):
            raise ValueError(f"field {number} goes on beyond the end")
        yield number, wire, data[at : at + size]
        at += size


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for i in range(10):
        if at + i >= len(data):
            break
        byte = data[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + i + 1
    raise ValueError("an integer does not end")


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | SIZED) + _varint(len(data)) + data
