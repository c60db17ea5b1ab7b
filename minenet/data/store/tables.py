"""Tables as arrays of one dimension, strings as codes into lists of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from minenet.data.store import arrays, location

NONE = -1
"""The code, or the number, of what is not known."""


def encode(values: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Returns the code of each value, -1 where it is none of the names.

    >>> encode(["b", "", "a"], ["a", "b"]).tolist()
    [1, -1, 0]
    """
    codes = {name: i for i, name in enumerate(names)}
    return np.array([codes.get(value, NONE) for value in values], np.int32)


def decode(codes: np.ndarray, names: Sequence[str]) -> list[str]:
    """Returns the names of codes, "" for -1."""
    return ["" if code < 0 else names[code] for code in codes]


def write(
    url: str, frame: pd.DataFrame, *, group: str = "", dimension: str = "chip"
) -> None:
    """Writes each column of numbers as an array; integers as int32, others float64."""
    import tensorstore

    for name, column in frame.items():
        whole = np.issubdtype(column.dtype, np.integer)
        values = column.to_numpy(np.int32 if whole else np.float64)
        spec = {
            "driver": "zarr3",
            "kvstore": location.spec(url, f"{group}/{name}".strip("/")),
            "metadata": {
                "shape": [len(values)],
                "data_type": values.dtype.name,
                "chunk_grid": {
                    "name": "regular",
                    "configuration": {"chunk_shape": [max(1, len(values))]},
                },
                "fill_value": NONE if whole else "NaN",
                "dimension_names": [dimension],
            },
        }
        array = tensorstore.open(spec, create=True, delete_existing=True).result()
        array.write(values).result()


def read(url: str, columns: Sequence[str], *, group: str = "") -> pd.DataFrame:
    """Returns the columns that `write` wrote."""
    paths = {name: f"{group}/{name}".strip("/") for name in columns}
    found = arrays.opened(url, paths.values())
    waiting = {name: found[path][:].read() for name, path in paths.items()}
    return pd.DataFrame({name: values.result() for name, values in waiting.items()})


def named(frame: pd.DataFrame, names: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Returns the frame with the columns of `names` decoded."""
    columns = {name: decode(frame[name], each) for name, each in names.items()}
    return frame.assign(**columns)
