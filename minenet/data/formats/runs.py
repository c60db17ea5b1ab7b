"""Run-length codes: a mask as the starts and lengths of its runs of ones.

The text is `start length start length …`, with starts from 1, along rows or along
columns; competitions use both, and the same text means another mask in each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from minenet.data import pairing, scenes
from minenet.data.formats import pictures, tables
from minenet.data.formats.labelled import LabelledImage, OnError, distinct, each
from minenet.data.scenes import Paths
from minenet.files import replacing
from minenet.types import InputError

Order = Literal["rows", "columns"]
COLUMNS = ("ImageId", "EncodedPixels")


def encode(mask: np.ndarray, *, order: Order) -> str:
    """Returns the code of a mask `[H, W]`, empty where it has no pixel.

    >>> encode(np.array([[0, 1, 1], [1, 0, 0]]), order="rows")
    '2 3'
    >>> encode(np.array([[0, 1, 1], [1, 0, 0]]), order="columns")
    '2 2 5 1'
    """
    line = (mask if _along_rows(order) else mask.T).ravel() != 0
    edges = np.flatnonzero(np.diff(line, prepend=False, append=False))
    starts, stops = edges[0::2], edges[1::2]
    return " ".join(
        map(str, np.stack([starts + 1, stops - starts], axis=1).ravel().tolist())
    )


def decode(
    code: str, height: int, width: int, *, order: Order, name: str = "code"
) -> np.ndarray:
    """Returns the mask `[height, width]` uint8 of a code.

    Args:
        code: of starts and lengths; runs in any order, that may meet.
        height: in pixels.
        width: in pixels.
        order: along what the runs go.
        name: of the code, for errors.

    Raises:
        InputError: no whole numbers, an odd count of them, or runs beyond the picture.
    """
    try:
        numbers = np.array([int(word) for word in code.split()], np.int64)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{name}: not a run-length code ({error})") from error
    if numbers.size % 2:
        raise InputError(
            f"{name}: {numbers.size} numbers, expected pairs: start length"
        )
    starts, lengths = numbers[0::2] - 1, numbers[1::2]
    size = height * width
    wrong = (starts < 0) | (lengths < 1) | (lengths > size) | (starts > size - lengths)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise InputError(
            f"{name}: the run {numbers[2 * i]} {numbers[2 * i + 1]} leaves the "
            f"{size} pixels of {height} x {width}; starts count from 1"
        )
    # +1 where a run starts, -1 behind its end.
    steps = np.zeros(size + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + lengths, -1)
    line = (np.cumsum(steps[:-1]) > 0).astype(np.uint8)
    if _along_rows(order):
        return line.reshape(height, width)
    return np.ascontiguousarray(line.reshape(width, height).T)


def read(
    table: str | os.PathLike[str],
    images: Paths,
    *,
    order: Order,
    columns: tuple[str, str] = COLUMNS,
    on_error: OnError = None,
) -> Iterator[LabelledImage]:
    """Yields the pictures that a table has codes of; rows of one picture are united.

    Args:
        table: CSV; an empty code is a picture without the class.
        images: a folder, a glob or a file.
        order: along what the runs go.
        columns: of the picture's file name, with or without suffix, and of its code.
        on_error: see `labelled.OnError`.

    Raises:
        InputError: a table or picture that cannot be read; a picture that is not there;
            a code that is none.
    """
    frame = tables.read(table, columns)
    paths = scenes.find(images, key="images")
    files = dict(zip(pairing.names(paths), paths, strict=True))
    codes = frame[columns[1]].groupby(frame[columns[0]], sort=False).agg(list)

    def load(item: tuple[str, list[str]]) -> LabelledImage:
        image_id, texts = item
        stem = Path(image_id).stem
        name = image_id if image_id in files else stem
        if name not in files:
            raise InputError(
                f"{os.fspath(table)}: no picture of {image_id!r} among the "
                f"{len(files)} of {os.fspath(images)}"
            )
        info, image, valid = pictures.read(files[name])
        labels = np.zeros(image.shape[:2], np.uint8)
        for text in texts:
            where = f"{os.fspath(table)}: {image_id}"
            labels |= decode(text, *labels.shape, order=order, name=where)
        return LabelledImage(name, image, labels, valid, info.crs, info.affine)

    yield from each({key: (key, codes[key]) for key in codes.index}, load, on_error)


def write(
    table: str | os.PathLike[str],
    samples: Iterable[LabelledImage],
    *,
    order: Order,
    columns: tuple[str, str] = COLUMNS,
) -> int:
    """Writes a row of each sample's pixels of class 1, and returns how many rows.

    Raises:
        InputError: two samples of one name; labels that are not `[H, W]`; the disk.
    """
    rows = []
    for sample in distinct(samples):
        if sample.labels is None or sample.labels.ndim != 2:
            raise InputError(f"{sample.name}: a run-length code needs labels [H, W]")
        rows.append((sample.name, encode(sample.labels == 1, order=order)))
    with replacing(table) as part:
        pd.DataFrame(rows, columns=list(columns)).to_csv(part, index=False)
    return len(rows)


def _along_rows(order: Order) -> bool:
    if order not in ("rows", "columns"):
        raise ValueError(f"order={order!r}: must be 'rows' or 'columns'")
    return order == "rows"
