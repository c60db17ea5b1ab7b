"""Whole pictures: read, written, and coded in memory, never larger than a limit.

A file of some kilobytes can claim, and rightly, to hold terabytes. What a format needs
whole is measured by its header before a pixel is read; scenes that are larger in
earnest are for `geo.raster`, which reads windows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader, MemoryFile

from minenet.data.formats.labelled import NOWHERE, LabelledImage
from minenet.files import replacing
from minenet.geo import handles, png, raster
from minenet.types import InputError, UnreadableError

LIMIT_BYTES = 2 << 30
"""Of one decoded picture: 20 bands of 16 bits, 7 300 pixels square."""

BLOCK = 256
"""Side of the tiles of a larger TIFF, about that of the windows read from it."""

DRIVERS = {
    ".tif": "GTiff",
    ".tiff": "GTiff",
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
}

STARTS = {
    png.START: "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
}
"""First bytes of the files that are decoded in memory. Of no others, because some of
GDAL's formats may refer to files of this machine."""

HELD = {
    "GTiff": "uint8 uint16 uint32 uint64 int16 int32 int64 float32 float64",
    "PNG": "uint8 uint16",
    "JPEG": "uint8",
}
"""Types of values; of PNG and JPEG in one band or three, as a fourth is alpha."""


def check_size(
    name: str | os.PathLike[str], *shape: int, dtype: np.typing.DTypeLike
) -> None:
    """Checks what an array of a file would take in memory.

    Raises:
        UnreadableError: more than `LIMIT_BYTES`.
    """
    size = np.dtype(dtype).itemsize
    for length in shape:
        size *= int(length)
    if size > LIMIT_BYTES:
        raise UnreadableError(
            f"{os.fspath(name)}: {' x '.join(map(str, shape))} values of "
            f"{np.dtype(dtype)}, {size / 2**30:.3g} GiB, where a picture may take "
            f"{LIMIT_BYTES / 2**30:.3g}; cut it into smaller ones, or give it to "
            "prepare as a scene, which is read by windows"
        )


def measured(path: str | os.PathLike[str]) -> raster.RasterInfo:
    """Returns what a raster says about itself, if it may be read whole.

    Raises:
        UnreadableError: it is damaged, or larger than `LIMIT_BYTES`.
        InputError: as `raster.info`.
    """
    info = raster.info(path)
    check_size(path, info.height, info.width, len(info.bands), dtype=info.dtype)
    return info


def read(
    path: str | os.PathLike[str],
) -> tuple[raster.RasterInfo, np.ndarray, np.ndarray | None]:
    """Reads a raster whole.

    Returns:
        What the file says of itself; the image `[H, W, C]` as stored, NaN in floats
        where a band is not valid; and where any band is valid `[H, W]`, None for
        everywhere.

    Raises:
        UnreadableError: it is damaged, or larger than `LIMIT_BYTES`.
    """
    info = measured(path)
    image, valid = raster.read(path)
    if image.dtype.kind == "f":
        image[~valid] = np.nan
    somewhere = valid.any(-1)
    return info, image, None if somewhere.all() else somewhere


