"""Rasters out: strips of any shape go in, a whole Cloud Optimised GeoTIFF appears.

GDAL's COG driver only copies, so strips land in a plain tiled file beside the target
and one last pass makes the COG. Nothing takes the target's name before it is whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.windows
from affine import Affine
from rasterio.crs import CRS

from minenet.files import replacing
from minenet.geo import handles
from minenet.types import InputError

BLOCK = 512

Write = Callable[..., None]


@contextlib.contextmanager
def create(
    path: str | os.PathLike[str],
    *,
    height: int,
    width: int,
    count: int,
    dtype: np.typing.DTypeLike,
    crs: CRS | None,
    affine: Affine,
    nodata: float | None = None,
    band_names: Sequence[str] | None = None,
    scales: Sequence[float] | None = None,
    tags: Mapping[str, object] | None = None,
    cog: bool = True,
) -> Iterator[Write]:
    """Yields `write(array [h, w, count], row, col=0)`; the file appears at the end.

    Pixels never written hold `nodata`, or 0. If the body raises, nothing is left behind
    and a file that stood at `path` before stays as it was.

    Args:
        path: of the GeoTIFF.
        height: in pixels.
        width: in pixels.
        count: number of bands.
        dtype: of every band; `write` accepts no other.
        crs: or None.
        affine: pixel (col, row) → CRS (x, y), of any orientation.
        nodata: value of pixels that are not valid, or None.
        band_names: become the bands' descriptions.
        scales: factor of each band to its unit, for readers that ask for it.
        tags: metadata of the file; values become strings.
        cog: whether to add overviews and the COG layout.

    Raises:
        InputError: the file cannot be written: no space, no permission.
    """
    dtype = np.dtype(dtype)
    options = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": count,
        "dtype": dtype,
        "crs": crs,
        "transform": affine,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "if_safer",
        "photometric": "minisblack",  # or GDAL takes a fourth band for alpha
    }
    with contextlib.ExitStack() as stack:
        with _told(path):
            part = stack.enter_context(replacing(path))
            plain = part.with_name(f"{part.name}.plain.tif")
            stack.callback(plain.unlink, missing_ok=True)
            _reserve(plain, _tiled_bytes(height, width, count, dtype))
            stack.enter_context(handles.environment())
            dataset = handles.open_quietly(plain, "w", **options)
        try:
            if band_names is not None:
                dataset.descriptions = tuple(band_names)
            if scales is not None:
                dataset.scales = tuple(scales)
            dataset.update_tags(**{k: str(v) for k, v in (tags or {}).items()})

            def write(array: np.ndarray, row: int, col: int = 0) -> None:
                _check(array, row, col, dataset)
                shape = array.shape[1], array.shape[0]
                window = rasterio.windows.Window(col, row, *shape)
                with _told(path):
                    dataset.write(np.moveaxis(array, -1, 0), window=window)

            yield write
            with _told(path):
                dataset.close()
                if plain.stat().st_size < _tiled_bytes(height, width, count, dtype):
                    raise OSError("the disk did not take all of it")
                _copy(plain, part, dtype, cog)
                _compare(plain, part)
        finally:
            with contextlib.suppress(Exception):  # told already, or the body's own
                dataset.close()


def _tiled_bytes(height: int, width: int, count: int, dtype: np.dtype) -> int:
    tiles = -(-height // BLOCK) * -(-width // BLOCK)
    return tiles * BLOCK * BLOCK * count * dtype.itemsize


def _reserve(plain: Path, size: int) -> None:
    """Raises OSError at once, not after hours, where `size` bytes have no room."""
    with open(plain, "wb") as file:
        file.truncate(size)  # takes no space, but meets the limit of a file's size
    free = shutil.disk_usage(plain.parent).free
    if free < size:
        raise OSError(
            f"no space: {size >> 20} MiB needed while writing, {free >> 20} MiB free"
        )


def _copy(plain: Path, part: Path, dtype: np.dtype, cog: bool) -> None:
    options = {"compress": "deflate", "bigtiff": "if_safer", "num_threads": "all_cpus"}
    if cog:
        options |= {
            "driver": "COG",
            "blocksize": BLOCK,
            "predictor": "yes",
            # A mean of class ids would be the id of another class.
            "overview_resampling": "average" if dtype.kind == "f" else "nearest",
        }
    else:
        options |= {
            "driver": "GTiff",
            "tiled": True,
            "blockxsize": BLOCK,
            "blockysize": BLOCK,
            "predictor": 3 if dtype.kind == "f" else 2,
        }
    rasterio.shutil.copy(plain, part, **options)


def _compare(plain: Path, part: Path) -> None:
    """Reads back what was written: on a full disk GDAL may lose tiles in silence."""
    with handles.open_quietly(plain) as wanted, handles.open_quietly(part) as found:
        for row in range(0, wanted.height, BLOCK):
            rows = min(BLOCK, wanted.height - row)
            window = rasterio.windows.Window(0, row, wanted.width, rows)
            for band in wanted.indexes:
                pair = (file.read(band, window=window) for file in (wanted, found))
                if not np.array_equal(*pair, equal_nan=wanted.dtypes[0][0] == "f"):
                    raise OSError(f"rows {row} to {row + rows} read back otherwise")


def _check(array: np.ndarray, row: int, col: int, dataset) -> None:
    if array.ndim != 3 or array.shape[-1] != dataset.count:
        raise ValueError(
            f"array must be [height, width, {dataset.count}], got {array.shape}"
        )
    if array.dtype != dataset.dtypes[0]:
        raise TypeError(f"array must be {dataset.dtypes[0]}, got {array.dtype}")
    bottom, right = row + array.shape[0], col + array.shape[1]
    if row < 0 or col < 0 or bottom > dataset.height or right > dataset.width:
        raise ValueError(
            f"rows {row}:{bottom}, columns {col}:{right} leave the raster of "
            f"{dataset.height} x {dataset.width}"
        )


@contextlib.contextmanager
def _told(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except handles.FAILURES as error:
        raise InputError(
            f"{os.fspath(path)}: cannot be written ({handles.one_line(error)}); see "
            "that the disk has space left and that the folder may be written to"
        ) from error
