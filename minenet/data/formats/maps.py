"""The maps of a model, `<name>_class.tif` as `infer.scene` writes them, as other files.

A map says by itself which classes it has, so a folder of maps is all that is needed,
but for what its format asks for beside it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minenet.data import scenes
from minenet.data.formats import (
    coco_writer,
    deforestation,
    dstl_wkt,
    npy,
    pictures,
    runs,
)
from minenet.data.formats import options as options_
from minenet.data.formats.labelled import LabelledImage
from minenet.geo import handles
from minenet.types import IGNORE, InputError, Task

SUFFIX = "_class.tif"


@dataclasses.dataclass(frozen=True)
class Maps:
    """Maps of one model.

    Attributes:
        paths: of the class maps, in the order of their names.
        task: what their ids are.
        classes: names; the first exclusive one is the background.
    """

    paths: tuple[Path, ...]
    task: Task
    classes: tuple[str, ...]

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the ids 1, 2, …, or of the bands."""
        return self.classes[self.task == "exclusive" :]


def find(folder: str | os.PathLike[str]) -> Maps:
    """Returns the class maps of a folder.

    Raises:
        InputError: there are none, or they are not of one model.
    """
    paths = sorted(Path(folder).glob(f"*{SUFFIX}"))
    if not paths:
        raise InputError(f"{folder}: no maps NAME{SUFFIX}; --mode=predict makes them")
    told = {}
    for path in paths:
        with handles.opened(path) as dataset:
            tags = dataset.tags()
        if not {"MINENET_TASK", "MINENET_CLASSES"} <= tags.keys():
            raise InputError(f"{path}: does not name its classes, so no map of minenet")
        told.setdefault((tags["MINENET_TASK"], tags["MINENET_CLASSES"]), path)
    if len(told) > 1:
        one, other, *_ = told.values()
        raise InputError(f"{other}: has other classes than {one}; export them apart")
    ((task, names),) = told
    return Maps(tuple(paths), task, tuple(names.split(",")))


def read(maps: Maps) -> Iterator[LabelledImage]:
    """Yields each map as labels, without an image (0 bands); 255 has no data."""
    for path in maps.paths:
        info, ids, _ = pictures.read(path)
        yield LabelledImage(
            name=_name(path),
            image=np.zeros((*ids.shape[:2], 0), np.uint8),
            labels=ids if maps.task == "multilabel" else ids[..., 0],
            crs=info.crs,
            affine=info.affine,
        )


def export(
    name: str | None,
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    **options: Any,
) -> int:
    """Writes a folder of maps in a format, and returns how many maps.

    Args:
        name: "coco" (JSON; `style`), "dstl" (table of WKT; `sizes`, `min_area_px`,
            `simplify_px`), "npy" (folder of ids), "runs" (table; `order`, `columns`) or
            "tfrecord" (folder; `images`). None is an error that lists them.
        folder: of the maps.
        out: file or folder.
        **options: of the format. `sizes` is the challenge's table of grid sizes,
            `images` what was mapped, RGB of 8 bits, found by name.

    Raises:
        InputError: no such format or option; classes that the format cannot say.
    """
    writer = options_.bound(WRITERS, name, options)
    maps = find(folder)
    writer(maps, Path(out))
    return len(maps.paths)


def _coco(maps, out, *, style="polygons"):
    coco_writer.write(
        out, _known(read(maps)), None, classes=maps.objects, style=style, suffix=".tif"
    )


def _dstl(maps, out, *, sizes, min_area_px=0.0, simplify_px=0.0):
    if unknown := [name for name in maps.objects if name not in dstl_wkt.CLASSES]:
        raise InputError(
            f"{maps.paths[0]}: {', '.join(unknown)} is no class of DSTL; it has "
            f"{', '.join(dstl_wkt.CLASSES)}"
        )
    bands = [dstl_wkt.CLASSES.index(name) for name in maps.objects]

    def placed(sample):
        labels = sample.labels
        if labels.ndim == 2:
            labels = labels[..., None] == np.arange(1, len(bands) + 1)
        masks = np.zeros((*labels.shape[:2], len(dstl_wkt.CLASSES)), np.uint8)
        masks[..., bands] = labels
        return sample.name, masks

    found = map(placed, _known(read(maps)))
    dstl_wkt.write(
        out,
        found,
        dstl_wkt.read_sizes(sizes),
        min_area_px=min_area_px,
        simplify_px=simplify_px,
    )


def _npy(maps, out):
    for sample in read(maps):
        npy.save_array(out / f"{sample.name}.npy", sample.labels)


def _runs(maps, out, *, order, columns=runs.COLUMNS):
    if maps.task != "binary":
        raise InputError(
            f"{maps.paths[0]}: {len(maps.objects)} classes, but a table of runs has one"
        )
    runs.write(out, read(maps), order=order, columns=tuple(columns))


def _tfrecord(maps, out, *, images):
    if maps.task == "multilabel":
        raise InputError(
            f"{maps.paths[0]}: classes that overlap, but these records have one a pixel"
        )
    found = {Path(path).stem: path for path in scenes.find(images, key="images")}
    for path in maps.paths:
        if _name(path) not in found:
            raise InputError(f"{path}: the image that it maps is not in {images}")

    def pictured(sample):
        image = pictures.read(found[sample.name])[1]
        return dataclasses.replace(sample, image=image)

    classes = 1 + len(maps.objects)
    deforestation.write(map(pictured, read(maps)), out, classes=classes)


WRITERS: dict[str, Callable[..., None]] = {
    "coco": _coco,
    "dstl": _dstl,
    "npy": _npy,
    "runs": _runs,
    "tfrecord": _tfrecord,
}


def _known(samples: Iterable[LabelledImage]) -> Iterator[LabelledImage]:
    """Nothing is found where there are no data."""
    for sample in samples:
        labels = np.where(sample.labels == IGNORE, np.uint8(0), sample.labels)
        yield dataclasses.replace(sample, labels=labels)


def _name(path: Path) -> str:
    return path.name.removesuffix(SUFFIX)
