"""Tables of text, whose fields may be megabytes long."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pandas as pd

from minenet.types import InputError, UnreadableError


def read(path: str | os.PathLike[str], columns: Sequence[str]) -> pd.DataFrame:
    """Returns a CSV file, every value as it is written, empty where a row ends early.

    Python's own reader stops at fields of 131 072 characters, and the outline of one
    forest is longer.

    Raises:
        UnreadableError: no CSV file; a row that is too long.
        InputError: without one of `columns`.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        reason = " ".join(str(error).split())
        raise UnreadableError(
            f"{os.fspath(path)}: not a CSV table that can be read ({reason}); see that "
            "it is whole and its quotes are closed"
        ) from error
    for column in columns:
        if column not in frame.columns:
            raise InputError(
                f"{os.fspath(path)}: no column {column!r}; it has "
                f"{', '.join(frame.columns)}"
            )
    return frame
