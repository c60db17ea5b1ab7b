"""From what the user has to what training needs: labels, index, splits, statistics.

Everything lands in one folder, `scenes.json` last: where that is, the rest is whole.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from minenet.data import chips, division, labels, pairing, prepared, statistics
from minenet.data import classes as classes_
from minenet.data import scenes as scenes_
from minenet.data.prepared import Prepared, load
from minenet.data.scenes import Paths, Scene
from minenet.geo import bands as bands_
from minenet.geo import raster, vector
from minenet.types import InputError, Task

__all__ = ["Prepared", "load", "prepare"]

T = TypeVar("T")


def prepare(
    out: str | os.PathLike[str],
    *,
    images: Paths | Sequence[Paths],
    masks: Paths | None = None,
    polygons: Paths | None = None,
    layer: str | None = None,
    task: Task = "binary",
    classes: Sequence[str] = ("mine",),
    attribute: str | None = None,
    values: Mapping[object, int] | None = None,
    all_touched: bool = False,
    empty: str = "negative",
    bands: Sequence[str | int] | None = None,
    scaled: bool = False,
    exclude: Iterable[str] = (),
    table: Paths | None = None,
    table_key: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    split: Mapping[str, Any] | None = None,
    chip_size: int = 256,
    stride: int | None = None,
    seed: int = 0,
) -> Prepared:
    """Makes labels, an index of windows, splits and statistics, or finds them made.

    Args:
        out: folder for `scenes.json`, `index.csv`, `statistics.json` and `labels/`.
        images: a folder, a glob or a file of rasters; several stack as bands.
        masks: rasters of class values, named the same way. One of the two:
        polygons: a vector file of outlines.
        layer: of `polygons`, where it has several.
        task: "binary" or "exclusive".
        classes: one name, or the background's and at least one more.
        attribute: column of `polygons` that tells the class.
        values: value of a mask or of the attribute → class id, see `labels.mapping`.
        all_touched: whether every pixel that a polygon touches belongs to it.
        empty: what a scene without any class means: "negative" (nothing is there) or
            "ignore" (nobody looked).
        bands: names or 1-based numbers, in the order wanted; all if None.
        scaled: whether to apply the rasters' own scale and offset.
        exclude: names or numbers of scenes to leave out.
        table: CSV with a row a scene.
        table_key: its column of names or numbers; the first if None.
        group_column: its column of groups.
        split_column: its column of splits.
        split: `by`, `shares`, `block_m` and `seed` of `division.divide`.
        chip_size: side of a window in pixels.
        stride: distance of neighbouring windows; `chip_size` if None.
        seed: decides which unit goes to which split, unless `split` has a seed.

    Raises:
        InputError: anything in data or options that cannot be used; a folder that was
            prepared from other data or with other options.
    """
    options = {name: value for name, value in locals().items() if name != "out"}
    out, stride = Path(out).absolute(), stride or chip_size
    rule = classes_.rule(
        task,
        classes,
        values,
        attribute=attribute,
        all_touched=all_touched,
        empty=empty,
    )
    dealing = {"seed": seed} | {k: v for k, v in (split or {}).items() if v is not None}
    _check(masks, polygons, chip_size, stride, dealing, group_column, split_column)
    stacks = scenes_.stacks(images)
    found = scenes_.discover(
        stacks,
        masks=None if masks is None else scenes_.find(masks, key="masks"),
        exclude=exclude,
    )
    if table is not None:
        found = scenes_.join_table(
            found, table, key=table_key, group=group_column, split=split_column
        )
    origin = {"options": _plain(options), "files": _sizes(found, polygons, table)}
    if (out / "scenes.json").exists():
        prepared.check_origin(out, origin)
        return load(out)

    infos = each(_infos, found)
    stack = bands_.select(infos, labels=_words(stacks), bands=bands, scaled=scaled)
    found = [_measured(scene, info) for scene, info in zip(found, infos, strict=True)]
    first = {scene.name: info[0] for scene, info in zip(found, infos, strict=True)}
    outlines = None if polygons is None else vector.read(polygons, layer=layer)
    folder = out / "labels"
    found = each(
        lambda scene: labels.make(scene, first[scene.name], outlines, rule, folder),
        found,
    )
    labels.check_any(found, outlines, first)
    index = _index(
        [scene for scene in found if not scene.ignored],
        stack,
        size=chip_size,
        stride=stride,
        ids=classes_.count(task, classes),
    )
    index, dropped = division.divide(found, first, index, stride=stride, **dealing)
    training = index[index.split == "train"]
    if not chips.positive(training).any():
        raise InputError(
            f"{masks or polygons}: no pixel of {', '.join(classes)} in the "
            f"{len(training)} training windows; check labels, values and split"
        )
    names = classes_.names(task, classes)
    made = Prepared(
        out=out,
        task=task,
        classes=tuple(classes),
        stack=stack,
        chip_size=chip_size,
        stride=stride,
        scenes=tuple(found),
        index=index,
        statistics=statistics.collect(found, training, stack, classes=names),
        dropped=dropped,
    )
    prepared.save(made, origin=origin)
    return made


def each(work: Callable[[Scene], T], found: Sequence[Scene]) -> list[T]:
    """Returns `work` of every scene in order; GDAL lets threads run side by side."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, found))


