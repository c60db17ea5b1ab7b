"""Label rasters of one picture: class ids, or a band for each overlapping class."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from minenet.data.formats import pictures
from minenet.data.formats.labelled import LabelledImage
from minenet.data.label import labels
from minenet.geo import raster
from minenet.geo.windows import Window
from minenet.types import IGNORE, InputError

Values = Mapping[float, int] | None
"""Value of a mask → class id, 255 for what does not count; None if masks hold ids."""


def read(path: str | os.PathLike[str], values: Values = None) -> np.ndarray:
    """Returns the class ids `[H, W]` uint8 of a mask.

    Raises:
        InputError: unreadable; a value that `values` does not name; bands that differ.
    """
    info = pictures.measured(path)
    if values is None:
        values = _ids(path)
    window = Window(0, 0, info.height, info.width)
    return labels.from_mask(os.fspath(path), values)(window)


def read_overlapping(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns `[H, W, K]` uint8 of a raster with a band for each class.

    0 and 1, the one value other than 0 and 255; 255 in all bands where one has it.

    Raises:
        InputError: unreadable; a value that is neither 0 nor 255 nor one other.
    """
    info = pictures.measured(path)
    window = Window(0, 0, info.height, info.width)
    bands = labels.from_mask(
        os.fspath(path), {0: 0, IGNORE: IGNORE}, channels=info.bands
    )
    return bands(window)


def write(
    path: str | os.PathLike[str],
    sample: LabelledImage,
    values: Mapping[int, int] | None = None,
) -> None:
    """Writes the labels of a sample, whole or not at all, on its grid where TIFF.

    Args:
        path: ends in .tif or .png; .tif for overlapping classes.
        sample: nothing is written where it has no labels.
        values: class id → value of the mask; None writes ids.

    Raises:
        InputError: an id without value; another suffix; the disk.
    """
    if sample.labels is None:
        return
    if str(path).lower().endswith((".jpg", ".jpeg")):
        raise InputError(f"{path}: JPEG would mix class values; use .png or .tif")
    mask = sample.labels if sample.labels.ndim == 3 else sample.labels[..., None]
    if values is not None:
        table = np.array([values.get(i, -1) for i in range(IGNORE + 1)])
        mask = table[mask]
        if (mask < 0).any():
            unnamed = np.unique(sample.labels[mask[..., 0] < 0])[:8]
            raise InputError(
                f"{path}: ids {', '.join(map(str, unnamed))} without a value; name "
                f"them beside {dict(values)}"
            )
        mask = mask.astype(np.uint8)
    pictures.write(path, mask, crs=sample.crs, affine=sample.affine)


def _ids(path: str | os.PathLike[str]) -> dict[int, int]:
    """The ids that a mask holds, each as itself."""
    image, valid = raster.read(path)
    ids = np.arange(IGNORE + 1)
    wrong = np.unique(image[valid & ~np.isin(image, ids)])[:8]
    if wrong.size:
        raise InputError(
            f"{os.fspath(path)}: values {', '.join(f'{v:g}' for v in wrong)} are no "
            f"class ids, 0 to {IGNORE}; name their ids in values"
        )
    return {i: i for i in np.intersect1d(image, ids).astype(int).tolist()}
