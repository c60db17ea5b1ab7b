"""From any format to the folders of images and masks that `data.prepare` reads.

One sample is in memory at a time, and each appears whole or not at all. `format.json`
says what the folders are made from; where a conversion was stopped, the next goes on
with the samples that are not there.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minenet import files
from minenet.data.formats import folder, reading
from minenet.data.formats.labelled import LabelledImage, OnError, distinct
from minenet.types import IGNORE, InputError, Task, UnreadableError


def convert(
    out: str | os.PathLike[str],
    *,
    name: str,
    images: str | os.PathLike[str],
    task: Task = "binary",
    classes: Sequence[str] = ("mine",),
    values: Mapping[Any, int] | None = None,
    on_error: OnError = None,
    **options: Any,
) -> dict[str, Any]:
    """Writes the samples of a format as GeoTIFFs, or finds them written.

    Args:
        out: folder, to hold `images/`, `masks/` and `format.json`.
        name: of the format, one of `reading.names()`.
        images: its pictures, or where its files lie.
        task: what the labels become, with `classes` and `values` as `reading.Labelling`
            has them.
        classes: names.
        values: value → id.
        on_error: see `labelled.OnError`.
        **options: of the format, see `reading.read`.

    Returns:
        `{"samples": …, "left_out": …}`, how many were written and could not be read.

    Raises:
        InputError: as `reading.read`; nothing can be read; `out` was made from other
            data or by other options.
    """
    out = Path(out)
    options |= {"task": task, "classes": classes, "values": values}
    origin = _origin(images, {"name": name, **options})
    facts = _resumed(out, origin)
    if facts["done"]:
        return facts["done"]
    heard: list[UnreadableError] = []

    def hear(sample: str, error: UnreadableError) -> None:
        heard.append(error)
        on_error(sample, error)

    on_error_ = None if on_error is None else hear
    count = _write(out, reading.read(name, images, on_error=on_error_, **options))
    if not count:
        why = f"; the first: {heard[0]}" if heard else ""
        raise InputError(
            f"{images}: none of {len(heard)} samples of {name} can be read{why}"
        )
    done = {"samples": count, "left_out": len(heard)}
    files.write_json(out / "format.json", {"origin": origin, "done": done})
    return done


def prepared_from(
    out: str | os.PathLike[str], *, task: Task, classes: Sequence[str]
) -> dict[str, Any]:
    """Returns what `data.prepare` is told to read a converted folder."""
    ids = reading.Labelling(task, tuple(classes)).ids
    return {
        "images": str(Path(out, "images")),
        "masks": str(Path(out, "masks")),
        "values": {i: i for i in (*range(ids), IGNORE)},
    }


def _resumed(out: Path, origin: Mapping[str, Any]) -> dict[str, Any]:
    """What `format.json` says, begun anew unless it is of this origin."""
    path, parts = out / "format.json", (out / "images", out / "masks")
    facts = files.read_json(path) if path.exists() else None
    if facts is not None and facts["origin"] == origin:
        return facts
    if facts is None and any(part.exists() for part in parts):
        raise InputError(f"{out} holds other images or masks; give another folder")
    if facts is not None and facts["done"]:
        differ = [key for key in origin if facts["origin"][key] != origin[key]]
        raise InputError(
            f"{out} was converted from other data or by other options "
            f"({', '.join(differ)} differ); delete it, or give another folder"
        )
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
    begun = {"origin": origin, "done": None}
    files.write_json(path, begun)
    return begun


def _write(out: Path, samples: Iterable[LabelledImage]) -> int:
    count = 0
    for sample in distinct(samples):
        if sample.labels is None:
            raise InputError(f"{sample.name}: no labels, so nothing to learn from")
        # The mask comes last: where it is, the image is.
        if not (out / "masks" / f"{sample.name}.tif").exists():
            folder.write([sample], out / "images", out / "masks")
        count += 1
    return count


def _origin(images: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """What is converted and how, as JSON can hold it; whether it is the same still."""
    data = [os.fspath(images), options.get("masks"), options.get("annotations")]
    values = options["values"]
    texts = None if values is None else {str(key): i for key, i in values.items()}
    told = {**options, "images": data[0], "values": texts}
    told = {key: value for key, value in told.items() if value is not None}
    return files.as_json({"options": told, "sizes": [_size(p) for p in data if p]})


def _size(path: str) -> tuple[int, int]:
    """The number of files that a path or glob stands for, and their bytes."""
    found = []
    for top in [path] if os.path.exists(path) else glob.glob(path, recursive=True):
        if os.path.isfile(top):
            found.append(top)
        for folder_, _, names in os.walk(top):
            found += [os.path.join(folder_, name) for name in names]
    return len(found), sum(map(os.path.getsize, found))