def _check(masks, polygons, chip_size, stride, dealing, group, split) -> None:
    if (masks is None) == (polygons is None):
        raise InputError("masks, polygons: give one of the two to say what is labelled")
    if chip_size < 1 or not 1 <= stride <= chip_size:
        raise InputError(
            f"stride: {stride}, expected 1 to chip_size ({chip_size}), so that windows "
            "leave no gaps"
        )
    known = ("by", "shares", "block_m", "seed")
    for key in dealing:
        if key not in known:
            raise InputError(f"split.{key}: no such key; it has {', '.join(known)}")
    by = dealing.get("by")
    if (by == "group" and not group) or (by == "column" and not split):
        needed = "group_column" if by == "group" else "split_column"
        raise InputError(f"split.by: {by!r} needs a table and {needed}")


def _index(found: Sequence[Scene], stack: bands_.Stack, **windows) -> pd.DataFrame:
    parts = each(lambda scene: chips.index(scene, stack, **windows), found)
    parts = [part for part in parts if len(part)]
    if not parts:
        raise InputError(
            f"{found[0].images[0]}: none of {len(found)} scenes has a valid pixel of a "
            "known class"
        )
    return pd.concat(parts, ignore_index=True)


def _plain(value: Any) -> Any:
    """The value as JSON can hold it, paths as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _sizes(found: Sequence[Scene], *others: Paths | None) -> dict[str, int]:
    """File → bytes: shows whether data under the same options are the same still."""
    paths = [path for scene in found for path in (*scene.images, scene.label)]
    named = [os.fspath(path) for path in (*paths, *others) if path is not None]
    return {path: os.stat(path).st_size for path in named if os.path.exists(path)}


def _words(stacks: Sequence[Sequence[str]]) -> list[str]:
    """A word for each stack: what tells its folder, or one file, from the others."""
    places = [s[0] if len(s) == 1 else os.path.dirname(s[0]) for s in stacks]
    return [os.path.splitext(word)[0] for word in pairing.distinguish(places)]


def _infos(scene: Scene) -> list[raster.RasterInfo]:
    infos = [raster.info(path) for path in scene.images]
    raster.match(infos if scene.label is None else [*infos, raster.info(scene.label)])
    return infos


def _measured(scene: Scene, infos: Sequence[raster.RasterInfo]) -> Scene:
    return dataclasses.replace(
        scene,
        height=infos[0].height,
        width=infos[0].width,
        gsd_m=bands_.gsd_m(infos[0]),
    )
