"""Open rasters, lent to one reader at a time.

Opening a GeoTIFF costs more than reading a chip from it, yet a GDAL dataset may be used
by one thread at a time and never on both sides of a fork. So open datasets wait in one
pool: `opened` takes one out for as long as the `with` block lasts, and opens another
where none waits. Any thread may take what another gave back.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import Interleaving
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from minenet.geo import png
from minenet.types import UnreadableError

CACHE_BYTES = 256 << 20
"""GDAL's block cache, for the whole process; its own default is 5 % of the machine."""

IDLE = 64
"""Datasets kept open that nobody uses; file descriptors are a limited resource."""

FAILURES = (RasterioError, CPLE_BaseError, OSError, SystemError)
"""What GDAL's failures come as; rasterio lets some through as they are."""

BLOCK_BYTES = 1 << 30
"""Of one block, which GDAL decodes whole however few of its pixels are read."""

EMPTIEST = 1 << 20
"""Bytes of pixels for a byte of a file: an empty tile costs 16 bytes of its index."""

HOLDS_ITSELF = {"GTiff", "PNG", "JPEG", "JP2OpenJPEG", "BMP"}
"""Drivers whose pixels lie in the file; a VRT of a few lines may show the world."""

_lock = threading.Lock()
_idle: OrderedDict[tuple, list[rasterio.DatasetReader]] = OrderedDict()
_abandoned: list[Any] = []
_filtering = threading.Lock()


def environment() -> rasterio.Env:
    """Returns the GDAL settings under which this library reads and writes."""
    return rasterio.Env(
        GDAL_CACHEMAX=CACHE_BYTES,
        # Else a JPEG that ends early is filled up with grey.
        GDAL_ERROR_ON_LIBJPEG_WARNING=True,
        # Else of a PNG with too few pixels the rest is what the memory held.
        GDAL_PNG_WHOLE_IMAGE_OPTIM=False,
    )


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[rasterio.DatasetReader]:
    """Lends a dataset of `path` that no one else uses meanwhile.

    A file that was replaced since is opened anew.

    Raises:
        UnreadableError: there is no such file; it is damaged, or claims a size that it
            cannot have; GDAL fails within the block.
    """
    key = _identity(path)
    with environment():
        dataset = _take(key) or _open(path)
        try:
            yield dataset
        except FAILURES as error:
            dataset.close()
            raise UnreadableError(
                f"{os.fspath(path)}: cannot be read ({one_line(error)}); the file is "
                "truncated or damaged, copy or download it again"
            ) from error
        except BaseException:
            dataset.close()  # its state after a failed read is not known
            raise
        _give_back(key, dataset)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences rasterio's warning that a picture has no coordinates.

    Pictures are welcome, and `RasterInfo.crs` says that there is no CRS. Filters of
    warnings belong to the process, also those that rasterio itself sets where it makes
    a dataset, hence the lock: one thread at a time.
    """
    with _filtering, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def open_quietly(path: str | os.PathLike[str], *args, **options):
    """Calls `rasterio.open` in `quiet`."""
    with quiet():
        return rasterio.open(path, *args, **options)


def close() -> None:
    """Closes every waiting dataset."""
    with _lock:
        waiting = [dataset for datasets in _idle.values() for dataset in datasets]
        _idle.clear()
    for dataset in waiting:
        dataset.close()


def one_line(error: BaseException) -> str:
    """Returns the message of an error, or of what caused it, on one line."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    cause = error.__cause__ or error.__context__
    return one_line(cause) if cause and "previous exception" in text else text


def _identity(path: str | os.PathLike[str]) -> tuple:
    try:
        status = os.stat(path)
    except OSError:  # a URL or another of GDAL's virtual paths
        return (os.fspath(path),)
    return (os.fspath(path), status.st_ino, status.st_size, status.st_mtime_ns)


def _open(path: str | os.PathLike[str]) -> rasterio.DatasetReader:
    name = os.fspath(path)
    try:
        dataset = open_quietly(path)
    except FAILURES as error:
        if "://" not in name and not name.startswith("/vsi"):
            if not Path(name).exists():
                raise UnreadableError(
                    f"{name}: no such raster; check the path"
                ) from error
        raise UnreadableError(
            f"{name}: not a raster that GDAL can read ({one_line(error)}); give a "
            "GeoTIFF or another GDAL raster, whole"
        ) from error
    try:
        _check_sizes(name, dataset)
        if dataset.driver == "PNG":
            png.check_file(path)
    except UnreadableError:
        dataset.close()
        raise
    return dataset


def _check_sizes(name: str, dataset: rasterio.DatasetReader) -> None:
    """Raises where a header claims what no machine or no such file could hold."""
    widths = [np.dtype(dtype).itemsize for dtype in dataset.dtypes]
    total = sum(widths)
    if dataset.interleaving == Interleaving.pixel:
        widths = [total] * len(widths)  # a block holds all bands
    shapes = zip(dataset.block_shapes, widths, strict=True)
    block = max((height * width * size for (height, width), size in shapes), default=0)
    if block > BLOCK_BYTES:
        raise UnreadableError(
            f"{name}: one of its blocks takes {block / 2**30:.3g} GiB, where it may "
            f"take {BLOCK_BYTES >> 30}; write it anew in tiles "
            "(gdal_translate -co TILED=YES), or leave it out if it is damaged"
        )
    pixels = dataset.height * dataset.width * total
    if dataset.driver not in HOLDS_ITSELF or not os.path.isfile(name):
        return
    held = os.path.getsize(name)
    if pixels > max(BLOCK_BYTES, held * EMPTIEST):
        raise UnreadableError(
            f"{name}: {dataset.height} x {dataset.width} pixels of {dataset.count} "
            f"bands in a file of {held} bytes, which cannot be; the file is damaged"
        )


def _take(key: tuple) -> rasterio.DatasetReader | None:
    with _lock:
        datasets = _idle.get(key)
        if not datasets:
            return None
        dataset = datasets.pop()
        if not datasets:
            del _idle[key]
        return dataset


def _give_back(key: tuple, dataset: rasterio.DatasetReader) -> None:
    surplus = []
    with _lock:
        _idle.setdefault(key, []).append(dataset)
        _idle.move_to_end(key)
        while sum(map(len, _idle.values())) > IDLE:
            oldest = next(iter(_idle))
            surplus.append(_idle[oldest].pop(0))
            if not _idle[oldest]:
                del _idle[oldest]
    for each in surplus:
        each.close()


def _after_fork() -> None:
    """Leaves the parent's datasets alone: they share file positions and locks."""
    global _lock, _filtering
    _abandoned.append(dict(_idle))  # a reference, so that nothing closes them
    _idle.clear()
    _lock = threading.Lock()
    _filtering = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(close)  # while GDAL still stands
