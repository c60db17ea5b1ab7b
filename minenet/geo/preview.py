"""A raster as a small picture, whatever its size."""

from __future__ import annotations

import os

import numpy as np

from minenet.geo import handles, raster
from minenet.geo.raster import Bands
from minenet.types import UnreadableError


def read(path: str | os.PathLike[str], *, bands: Bands, side: int) -> np.ndarray:
    """Reads every n-th pixel of a raster, from overviews where it has them.

    Args:
        path: any raster that GDAL reads.
        bands: names or 1-based numbers of its own, in the order wanted.
        side: the picture's longer side in pixels, at most.

    Returns:
        `[h, w, C]` float32 as stored, with NaN where a band is not valid.

    Raises:
        UnreadableError: the file is damaged.
    """
    info = raster.info(path)
    named = dict(zip(info.bands, info.numbers, strict=True))
    numbers = [named.get(band, band) for band in bands]
    shrunk = max(1.0, max(info.height, info.width) / side)
    shape = max(1, round(info.height / shrunk)), max(1, round(info.width / shrunk))
    with handles.opened(path) as dataset:
        try:
            image = dataset.read(numbers, out_shape=(len(numbers), *shape))
            valid = dataset.read_masks(numbers, out_shape=image.shape) != 0
        except handles.FAILURES as error:
            raise UnreadableError(
                f"{path}: cannot be read ({handles.one_line(error)}); the file is "
                "truncated or damaged, copy or download it again"
            ) from error
    with np.errstate(over="ignore", invalid="ignore"):
        image = image.astype(np.float32)
    image[~(valid & np.isfinite(image))] = np.nan
    return np.moveaxis(image, 0, -1)
