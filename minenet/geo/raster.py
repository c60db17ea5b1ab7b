"""Rasters in: windows of any GDAL file as `[H, W, C]` with a mask of what is valid.

What makes a pixel invalid differs from file to file: a nodata value, a mask band, an
alpha band, NaN, or lying beyond the edge. Here each becomes False in `valid`, band by
band, and NaN in `read_float`. Values come as stored unless `scaled` asks for
`value * scale + offset`, the file's own units.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import rasterio.windows
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from minenet.geo import handles
from minenet.geo.cog import create
from minenet.geo.windows import Window, clip
from minenet.types import InputError, UnreadableError

__all__ = ["RasterInfo", "create", "info", "match", "read", "read_float"]

CHOOSE = (
    "choose their grid by config.data.grid, bring both to one (gdalwarp), or leave the "
    "scene out by config.data.exclude"
)

StrPath = str | os.PathLike[str]
Bands = Sequence[str | int]

_described: WeakKeyDictionary[DatasetReader, RasterInfo] = WeakKeyDictionary()
"""Datasets stay open between reads; to ask all of this takes as long as to read."""


@dataclass(frozen=True)
class RasterInfo:
    """What a raster says about itself; an alpha band is not among its bands.

    Attributes:
        path: as it was given.
        height: in pixels.
        width: in pixels.
        bands: names; the descriptions if every band has its own, else `band_<number>`.
        numbers: the bands' 1-based numbers in the file.
        described: whether `bands` come from the file.
        dtype: that holds the values of all bands.
        crs: or None, as in a plain picture.
        affine: pixel (col, row) → CRS (x, y); the identity where the file has none.
        nodata: per band, or None.
        scales: per band, 1 where the file has none.
        offsets: per band, 0 where the file has none.
        alpha: 1-based number of the alpha band, or None.
    """

    path: str
    height: int
    width: int
    bands: tuple[str, ...]
    numbers: tuple[int, ...]
    described: bool
    dtype: np.dtype
    crs: CRS | None
    affine: Affine
    nodata: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    alpha: int | None


def info(path: StrPath) -> RasterInfo:
    """Returns what a raster says about itself, without reading pixels.

    Raises:
        UnreadableError: it is missing, damaged, or claims a size that it cannot have.
        InputError: it has no data bands, holds complex numbers, or is placed by ground
            control points alone.
    """
    with handles.opened(path) as dataset:
        return _describe(os.fspath(path), dataset)


def read(
    path: StrPath,
    window: Window | None = None,
    *,
    bands: Bands | None = None,
    scaled: bool = False,
    nodata: Sequence[float | None] | None = None,
    masked: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Reads a window of a raster.

    Args:
        path: any raster that GDAL reads.
        window: may reach beyond the scene; the whole scene if None.
        bands: 1-based numbers or names, in the order wanted; all data bands if None.
        scaled: whether to apply the file's scale and offset.
        nodata: for each band a stored number that is not valid, or None, beside what
            the file itself says.
        masked: whether what the file itself says counts; else all within it is valid.

    Returns:
        The image `[H, W, C]` in the file's dtype (float32 if scaled), and `valid`
        `[H, W, C]` bool. Values of invalid pixels mean nothing; beyond the edge they
        are 0.

    Raises:
        UnreadableError: as `info`; pixels that are damaged.
        InputError: as `info`; a band that is not there.
    """
    with handles.opened(path) as dataset:
        raster = _describe(os.fspath(path), dataset)
        places = [_place(raster, band) for band in _wanted(raster, bands)]
        if window is None:
            window = Window(0, 0, raster.height, raster.width)
        shape = (window.height, window.width, len(places))
        image, valid = np.zeros(shape, raster.dtype), np.zeros(shape, bool)
        inside = clip(window, raster.height, raster.width)
        if inside is not None:
            row, col = inside.row - window.row, inside.col - window.col
            here = np.s_[row : row + inside.height, col : col + inside.width]
            try:
                _fill(image[here], valid[here], dataset, raster, places, inside)
                if not masked:
                    valid[here] = True
            except handles.FAILURES as error:
                raise UnreadableError(
                    f"{path}: cannot be read at {inside} ({handles.one_line(error)}); "
                    "the file is truncated or damaged, copy or download it again"
                ) from error
    for i, value in enumerate(nodata or ()):
        if value is not None:
            valid[..., i] &= image[..., i] != value
    if scaled:
        scales, offsets = np.array(raster.scales), np.array(raster.offsets)
        image = (image * scales[places] + offsets[places]).astype(np.float32)
    return image, valid


def read_float(
    path: StrPath,
    window: Window | None = None,
    *,
    bands: Bands | None = None,
    scaled: bool = False,
    nodata: Sequence[float | None] | None = None,
    masked: bool = True,
) -> np.ndarray:
    """Reads a window as `[H, W, C]` float32 with NaN wherever a band is invalid.

    Arguments and errors are those of `read`. A value too large for float32 is NaN too:
    undeclared fill values look like that.
    """
    image, valid = read(
        path, window, bands=bands, scaled=scaled, nodata=nodata, masked=masked
    )
    with np.errstate(over="ignore", invalid="ignore"):
        image = image.astype(np.float32, copy=False)
    image[~(valid & np.isfinite(image))] = np.nan
    return image


