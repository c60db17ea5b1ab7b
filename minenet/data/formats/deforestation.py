"""The TFRecords of Vorotyntsev et al. 2021: PNG images and one-hot masks.

An Example holds `image`, a PNG file, and `mask`, the bytes of a float32 one-hot array
`[H, W, K]`; 23 of them make a file.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from minenet.data import scenes
from minenet.data.formats import example, pictures, tfrecord
from minenet.data.formats.labelled import LabelledImage, OnError, distinct, each
from minenet.data.scenes import Paths
from minenet.types import IGNORE, InputError, UnreadableError

PER_FILE = 23
NAME = "tfrecords_v2_part_{}.tfrec"


def read(
    paths: Paths, *, classes: int = 3, on_error: OnError = None
) -> Iterator[LabelledImage]:
    """Yields the examples of files in the order of their names.

    Args:
        paths: a file, or a glob or folder of .tfrec and .tfrecord files.
        classes: K of the masks.
        on_error: see `labelled.OnError`; a damaged record is left out, and of a file
            that ends early or has a damaged length, the rest.

    Raises:
        UnreadableError: a damaged file or example.
        InputError: no files; an example without image, or with a mask of another size,
            or one that is not one-hot.
    """
    folder = Path(paths)
    if folder.is_dir():
        files = sorted(str(p) for p in folder.iterdir() if ".tfrec" in p.suffix)
        if not files:
            raise InputError(f"{folder}: no .tfrec or .tfrecord files; check the path")
    else:
        files = scenes.find(paths, key="paths")
    for path in files:
        try:
            for number, data in tfrecord.numbered(path, on_error=on_error):
                where = f"{path}: record {number}"
                name = f"{Path(path).stem}_{number:04d}"
                load = functools.partial(_sample, where=where, classes=classes)
                yield from each({where: (name, data)}, load, on_error)
        except UnreadableError as error:
            if on_error is None:
                raise
            on_error(path, error)


def write(
    samples: Iterable[LabelledImage],
    folder: str | os.PathLike[str],
    *,
    classes: int = 3,
    per_file: int = PER_FILE,
) -> list[str]:
    """Writes samples to `tfrecords_v2_part_<1, 2, …>.tfrec`, and returns the paths.

    Args:
        samples: of uint8 images `[H, W, 3]` with labels `[H, W]`; pixels that do not
            count have no class in the mask.
        folder: of the files.
        classes: K of the masks.
        per_file: examples in a file.

    Raises:
        InputError: other images; no labels; an id from `classes` on; the disk.
    """
    paths, samples = [], distinct(samples)
    while first := next(samples, None):
        part = itertools.chain([first], itertools.islice(samples, per_file - 1))
        path = Path(folder, NAME.format(len(paths) + 1))
        tfrecord.write(path, (_record(sample, classes) for sample in part))
        paths.append(str(path))
    return paths


def _sample(item: tuple[str, bytes], *, where: str, classes: int) -> LabelledImage:
    name, data = item
    features = example.decode(data, name=where)
    held = {}
    for key in ("image", "mask"):
        value = features.get(key)
        if not isinstance(value, list) or len(value) != 1:
            raise InputError(
                f"{where}: needs one byte string {key!r}; it has "
                f"{', '.join(sorted(features)) or 'no features'}"
            )
        held[key] = value[0]
    image = pictures.decode(held["image"], name=where)
    # Grey becomes red, green and blue; alpha is left.
    image = image[..., :3] if image.shape[-1] > 2 else image[..., [0, 0, 0]]
    height, width, _ = image.shape
    if len(held["mask"]) != 4 * height * width * classes:
        raise InputError(
            f"{where}: mask of {len(held['mask'])} bytes, expected float32 of "
            f"{height} x {width} x {classes}; give the number of classes"
        )
    mask = np.frombuffer(held["mask"], "<f4").reshape(height, width, classes)
    total = mask.sum(-1)
    if not (np.isin(mask, (0, 1)).all() and (total <= 1).all()):
        raise InputError(
            f"{where}: mask is not one-hot, 0 with a single 1 in each pixel"
        )
    labels = np.where(total == 1, mask.argmax(-1), IGNORE).astype(np.uint8)
    return LabelledImage(name, image, labels)


def _record(sample: LabelledImage, classes: int) -> bytes:
    image, labels = sample.image, sample.labels
    if image.dtype != np.uint8 or image.shape[-1] != 3:
        raise InputError(
            f"{sample.name}: image must be uint8 [H, W, 3], got {image.dtype} "
            f"{image.shape}"
        )
    if labels is None or labels.ndim != 2:
        raise InputError(f"{sample.name}: needs labels [H, W]")
    strange = np.setdiff1d(labels, [*range(classes), IGNORE])
    if strange.size:
        raise InputError(
            f"{sample.name}: labels {', '.join(map(str, strange[:8]))}, where classes "
            f"are 0 to {classes - 1}; give the number of classes"
        )
    mask = (labels[..., None] == np.arange(classes)).astype("<f4")
    return example.encode({"image": pictures.encode(image), "mask": mask.tobytes()})
