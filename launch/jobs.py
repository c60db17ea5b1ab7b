"""One function a mode: settings become plain keyword arguments of the library."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import logging
from jax.experimental import multihost_utils

from launch import arguments, formats, panels, tables, work
from launch import settings as settings_
from minenet import losses, models
from minenet.assess import data_figures, errors, figures
from minenet.assess import evaluate as evaluate_
from minenet.data import pipeline, prepared, store, synthetic, tasks
from minenet.data import prepare as prepare_
from minenet.geo import raster
from minenet.infer import bundle as bundle_
from minenet.infer import scene as scene_
from minenet.train import heads, loop, report, sharding
from minenet.types import InputError, UnreadableError

Settings = dict[str, Any]


def _once(work: Callable[[], None]) -> None:
    """Does file work in the first process while the others wait for it."""
    if jax.process_index() == 0:
        work()
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("minenet file work")


def begin(workdir: Path, settings: Settings) -> None:
    """Claims the workdir for these settings."""

    def claim() -> None:
        for line in settings_.claim(workdir, settings):
            logging.warning("changed since the last start: %s", line)

    _once(claim)


def run(workdir: Path, settings: Settings, **options: Any) -> None:
    """Does the whole job and prints where everything lies."""
    for job in (prepare, train, evaluate, predict):
        job(workdir, settings, **options)


def prepare(
    workdir: Path,
    settings: Settings,
    *,
    strict: bool = False,
    cluster: str | None = None,
    **_: Any,
) -> None:
    """Reads what is labelled and writes `data/`: index, splits and statistics."""
    data = dict(settings["data"])
    made = data.pop("synthetic")
    folder = workdir / "scenes"
    if made["scenes"]:
        data["images"], data["polygons"] = str(folder), str(folder / "mines.gpkg")
    elif not data["images"]:
        raise InputError(
            "config.data.images: empty; name a folder of rasters, or ask for "
            "config.data.synthetic.scenes"
        )
    drawn = {k: v for k, v in settings["sampling"].items() if k != "jitter"}

    def run_(
        given: Settings, executor: tasks.MakeExecutor, progress: work.Progress
    ) -> None:
        common = {"strict": strict, "executor": executor}
        ready = prepare_.prepare(
            workdir / "data", **given, sampling=drawn, progress=progress, **common
        )
        if settings["store"]["path"]:
            options = arguments.given(settings["store"])
            chips_ = store.create(options.pop("path"), ready, **options)
            filled = functools.partial(progress, "store")
            noted = ready.quarantine.path
            store.fill(chips_, quarantine=noted, progress=filled, **common)
        progress.close()
        drawn_once = workdir / "figures" / "splits.png"  # the last of them
        if not drawn_once.exists():
            try:
                data_figures.write(drawn_once.parent, ready)
            except UnreadableError as error:
                if strict:
                    raise
                logging.warning("no figures of the data: %s", error)
        tables.splits(ready)
        tables.warnings(ready)

    def work_() -> None:
        if made["scenes"] and not (folder / "mines.gpkg").exists():
            synthetic.write(folder, seed=settings["seed"], **made)
        given = formats.converted(workdir, data, strict=strict)
        with work.executors(given["images"], cluster) as executor:
            with contextlib.closing(work.Progress()) as progress:
                run_(given, executor, progress)

    _once(work_)


def train(workdir: Path, settings: Settings, *, strict: bool = False, **_: Any) -> None:
    """Trains to the best validation IoU and writes the bundle `model/`."""
    ready = prepared.load(workdir / "data")
    options, optimizer = dict(settings["train"]), arguments.given(settings["optimizer"])
    if options.pop("bfloat16"):
        settings = settings | {"model": settings["model"] | {"dtype": "bfloat16"}}
    share = {
        "process_index": jax.process_index(),
        "process_count": jax.process_count(),
    }
    training, validation = (
        arguments.chips(ready, settings, split=split, strict=strict)
        for split in ("train", "validation")
    )
    chips_ = pipeline.train(
        training,
        batch_size=options["batch_size"],
        seed=settings["seed"],
        **arguments.draws(ready, settings, training),
        **share,
    )
    held_out = pipeline.evaluation(
        validation,
        batch_size=options["batch_size"],
        **share,
    )
    normalizer = arguments.normalizer(settings, ready)
    further = heads.build(settings["auxiliary"], num_classes=len(ready.classes))
    if further:
        maps = tuple((name, head.channels) for name, head in further.items())
        settings = settings | {"model": settings["model"] | {"heads": maps}}
    model, loss = dict(settings["model"]), dict(settings["loss"])
    result = loop.fit(
        workdir,
        model=models.build(model.pop("name"), num_classes=len(ready.classes), **model),
        num_bands=len(ready.bands) + len(normalizer.indices),
        chip=(ready.chip_size, ready.chip_size),
        task=ready.task,
        train_batches=functools.partial(pipeline.batches, chips_),
        validation=lambda: held_out,
        normalizer=normalizer,
        augment=arguments.augmentation(settings["augment"], normalizer, ready),
        loss=losses.build(loss.pop("name"), task=ready.task, **loss),
        accumulate=optimizer.pop("accumulate", 1),
        optimizer=optimizer,
        heads=further,
        begin=functools.partial(arguments.begin, settings["start"]),
        seed=settings["seed"],
        mesh=sharding.mesh(**settings["mesh"]),
        **options | {"patience": options["patience"] or None},
    )

    def work() -> None:
        first = [raster.info(path) for path in ready.images]
        bundle = bundle_.Bundle(
            model=settings["model"],
            variables=result.variables,
            task=ready.task,
            classes=ready.classes,
            contract=bundle_.contract(ready.stack, first),
            normalizer=normalizer,
            threshold=0.5 if ready.task == "binary" else None,
            window=settings["predict"]["window"],
            origin={
                "step": result.step,
                "seed": settings["seed"],
                "validation_iou": round(result.score, 4),
            },
        )
        counts = evaluate_.count(
            bundle,
            arguments.predictor(bundle, settings),
            ready,
            "validation",
            **arguments.tiling(settings),
        )
        threshold = evaluate_.choose_threshold(counts)
        bundle_.save(
            workdir / "model", dataclasses.replace(bundle, threshold=threshold)
        )
        figures.training(
            workdir / "figures" / "training.png", report.read(workdir / "metrics.jsonl")
        )

    _once(work)


def evaluate(workdir: Path, settings: Settings, **_: Any) -> None:
    """Scores the bundle on the test split."""

    def work() -> None:
        bundle = arguments.bundle(workdir, settings)
        ready = prepared.load(workdir / "data")
        predictor = arguments.predictor(bundle, settings)
        counts = evaluate_.count(
            bundle, predictor, ready, "test", **arguments.tiling(settings)
        )
        result = evaluate_.report(bundle, counts, split="test")
        result["missing_bands"] = list(settings["predict"]["missing"])
        figures.precision_recall(
            workdir / "figures" / "precision_recall.png",
            counts.histogram,
            classes=bundle.classes,
            threshold=bundle.threshold,
        )
        panels.draw(workdir, settings, bundle, predictor, result)
        if settings["predict"]["errors"]:
            found = errors.of_windows(
                bundle, predictor, ready, **arguments.tiling(settings)
            )
            errors.write(workdir / "errors.csv", found)
        evaluate_.write(workdir / "evaluation.json", result)
        tables.scores(result)
        tables.files(
            evaluation=workdir / "evaluation.json", figures=workdir / "figures"
        )

    _once(work)


def predict(
    workdir: Path,
    settings: Settings,
    *,
    scenes: Sequence[str] = (),
    out: str | None = None,
    **_: Any,
) -> None:
    """Maps scenes; those of the test split where none is named."""

    def work() -> None:
        bundle = arguments.bundle(workdir, settings)
        images = [_images(scene) for scene in scenes] or _test_scenes(workdir)
        stems = [Path(next(filter(None, each), "")).stem for each in images]
        twice = next((stem for stem in stems if stems.count(stem) > 1), None)
        if twice is not None:
            raise InputError(
                f"--scene: two scenes are named {twice}, and their maps would be one; "
                "map them into different --out"
            )
        # A scene that cannot be used is told before hours go into the others.
        for each in images:
            scene_.open_scene(bundle, each)
        predictor = arguments.predictor(bundle, settings)
        folder = Path(out).absolute() if out else workdir / "predictions"
        area = {key: settings["predict"][key] for key in ("min_area_m2", "simplify_m")}
        for each in images:
            maps = scene_.predict_scene(
                bundle, predictor, each, folder, **arguments.tiling(settings), **area
            )
            tables.files(
                probability=maps.probability,
                classes=maps.classes,
                polygons=maps.polygons,
            )

    _once(work)


def convert(workdir: Path, settings: Settings, **options: Any) -> None:
    """Writes maps in a format of others."""
    _once(functools.partial(formats.export, workdir, settings, **options))


def _images(scene: str) -> list[str]:
    """A.tif,B.tif are the files of one scene, unless a file has that very name."""
    return [scene] if Path(scene).exists() else scene.split(",")


def _test_scenes(workdir: Path) -> list[list[str]]:
    ready = prepared.load(workdir / "data")
    tested = set(ready.index["scene"][ready.index["split"] == "test"])
    return [list(scene.images) for scene in ready.scenes if scene.name in tested]
