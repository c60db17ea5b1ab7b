"""Plain folders: images and masks of the same names, PNG, JPEG or TIFF.

Also the way from every other format to `data.prepare`, which reads such folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from minenet.data import scenes
from minenet.data.formats import masks as masks_
from minenet.data.formats import pictures
from minenet.data.formats.labelled import LabelledImage, OnError, distinct, each
from minenet.data.formats.masks import Values
from minenet.data.scenes import Paths, Scene
from minenet.geo import raster


def read(
    images: Paths | Sequence[Paths],
    masks: Paths | None = None,
    *,
    values: Values = None,
    overlapping: bool = False,
    on_error: OnError = None,
) -> Iterator[LabelledImage]:
    """Yields the pictures of a folder with their masks, in the order of names.

    Args:
        images: a folder, a glob or a file; several stack as bands.
        masks: likewise, found by name; None if there are none.
        values: value of a mask → class id, 255 for what does not count; None if masks
            hold ids. `{1: 0, 2: 1}` reads masks of 1 and 2, `{-1: 255, 0: 0, 1: 1}`
            those in which -1 is unknown.
        overlapping: whether masks have a band of 0 and 1 for each class instead.
        on_error: see `labelled.OnError`.

    Raises:
        InputError: a file that cannot be read, or has no partner; sizes that differ.
    """
    found = scenes.discover(
        scenes.stacks(images),
        masks=None if masks is None else scenes.find(masks, key="masks"),
        lonely=on_error,
    )

    def load(scene: Scene) -> LabelledImage:
        parts = [pictures.read(path) for path in scene.images]
        infos = [info for info, _, _ in parts]
        labels = None
        if scene.label is not None:
            raster.match([*infos, raster.info(scene.label)])
            labels = (
                masks_.read_overlapping(scene.label)
                if overlapping
                else masks_.read(scene.label, values)
            )
        else:
            raster.match(infos)
        everywhere = any(valid is None for _, _, valid in parts)
        names = tuple(name for info in infos for name in info.bands)
        return LabelledImage(
            name=scene.name,
            image=np.concatenate([image for _, image, _ in parts], -1),
            labels=labels,
            valid=None if everywhere else np.any([v for _, _, v in parts], axis=0),
            crs=infos[0].crs,
            affine=infos[0].affine,
            bands=names if all(info.described for info in infos) else None,
        )

    yield from each({scene.name: scene for scene in found}, load, on_error)


def write(
    samples: Iterable[LabelledImage],
    images: str | os.PathLike[str],
    masks: str | os.PathLike[str] | None = None,
    *,
    suffix: str = ".tif",
    mask_suffix: str = ".tif",
) -> int:
    """Writes samples as files of their names, and returns how many.

    Args:
        samples: of distinct names.
        images: folder.
        masks: folder of the labels, not written if None.
        suffix: .tif keeps all; .png pixels and what is valid; .jpg nearly the pixels.
        mask_suffix: .tif or .png.

    Raises:
        InputError: two samples of one name; what the format does not hold; the disk.
    """
    count = 0
    for sample in distinct(samples):
        pictures.write_image(Path(images, f"{sample.name}{suffix}"), sample)
        if masks is not None:
            masks_.write(Path(masks, f"{sample.name}{mask_suffix}"), sample)
        count += 1
    return count