def colors(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads the colours `[H, W, C]` of a picture; those of its table if it has one.

    Raises:
        UnreadableError: it is damaged, or larger than `LIMIT_BYTES`.
    """
    with handles.opened(path) as dataset:
        return _pixels(dataset, path)


def decode(data: bytes, *, name: str) -> np.ndarray:
    """Returns the pixels `[H, W, C]` of a PNG, JPEG or TIFF file in memory.

    Args:
        data: the file.
        name: of it, for errors.

    Raises:
        UnreadableError: it is no such file, is damaged, or larger than `LIMIT_BYTES`.
    """
    drivers = [driver for start, driver in STARTS.items() if data.startswith(start)]
    if not drivers:
        raise UnreadableError(f"{name}: its bytes are no PNG, JPEG or TIFF file")
    png.check(data, name=name)
    told = _told(UnreadableError, f"{name}: cannot be read as a picture")
    with handles.environment(), told, MemoryFile(data) as memory:
        with handles.open_quietly(memory.name, driver=drivers[0]) as dataset:
            return _pixels(dataset, name)


def encode(image: np.ndarray) -> bytes:
    """Returns the PNG file of an image `[H, W, 1 or 3]`, uint8 or uint16.

    Raises:
        InputError: PNG does not hold such an image.
    """
    _check_holds(image, ".png", "image")
    with handles.environment(), MemoryFile() as memory:
        with handles.quiet():
            dataset = memory.open(**_profile(image, "PNG"))
        with dataset:
            dataset.write(np.moveaxis(image, -1, 0))
        return memory.read()


def write(
    path: str | os.PathLike[str],
    image: np.ndarray,
    *,
    valid: np.ndarray | None = None,
    crs: CRS | None = None,
    affine: Affine = NOWHERE,
    bands: tuple[str, ...] | None = None,
) -> None:
    """Writes a picture, whole or not at all, in the format of its suffix.

    TIFF keeps everything. PNG keeps pixels, and `valid` as alpha; JPEG nearly keeps
    pixels.

    Args:
        path: ends in .tif, .tiff, .png or .jpg.
        image: `[H, W, C]`.
        valid: `[H, W]` bool, None for everywhere.
        crs: of the grid, or None.
        affine: of the grid.
        bands: become the bands' descriptions.

    Raises:
        InputError: another suffix; an image that the format does not hold; the disk.
    """
    suffix = Path(path).suffix.lower()
    _check_holds(image, suffix, os.fspath(path))
    if valid is not None and DRIVERS[suffix] == "JPEG":
        raise InputError(f"{path}: JPEG has no mask of valid pixels; use .tif or .png")
    if valid is not None and suffix == ".png":
        alpha = np.where(valid, np.iinfo(image.dtype).max, 0).astype(image.dtype)
        image, valid = np.concatenate([image, alpha[..., None]], -1), None
    profile = _profile(image, DRIVERS[suffix])
    if DRIVERS[suffix] == "GTiff":
        profile |= {"crs": crs, "transform": affine}
        # Or a fourth band would become alpha.
        profile |= {"photometric": "minisblack"}
        profile |= {"compress": "deflate", "bigtiff": "if_safer"}
        if min(image.shape[:2]) > BLOCK:  # in strips a window costs the whole width
            profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
    with contextlib.ExitStack() as stack:
        part = stack.enter_context(replacing(path))
        stack.enter_context(handles.environment())
        stack.enter_context(rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True))
        with _told(InputError, f"{os.fspath(path)}: cannot be written"):
            with handles.open_quietly(part, "w", **profile) as dataset:
                dataset.write(np.moveaxis(image, -1, 0))
                if DRIVERS[suffix] == "GTiff" and bands is not None:
                    dataset.descriptions = bands
                if valid is not None:
                    dataset.write_mask(valid)


def write_image(path: str | os.PathLike[str], sample: LabelledImage) -> None:
    """Writes the image of a sample, as `write` does."""
    write(
        path,
        sample.image,
        valid=sample.valid,
        crs=sample.crs,
        affine=sample.affine,
        bands=sample.bands,
    )


def _pixels(dataset: DatasetReader, name: str | os.PathLike[str]) -> np.ndarray:
    check_size(
        name, dataset.height, dataset.width, dataset.count, dtype=dataset.dtypes[0]
    )
    image = np.moveaxis(dataset.read(), 0, -1)
    if dataset.colorinterp[0] != ColorInterp.palette:
        return np.ascontiguousarray(image)
    table = np.zeros((256, 4), np.uint8)
    for value, color in dataset.colormap(1).items():
        table[value] = color
    return table[image[..., 0]]


def _profile(image: np.ndarray, driver: str) -> dict:
    height, width, count = image.shape
    quality = {"quality": 95} if driver == "JPEG" else {}
    return {
        "driver": driver,
        "height": height,
        "width": width,
        "count": count,
        "dtype": image.dtype,
        **quality,
    }


def _check_holds(image: np.ndarray, suffix: str, name: str) -> None:
    if suffix not in DRIVERS:
        raise InputError(f"{name}: writes {', '.join(DRIVERS)}, not {suffix!r}")
    driver, bands = DRIVERS[suffix], image.shape[-1]
    held = image.dtype.name in HELD[driver].split()
    if not held or (driver != "GTiff" and bands not in (1, 3)):
        raise InputError(
            f"{name}: {suffix} does not hold {bands} bands of {image.dtype}; "
            f"it holds {HELD[driver]}" + (" in 1 or 3" if driver != "GTiff" else "")
        )


@contextlib.contextmanager
def _told(kind: type[InputError], what: str) -> Iterator[None]:
    try:
        yield
    except handles.FAILURES as error:
        raise kind(
            f"{what} ({handles.one_line(error)}); see that the file and the disk are "
            "whole"
        ) from error