def match(infos: Sequence[RasterInfo]) -> None:
    """Checks that rasters lie on one grid, so that their bands can be stacked.

    Raises:
        InputError: sizes differ, or the places of two georeferenced rasters by more
            than a tenth of a pixel; the message names both files.
    """
    first = infos[0]
    for other in infos[1:]:
        if (first.height, first.width) != (other.height, other.width):
            raise InputError(
                f"{other.path}: {other.height} x {other.width} pixels, but "
                f"{first.path} has {first.height} x {first.width}; {CHOOSE}"
            )
        if first.crs is None or other.crs is None:
            continue
        if first.crs != other.crs:
            raise InputError(
                f"{other.path}: CRS {other.crs.to_string()}, but {first.path} has "
                f"{first.crs.to_string()}; {CHOOSE}"
            )
        corners = [(0, 0), (0, first.height), (first.width, 0)]
        apart = ~first.affine @ other.affine
        shifts = [np.subtract(apart @ corner, corner) for corner in corners]
        if np.abs(shifts).max() > 0.1:
            raise InputError(
                f"{other.path}: its pixels lie up to {np.abs(shifts).max():.3g} pixels "
                f"away from those of {first.path}; {CHOOSE}"
            )


def _describe(path: str, dataset: DatasetReader) -> RasterInfo:
    if dataset not in _described:
        _described[dataset] = _examine(path, dataset)
    return _described[dataset]


def _examine(path: str, dataset: DatasetReader) -> RasterInfo:
    alpha = [
        number
        for number, role in zip(dataset.indexes, dataset.colorinterp, strict=True)
        if role == ColorInterp.alpha
    ]
    numbers = tuple(n for n in dataset.indexes if n not in alpha)
    if not numbers:
        inner = ", ".join(dataset.subdatasets[:4])
        hint = f"it contains other rasters, give one of them: {inner}" if inner else ""
        raise InputError(f"{path}: no data bands; {hint or 'give another raster'}")
    at = [number - 1 for number in numbers]
    dtypes = [dataset.dtypes[i] for i in at]
    if any("complex" in dtype for dtype in dtypes):
        raise InputError(
            f"{path}: complex numbers; write their amplitude or dB to a raster first"
        )
    gcps = dataset.gcps[0]
    if dataset.transform == Affine.identity() and (gcps or dataset.rpcs):
        means = f"{len(gcps)} ground control points" if gcps else "RPCs"
        raise InputError(
            f"{path}: placed by {means} alone, no affine grid; warp it first "
            "(gdalwarp in.tif out.tif) and give the result"
        )
    names = tuple(dataset.descriptions[i] or "" for i in at)
    described = all(names) and len(set(names)) == len(names)
    return RasterInfo(
        path=path,
        height=dataset.height,
        width=dataset.width,
        bands=names if described else tuple(f"band_{number}" for number in numbers),
        numbers=numbers,
        described=described,
        dtype=np.result_type(*dtypes),
        crs=dataset.crs or None,
        affine=dataset.transform,
        nodata=tuple(dataset.nodatavals[i] for i in at),
        scales=tuple(dataset.scales[i] for i in at),
        offsets=tuple(dataset.offsets[i] for i in at),
        alpha=alpha[0] if alpha else None,
    )


def _wanted(raster: RasterInfo, bands: Bands | None) -> Bands:
    if isinstance(bands, str | int):
        raise TypeError(f"bands must be a sequence, got {bands!r}")
    return raster.numbers if bands is None else bands


def _place(raster: RasterInfo, band: str | int) -> int:
    """The place of a band among the data bands."""
    known = raster.bands if isinstance(band, str) else raster.numbers
    if band not in known:
        listed = ", ".join(
            f"{number} {name}"
            for number, name in zip(raster.numbers, raster.bands, strict=True)
        )
        raise InputError(f"{raster.path}: no band {band!r}; it has {listed}")
    return known.index(band)


def _fill(
    image: np.ndarray,
    valid: np.ndarray,
    dataset: DatasetReader,
    raster: RasterInfo,
    places: list[int],
    inside: Window,
) -> None:
    """Writes the pixels of `inside`, which lies in the scene, into two views."""
    numbers = [raster.numbers[place] for place in places]
    span = rasterio.windows.Window(inside.col, inside.row, inside.width, inside.height)
    if len({dataset.dtypes[number - 1] for number in numbers}) == 1:
        dataset.read(numbers, window=span, out=np.moveaxis(image, -1, 0))
    else:
        for i, number in enumerate(numbers):
            image[..., i] = dataset.read(number, window=span)

    nodata = [raster.nodata[place] for place in places]
    flags = dataset.mask_flag_enums
    if raster.alpha is not None and any(value is not None for value in nodata):
        # GDAL would forget the alpha band over the nodata value; a pixel needs both.
        valid[...] = (dataset.read(raster.alpha, window=span) != 0)[..., None]
        for i, value in enumerate(nodata):
            valid[..., i] &= value is None or image[..., i] != value
    elif all(MaskFlags.all_valid in flags[number - 1] for number in numbers):
        valid[...] = True
    else:
        masks = dataset.read_masks(numbers, window=span)
        valid[...] = np.moveaxis(masks, 0, -1) != 0
    if raster.dtype.kind == "f":
        valid &= np.isfinite(image)
