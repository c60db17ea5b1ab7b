"""Every format by its name, with labels as a task wants them.

The formats differ in what their labels are: values, colours, outlines of named kinds,
some of which overlap. Here each becomes the ids of a task's classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minenet.data.formats import coco, deforestation, dstl, dstl_wkt, npy, runs
from minenet.data.formats import options as options_
from minenet.data.formats import palette as palette_
from minenet.data.formats.labelled import LabelledImage, OnError
from minenet.data.label import classes as classes_
from minenet.data.scenes import Paths
from minenet.types import IGNORE, InputError, Task


@dataclasses.dataclass(frozen=True)
class Labelling:
    """What labels are to become.

    Attributes:
        task: "binary", "exclusive", or "multilabel".
        classes: names; the first exclusive one is the background.
        values: value of a mask, or name of a kind of object, → id, 255 for what does
            not count. If None, kinds are the classes of their names.
    """

    task: Task
    classes: tuple[str, ...]
    values: Mapping[Any, int] | None = None

    @property
    def ids(self) -> int:
        """How many ids one band of a mask may hold."""
        return len(self.classes) if self.task == "exclusive" else 2

    def of_kinds(self, kinds: Sequence[str], source: str) -> dict[str, int]:
        """Returns the id of each kind of object that is asked for, from 1.

        Raises:
            InputError: no such kind; an id that is none.
        """
        values = self.values
        if values is None:
            if self.task == "binary" and len(kinds) == 1:
                return {kinds[0]: 1}
            wanted = self.classes[self.task == "exclusive" :]
            values = {kind: i for i, kind in enumerate(wanted, start=1)}
        if unknown := [str(kind) for kind in values if kind not in kinds]:
            raise InputError(
                f"{source}: no {', '.join(unknown)}; it has {', '.join(kinds)}: name "
                "classes so, or tell the id of each kind in values"
            )
        last = len(self.classes) - (self.task == "exclusive")
        for kind, i in values.items():
            if i not in (*range(last + 1), IGNORE):
                raise InputError(
                    f"values: {kind!r} → {i!r}, expected an id from 0 to {last}, or "
                    f"{IGNORE} for what does not count"
                )
        return {kind: i for kind, i in values.items() if i}

    def merged(self, masks: np.ndarray, ids: Sequence[int]) -> np.ndarray:
        """Returns labels of masks `[H, W, N]` of 0 and 1, those of later ids on top.

        What does not count is on top of all, in every band where classes overlap.
        """
        height, width, _ = masks.shape
        overlap = self.task == "multilabel"
        shape = (height, width, len(self.classes)) if overlap else (height, width)
        labels = np.zeros(shape, np.uint8)
        for band, i in sorted(enumerate(ids), key=lambda pair: pair[1] == IGNORE):
            here = masks[..., band] != 0
            if overlap and i != IGNORE:
                labels[..., i - 1][here] = 1
            else:
                labels[here] = i
        return labels


def names() -> tuple[str, ...]:
    """Returns the names of the formats."""
    return tuple(READERS)


def read(
    name: str,
    images: Paths,
    *,
    task: Task = "binary",
    classes: Sequence[str] = ("mine",),
    values: Mapping[Any, int] | None = None,
    on_error: OnError = None,
    **options: Any,
) -> Iterator[LabelledImage]:
    """Yields the samples of a format, one in memory at a time.

    Args:
        name: of the format.
        images: its pictures, or where its files lie.
        task: see `Labelling`, as the next two.
        classes: names.
        values: value → id.
        on_error: see `labelled.OnError`.
        **options: of the format; None is as good as not given.

    Raises:
        UnreadableError: a file that is missing or damaged.
        InputError: no such format or option; an option that it needs is missing; what
            its reader raises.
    """
    reader = options_.bound(READERS, name, options)
    return reader(images, Labelling(task, tuple(classes), values), on_error)


def _coco(images, labelling, on_error, *, annotations):
    known = coco.load(annotations)
    ids = labelling.of_kinds(list(known.categories), known.source)
    found = coco.read(
        annotations, images, task="multilabel", classes=list(ids), on_error=on_error
    )
    return _merged(found, labelling, ids.values())


def _dstl(images, labelling, on_error, *, annotations="train_wkt_v4.csv", sets=None):
    ids = labelling.of_kinds(dstl_wkt.CLASSES, "the ten classes of DSTL")
    options = {} if sets is None else {"sets": sets}
    found = dstl.read(images, outlines=annotations, on_error=on_error, **options)
    bands = [dstl_wkt.CLASSES.index(kind) for kind in ids]
    chosen = (
        dataclasses.replace(sample, labels=sample.labels[..., bands])
        for sample in found
    )
    return _merged(chosen, labelling, ids.values())


def _npy(images, labelling, on_error, *, masks):
    _one_class_a_pixel("npy", labelling)
    rule = classes_.rule(labelling.task, labelling.classes, labelling.values)
    return npy.read(images, masks, values=rule.ids, on_error=on_error)


def _palette(images, labelling, on_error, *, masks, palette, ignore=()):
    _one_class_a_pixel("palette", labelling)
    if len(palette) != labelling.ids:
        raise InputError(
            f"palette: {len(palette)} colours, expected one for each of the "
            f"{labelling.ids} ids, the background first"
        )
    return palette_.read(images, masks, palette, ignore=ignore, on_error=on_error)


def _runs(images, labelling, on_error, *, annotations, order, columns=runs.COLUMNS):
    _one_class_a_pixel("runs", labelling)
    columns = tuple(columns)
    return runs.read(
        annotations, images, order=order, columns=columns, on_error=on_error
    )


def _tfrecord(images, labelling, on_error):
    _one_class_a_pixel("tfrecord", labelling)
    return deforestation.read(images, classes=labelling.ids, on_error=on_error)


READERS: dict[str, Callable[..., Iterator[LabelledImage]]] = {
    "coco": _coco,
    "dstl": _dstl,
    "npy": _npy,
    "palette": _palette,
    "runs": _runs,
    "tfrecord": _tfrecord,
}


def _merged(samples, labelling, ids):
    ids = list(ids)
    for sample in samples:
        labels = labelling.merged(sample.labels, ids)
        yield dataclasses.replace(sample, labels=labels)


def _one_class_a_pixel(name: str, labelling: Labelling) -> None:
    if labelling.task == "multilabel":
        raise InputError(
            f"task: {name} says one class of a pixel; multilabel is for coco, dstl and "
            "masks of several bands"
        )
