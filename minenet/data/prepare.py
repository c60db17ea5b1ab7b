"""From what the user has to what training needs: labels, index, splits, statistics.

Scenes are tasks that do not depend on each other and run on any executor. Each leaves
its result in `parts/`, so that a job that was killed goes on where it was. Everything
lands in one folder, `scenes.json` last: where that is, the rest is whole.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from minenet import files
from minenet.data import (
    chips,
    imagery,
    parts,
    prepared,
    scene_table,
    statistics,
    survey,
    tasks,
)
from minenet.data import sampling as sampling_
from minenet.data import scenes as scenes_
from minenet.data.label import classes as classes_
from minenet.data.label import label_report, labels
from minenet.data.prepared import Prepared, load
from minenet.data.quarantine import Quarantine
from minenet.data.scenes import Paths
from minenet.data.split import division, leakage
from minenet.data.survey import Drawn, Survey, Surveyed
from minenet.types import InputError, Task, UnreadableError

__all__ = ["Prepared", "load", "prepare"]


def prepare(
    out: str | os.PathLike[str],
    *,
    images: Paths | Sequence[Paths],
    masks: Paths | None = None,
    polygons: Paths | Sequence[Paths] | None = None,
    layer: str | Sequence[str] | None = None,
    area: Paths | None = None,
    task: Task = "binary",
    classes: Sequence[str] = ("mine",),
    attribute: str | None = None,
    values: Mapping[object, int] | None = None,
    priority: Sequence[str] = (),
    all_touched: bool = False,
    ignore_m: float = 0.0,
    empty: str = "negative",
    year_column: str | None = None,
    until: bool = False,
    bands: Sequence[str | int] | None = None,
    sensor: str | Sequence[str | None] | None = None,
    baseline: str | None = None,
    scaled: bool = False,
    grid: Mapping[str, Any] | None = None,
    resampling: str | Sequence[str] = "cubic",
    missing: bool = False,
    exclude: Iterable[str] = (),
    table: Paths | None = None,
    table_key: str | None = None,
    table_year: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    split: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    chip_size: int = 256,
    stride: int | None = None,
    seed: int = 0,
    strict: bool = False,
    executor: tasks.MakeExecutor | None = None,
    progress: parts.Progress | None = None,
) -> Prepared:
    """Makes labels, an index of windows, splits and statistics, or finds them made.

    Args:
        out: folder for `scenes.json`, `index.csv`, `statistics.json`, `labels.json`,
            `leakage.json`, `quarantine.jsonl` and `labels/`.
        images: a folder, a glob or a file of rasters; several stack as bands.
        masks: rasters of class values, named the same way. One of the two:
        polygons: a vector file of outlines, or several; the later lie on top.
        layer: of `polygons`; several of one file, or one of each file.
        area: a vector file of what was looked at; nothing counts outside.
        task: "binary", "exclusive" or "multilabel".
        classes: one name, or the background's and at least one more; all that may
            overlap for "multilabel".
        attribute: column of `polygons` that tells the class.
        values: value of a mask or of the attribute → class id, see `classes.rule`.
        priority: classes from the lowest to the highest, where polygons overlap.
        all_touched: whether every pixel that a polygon touches belongs to it.
        ignore_m: distance in metres from an outline within which nothing counts.
        empty: what a scene without any class means: "negative" (nothing is there) or
            "ignore" (nobody looked).
        year_column: column of `polygons` with the years that they hold for.
        until: whether they hold from that year on, not in that year alone.
        bands: names or 1-based numbers, in the order wanted; all if None.
        sensor: of all images, or of each, see `geo.sensors`: names the bands, and tells
            whether their numbers make sense.
        baseline: of Sentinel-2's processing, such as "04.00".
        scaled: whether to apply scale and offset of the rasters, or else of the sensor.
        grid: `like`, `crs` and `pixel` of `grids.choose`, for images that differ in
            their grids. None: all images of a scene must be on one.
        resampling: of all images, or of each, onto another grid.
        missing: whether a scene may lack some of several images.
        exclude: names or numbers of scenes to leave out.
        table: CSV with a row a scene.
        table_key: its column of names or numbers; the first if None.
        table_year: its column of the images' years.
        group_column: its column of groups.
        split_column: its column of splits.
        split: keywords of `division.divide`.
        sampling: how chips are drawn for training, the shares of `pipeline.train` and
            the path `hard`; decides the column `inclusion` of the index.
        chip_size: side of a window in pixels.
        stride: distance of neighbouring windows; `chip_size` if None.
        seed: decides which unit goes to which split, unless `split` has a seed.
        strict: whether a scene that cannot be read ends the job; else it goes into
            quarantine.
        executor: what scenes are worked on with, threads if None; see `tasks`.
        progress: called as work goes on.

    Raises:
        InputError: anything in data or options that cannot be used; a folder that was
            prepared from other data or with other options.
    """
    apart = ("out", "strict", "executor", "progress")
    options = {name: value for name, value in locals().items() if name not in apart}
    out, stride = Path(out).absolute(), stride or chip_size
    rule = classes_.rule(
        task,
        classes,
        values,
        attribute=attribute,
        all_touched=all_touched,
        empty=empty,
        ignore_m=ignore_m,
        year_column=year_column,
        until=until,
    )
    dealing = {"seed": seed} | {k: v for k, v in (split or {}).items() if v is not None}
    _check(masks, polygons, chip_size, stride)
    division.check(dealing, group_column=group_column, split_column=split_column)
    quarantine = Quarantine(out / "quarantine.jsonl", strict=strict)
    alone: dict[str, InputError] = {}
    stacks = scenes_.stacks(images)
    found = scenes_.discover(
        stacks,
        masks=None if masks is None else scenes_.find(masks, key="masks"),
        exclude=exclude,
        missing=missing,
        lonely=None if strict else alone.__setitem__,
    )
    if table is not None:
        found = scene_table.join(
            found,
            table,
            key=table_key,
            group=group_column,
            split=split_column,
            year=table_year,
        )
    drawn = Drawn.of(
        polygons, layer, order=classes_.ids(priority, task, classes), area=area
    )
    rasters = [path for scene in found for path in (*scene.images, scene.label)]
    origin = prepared.origin(options, [*rasters, *drawn.files, table])
    if (out / "scenes.json").exists():
        prepared.check_origin(out, origin)
        return load(out)

    for name, error in alone.items():
        quarantine.add(error, scene=name)
    parts.begin(out / "parts", origin)
    outlines, outline_rule, _ = drawn.read(rule)  # what is wrong there is told first
    opened = imagery.opened(found, quarantine)
    words = imagery.words(stacks)
    told = imagery.sensors(sensor, baseline, images=len(words))
    stack = imagery.select(
        [infos for _, infos, _ in opened],
        labels=words,
        bands=bands,
        scaled=scaled,
        sensors=told,
        grid=grid,
        resampling=resampling,
    )
    work = Survey(
        folder=out / "labels",
        stack=stack,
        rule=rule,
        drawn=drawn,
        task=task,
        classes=tuple(classes),
        chip_size=chip_size,
        stride=stride,
        quarantine=quarantine,
    )
    scenes = {s.name: imagery.place(s, i, mask, stack) for s, i, mask in opened}
    run = functools.partial(
        parts.run,
        executor=executor or tasks.threads(),
        give_up=lambda named, reason: quarantine.add(reason, scene=named[0]),
        progress=progress,
    )
    surveyed = list(run(survey.kept(work, out / "parts"), scenes))
    if not surveyed:
        raise UnreadableError(
            f"{quarantine.settle()[0]['reason']}; nothing else is left"
        )
    found = [each.scene for each in surveyed]
    labels.check_any(found, outlines)
    index, dropped, leaks = _divided(surveyed, stride, dealing)
    index = sampling_.add(index, {s.name: s.grid for s in found}, **sampling or {})
    training = index[index.split == "train"]
    if not chips.positive(training).any():
        raise InputError(
            f"{masks or polygons}: no pixel of {', '.join(classes)} in the "
            f"{len(training)} training windows; check labels, values and split"
        )
    names = classes_.names(task, classes)
    measure = statistics.Measure(
        stack, len(names), statistics.sampling_rate(training), quarantine
    )
    members = {
        scene.name: (scene, rows) for scene, rows in chips.by_scene(found, training)
    }
    measured = run(statistics.kept(measure, out / "parts"), members)
    described = statistics.summarize(measured, stack.names, names)
    imagery.check_scale(stack, described["bands"], labels=words, sensors=told)
    made = Prepared(
        out=out,
        task=task,
        classes=tuple(classes),
        stack=stack,
        chip_size=chip_size,
        stride=stride,
        scenes=tuple(found),
        index=index,
        statistics=described,
        dropped=dropped,
    )
    report = label_report.added(each.pixels for each in surveyed)
    if outlines is not None:
        years = [scene.year for scene in found]
        grids = [scene.grid for scene in found]
        report |= label_report.features(outlines, grids, rule=outline_rule, years=years)
    files.write_json(out / "labels.json", report)
    files.write_json(out / "leakage.json", leaks)
    quarantine.settle()
    prepared.save(made, origin=origin)
    shutil.rmtree(out / "parts", ignore_errors=True)
    for left in (out / "labels").glob(".*.part*"):  # of workers that were killed
        left.unlink(missing_ok=True)
    return made


def _check(masks, polygons, chip_size, stride) -> None:
    if (masks is None) == (polygons is None):
        raise InputError("masks, polygons: give one of the two to say what is labelled")
    if chip_size < 1 or not 1 <= stride <= chip_size:
        raise InputError(
            f"stride: {stride}, expected 1 to chip_size ({chip_size}), so that windows "
            "leave no gaps"
        )


def _divided(
    surveyed: Sequence[Surveyed], stride: int, dealing: Mapping[str, Any]
) -> tuple[pd.DataFrame, int, dict[str, Any]]:
    """The index with splits, how many windows were dropped, and what leaks."""
    found = [each.scene for each in surveyed]
    rows = [each.index for each in surveyed if len(each.index)]
    if not rows:
        raise InputError(
            f"{found[0].name}: none of {len(found)} scenes has a valid pixel of a "
            "known class"
        )
    index = pd.concat(rows, ignore_index=True)
    blocks = {}
    if dealing.get("by") == "block":
        side = dealing.get("block_m") or division.block_side_m(found, index)
        blocks = {"block_m": side}
    places = {scene.name: scene.grid for scene in found}
    index, dropped = division.divide(
        found, places, index, stride=stride, **{**dealing, **blocks}
    )
    leaks = leakage.report(places, index, **blocks, seed=dealing["seed"])
    return index, dropped, leaks
