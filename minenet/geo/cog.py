"""Rasters out: strips of any shape go in, a whole Cloud Optimised GeoTIFF appears.

GDAL's COG driver only copies, so strips land in a plain tiled file beside the target and
one last pass makes the COG. Nothing takes the target's name before it is whole.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioError

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
    with _told(path, "cannot be created"):
        target = contextlib.ExitStack()
        part = target.enter_context(replacing(path))
    with target:
        plain = part.with_name(f"{part.name}.plain.tif")
        try:
            with handles.environment():
                with _told(path, "cannot be created"):
                    dataset = handles.open_quietly(
                        plain,
                        "w",
                        driver="GTiff",
                        height=height,
                        width=width,
                        count=count,
                        dtype=dtype,
                        crs=crs,
                        transform=affine,
                        nodata=nodata,
                        tiled=True,
                        blockxsize=BLOCK,
                        blockysize=BLOCK,
                        bigtiff="if_safer",
                        photometric="minisblack",
                        alpha="no",
                    )
                with dataset:
                    if band_names is not None:
                        dataset.descriptions = tuple(band_names)
                    if scales is not None:
                        dataset.scales = tuple(scales)
                    dataset.update_tags(**{k: str(v) for k, v in (tags or {}).items()})

                    def write(array: np.ndarray, row: int, col: int = 0) -> None:
                        _check(array, row, col, dataset)
                        window = rasterio.windows.Window(
                            col, row, array.shape[1], array.shape[0]
                        )
                        with _told(path, "cannot be written"):
                            dataset.write(np.moveaxis(array, -1, 0), window=window)

                    yield write
                with _told(path, "cannot be written"):
                    _copy(plain, part, dtype, cog)
        finally:
            plain.unlink(missing_ok=True)


def _copy(plain: Path, part: Path, dtype: np.dtype, cog: bool) -> None:
    options = {"compress": "deflate", "bigtiff": "if_safer", "blocksize": BLOCK}
    if cog:
        resampling = "average" if dtype.kind == "f" else "nearest"
        options |= {"predictor": "yes", "overview_resampling": resampling}
    else:
        options |= {"tiled": True, "predictor": 3 if dtype.kind == "f" else 2}
    rasterio.shutil.copy(plain, part, driver="COG" if cog else "GTiff", **options)


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
def _told(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    try:
        yield
    except (RasterioError, OSError) as error:
        raise InputError(
            f"{os.fspath(path)}: {what} ({handles.one_line(error)}); see that the disk "
            "has space left and the folder may be written to"
        ) from error
