"""The folder of DSTL's Kaggle challenge: WorldView-3 in 20 bands, 10 classes.

A picture is up to four rasters without a CRS, each of another size: three_band
(`RGB`), and of sixteen_band panchromatic (`P`), multispectral (`M`) and short-wave
infrared (`A`). They show the same ground from edge to edge, so they are registered by
size: each is resampled to the pixels of the first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rasterio.enums import Resampling

from minenet.data.formats import dstl_wkt, pictures
from minenet.data.formats.labelled import LabelledImage, OnError, each
from minenet.geo import handles, raster
from minenet.types import InputError

PLACES = {
    "RGB": "three_band/{}.tif",
    "P": "sixteen_band/{}_P.tif",
    "M": "sixteen_band/{}_M.tif",
    "A": "sixteen_band/{}_A.tif",
}
COUNTS = {"RGB": 3, "P": 1, "M": 8, "A": 8}


def read(
    folder: str | os.PathLike[str],
    *,
    sets: Sequence[str] = ("RGB", "P", "M", "A"),
    outlines: str | None = "train_wkt_v4.csv",
    sizes: str = "grid_sizes.csv",
    names: Sequence[str] | None = None,
    on_error: OnError = None,
) -> Iterator[LabelledImage]:
    """Yields pictures with bands `RGB_1 … RGB_3, P_1, M_1 … M_8, A_1 … A_8`.

    Args:
        folder: of the challenge's files.
        sets: rasters to stack; the first one's pixels are the grid.
        outlines: table in the folder, None to read pictures without labels.
        sizes: table in the folder.
        names: ImageIds; those of `outlines` if None, or else of `sizes`. A picture
            that `outlines` does not have has no labels.
        on_error: see `labelled.OnError`.

    Raises:
        UnreadableError: a raster that is not there or is damaged.
        InputError: a table that cannot be used; a raster of another number of bands; a
            picture without a size.
    """
    if not sets or (unknown := set(sets) - set(PLACES)):
        raise ValueError(
            f"sets={tuple(sets)}: must be of {', '.join(PLACES)}"
            + (f", not {', '.join(sorted(unknown))}" if sets else "")
        )
    spans = dstl_wkt.read_sizes(Path(folder, sizes))
    drawn = {} if outlines is None else dstl_wkt.read_outlines(Path(folder, outlines))
    if names is None:
        names = list(spans if outlines is None else drawn)

    def load(name: str) -> LabelledImage:
        if name not in spans:
            raise InputError(f"{Path(folder, sizes)}: no row of {name}; add its size")
        image = _stacked(Path(folder), name, sets)
        labels = None
        if name in drawn:
            height, width = image.shape[:2]
            labels = dstl_wkt.rasterize(
                drawn[name], height=height, width=width, size=spans[name]
            )
        bands = tuple(f"{s}_{i}" for s in sets for i in range(1, COUNTS[s] + 1))
        return LabelledImage(name, image, labels, bands=bands)

    yield from each({name: name for name in names}, load, on_error)


def _stacked(folder: Path, name: str, sets: Sequence[str]) -> np.ndarray:
    """The rasters of a picture `[H, W, C]` on the grid of the first."""
    infos = []
    for s in sets:
        infos.append(pictures.measured(folder / PLACES[s].format(name)))
        if len(infos[-1].bands) != COUNTS[s]:
            raise InputError(
                f"{infos[-1].path}: {len(infos[-1].bands)} bands, expected the "
                f"{COUNTS[s]} of {s}"
            )
    height, width = infos[0].height, infos[0].width
    count = sum(COUNTS[s] for s in sets)
    dtype = np.result_type(*(info.dtype for info in infos))
    pictures.check_size(infos[0].path, height, width, count, dtype=dtype)
    image, at = np.empty((height, width, count), dtype), 0
    for info in infos:
        bands = len(info.bands)
        image[..., at : at + bands] = _resampled(info, height, width)
        at += bands
    return image


def _resampled(info: raster.RasterInfo, height: int, width: int) -> np.ndarray:
    with handles.opened(info.path) as dataset:
        read = dataset.read(
            info.numbers,
            out_shape=(len(info.numbers), height, width),
            resampling=Resampling.cubic,
        )
    return np.moveaxis(read, 0, -1)
