"""Arrays of a store opened for this process: `array[at].read().result()`.

TensorStore ends a forked process that uses it after its parent did, and nobody can know
whether another library of the parent did. There zarr-python reads instead. Chips in a
folder that are not compressed need neither; see `mapped`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from minenet.data.store import location
from minenet.data.store.layout import Layout
from minenet.data.store.mapped import MappedArray

CACHE_BYTES = 64 << 20
"""TensorStore's cache of a process: the places of chunks in shards, and some chunks."""

_threads_lost = False


def chips(url: str, layout: Layout) -> dict[str, Any]:
    """Returns the arrays of chips, opened in this process to be read.

    Raises:
        RuntimeError: as `opened`.
    """
    names = layout.arrays()
    if layout.codec != "none" or "://" in url:
        return opened(url, names)
    return {
        name: _Array(MappedArray(Path(url, name), metadata))
        for name, metadata in names.items()
    }


def opened(url: str, names: Iterable[str]) -> dict[str, Any]:
    """Returns the arrays of the names, opened in this process to be read.

    Raises:
        RuntimeError: a forked process whose parent had TensorStore, without zarr-python
            or for a bucket.
    """
    return (_by_zarr if _threads_lost else writable)(url, names)


def writable(url: str, names: Iterable[str]) -> dict[str, Any]:
    """Returns TensorStore's arrays of the names."""
    import tensorstore

    waiting = {
        name: tensorstore.open(
            {
                "driver": "zarr3",
                "kvstore": location.spec(url, name),
                # Shards never change once they are there.
                "recheck_cached_data": "open",
                "recheck_cached_metadata": "open",
                # A shard of nothing but NaN must appear too.
                "store_data_equal_to_fill_value": name == "image",
            },
            context=_context(),
        )
        for name in names
    }
    return {name: each.result() for name, each in waiting.items()}


@functools.cache
def _context():
    import tensorstore

    return tensorstore.Context({"cache_pool": {"total_bytes_limit": CACHE_BYTES}})


def _by_zarr(url: str, names: Iterable[str]) -> dict[str, Any]:
    try:
        import zarr
    except ImportError:
        zarr = None
    if zarr is None or "://" in url:
        raise RuntimeError(
            f"{url}: a forked process cannot use TensorStore after its parent loaded "
            "it; start workers with spawn, or for a local store install zarr"
        )
    group = zarr.open_group(url, mode="r")
    return {name: _Array(group[name]) for name in names}


class _Array:
    """An array as numpy indexes it, read as TensorStore's are."""

    def __init__(self, array: Any):
        self._array = array

    def __getitem__(self, at: Any) -> _Reading:
        return _Reading(self._array, at)


class _Reading:
    def __init__(self, array: Any, at: Any):
        self._array, self._at = array, at

    def read(self) -> _Reading:
        return self

    def result(self) -> np.ndarray:
        return self._array[self._at]


def _after_fork() -> None:
    global _threads_lost
    _threads_lost = _threads_lost or "tensorstore" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
