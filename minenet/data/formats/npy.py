"""NumPy arrays `[H, W, C]` beside PNG masks, as in Detecting_Mining_Areas_India.

Its masks are 0 and 255, its images rasters turned into arrays, which lose their place
on the ground. An array that would need pickle to read is refused, as pickle runs code.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from minenet.data import scenes
from minenet.data.formats import masks as masks_
from minenet.data.formats import pictures
from minenet.data.formats.labelled import LabelledImage, OnError, distinct, each
from minenet.data.formats.masks import Values
from minenet.data.scenes import Paths, Scene
from minenet.files import replacing
from minenet.types import InputError, UnreadableError

VALUES = {0: 0, 255: 1}
"""Value of a mask → class id."""


def read(
    images: str | os.PathLike[str],
    masks: Paths | None = None,
    *,
    values: Values = VALUES,
    on_error: OnError = None,
) -> Iterator[LabelledImage]:
    """Yields the arrays of a folder with their masks, in the order of names.

    Args:
        images: folder of .npy files, or a glob of them.
        masks: folder of rasters, found by name; None if there are none.
        values: value of a mask → class id; None if masks hold ids.
        on_error: see `labelled.OnError`.

    Raises:
        InputError: a file that cannot be read, or has no partner; sizes that differ.
    """
    glob = Path(images, "*.npy") if Path(images).is_dir() else images
    found = scenes.discover(
        [scenes.find(glob, key="images")],
        masks=None if masks is None else scenes.find(masks, key="masks"),
        lonely=on_error,
    )

    def load(scene: Scene) -> LabelledImage:
        labels = None if scene.label is None else masks_.read(scene.label, values)
        return LabelledImage(scene.name, load_array(scene.images[0]), labels)

    yield from each({scene.name: scene for scene in found}, load, on_error)


def write(
    samples: Iterable[LabelledImage],
    images: str | os.PathLike[str],
    masks: str | os.PathLike[str] | None = None,
    *,
    values: Mapping[int, int] | None = None,
) -> int:
    """Writes samples as `<name>.npy` and `<name>.png`, and returns how many.

    Args:
        samples: of distinct names; crs and affine are lost.
        images: folder.
        masks: folder of the labels, not written if None.
        values: class id → value of a mask; the inverse of `VALUES` if None.

    Raises:
        InputError: two samples of one name; an id without value; the disk.
    """
    values = {to: value for value, to in VALUES.items()} if values is None else values
    count = 0
    for sample in distinct(samples):
        save_array(Path(images, f"{sample.name}.npy"), sample.image)
        if masks is not None:
            masks_.write(Path(masks, f"{sample.name}.png"), sample, values)
        count += 1
    return count


def from_rasters(rasters: Paths, folder: str | os.PathLike[str]) -> list[str]:
    """Turns each raster into `folder/<name>.npy`, `[H, W, C]`, and returns their paths.

    Values are those stored; NaN in floats where a band is not valid.

    Raises:
        InputError: a raster that cannot be read, or two of one name.
    """
    made = []
    for path in scenes.find(rasters, key="rasters"):
        target = Path(folder, f"{Path(path).stem}.npy")
        if str(target) in made:
            raise InputError(f"{path}: another raster makes {target}; rename one")
        save_array(target, pictures.read(path)[1])
        made.append(str(target))
    return made


def load_array(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns the image `[H, W, C]` of a file of `[H, W, C]` or `[H, W]`.

    Raises:
        UnreadableError: it is not there, is damaged or needs pickle, or is larger than
            `pictures.LIMIT_BYTES`.
        InputError: it is no picture of numbers.
    """
    try:
        # A map takes no memory by what the header claims, and no pickle.
        with np.errstate(over="raise"):
            array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise UnreadableError(
            f"{os.fspath(path)}: not a .npy file of numbers ({reason}); write it again "
            "by numpy.save"
        ) from error
    if array.ndim not in (2, 3) or array.dtype.kind not in "biuf":
        raise InputError(
            f"{os.fspath(path)}: must be numbers [H, W, C], got {array.dtype} "
            f"{array.shape}"
        )
    pictures.check_size(path, *array.shape, dtype=array.dtype)
    native = array.dtype.newbyteorder("=")
    return np.array(array.reshape(*array.shape[:2], -1), native, order="C")


def save_array(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Writes a .npy file, whole or not at all."""
    with replacing(path) as part:
        np.save(part, array, allow_pickle=False)
