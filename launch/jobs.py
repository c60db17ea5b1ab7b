"""One function a mode: settings become plain keyword arguments of the library."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging
from jax.experimental import multihost_utils

from launch import settings as settings_
from minenet import losses, models
from minenet.assess import evaluate as evaluate_
from minenet.assess import figures
from minenet.data import pipeline, source, synthetic
from minenet.data import prepare as prepare_
from minenet.infer import bundle as bundle_
from minenet.infer import predict as predict_
from minenet.infer import scene as scene_
from minenet.ops import augment, normalize
from minenet.train import loop, sharding
from minenet.types import InputError

Settings = dict[str, Any]


def _once(work: Callable[[], None]) -> None:
    """Does file work in the first process while the others wait for its result."""
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


def prepare(workdir: Path, settings: Settings, **_: Any) -> None:
    """Reads what is labelled and writes `data/`: index, splits and statistics."""
    data = dict(settings["data"])
    made = data.pop("synthetic")
    if made["scenes"]:
        folder = workdir / "scenes"
        data["images"], data["polygons"] = str(folder), str(folder / "mines.gpkg")
    elif not data["images"]:
        raise InputError(
            "config.data.images: empty; name a folder of rasters, or ask for "
            "config.data.synthetic.scenes"
        )

    def work() -> None:
        if made["scenes"] and not (folder / "mines.gpkg").exists():
            synthetic.write(folder, seed=settings["seed"], **made)
        prepare_.prepare(workdir / "data", seed=settings["seed"], **data)

    _once(work)


def train(workdir: Path, settings: Settings, **_: Any) -> None:
    """Trains to the best validation IoU and writes the bundle `model/`."""
    prepared = prepare_.load(workdir / "data")
    options = dict(settings["train"])
    batch_size = options["batch_size"]
    mesh = sharding.mesh(**settings["mesh"])
    share = {
        "process_index": jax.process_index(),
        "process_count": jax.process_count(),
    }
    chips = pipeline.train(
        source.ChipSource(prepared, split="train"),
        batch_size=batch_size,
        seed=settings["seed"],
        **settings["sampling"],
        **share,
    )
    held_out = pipeline.evaluation(
        source.ChipSource(prepared, split="validation"), batch_size=batch_size, **share
    )
    normalizer = normalize.from_statistics(settings["normalize"], prepared.statistics)
    task = prepared.task
    model = _model(settings, prepared)
    loss = dict(settings["loss"])
    result = loop.fit(
        workdir,
        model=model,
        num_bands=len(prepared.bands),
        chip=(prepared.chip_size, prepared.chip_size),
        task=task,
        train_batches=functools.partial(pipeline.batches, chips),
        validation=lambda: held_out,
        normalizer=normalizer,
        augment=augment.batch(**settings["augment"]),
        loss=losses.build(loss.pop("name"), task=task, **loss),
        optimizer=settings["optimizer"],
        seed=settings["seed"],
        mesh=mesh,
        steps=options["steps"],
        batch_size=batch_size,
        evaluate_every=options["evaluate_every"],
        patience=options["patience"] or None,
        ema_decay=options["ema_decay"],
    )

    def work() -> None:
        bundle = bundle_.Bundle(
            model=settings["model"],
            variables=result.variables,
            task=task,
            classes=prepared.classes,
            bands=prepared.bands,
            described=prepared.described,
            scaled=prepared.scaled,
            normalizer=normalize.to_dict(normalizer),
            threshold=0.5,
            window=settings["predict"]["window"] or prepared.chip_size,
            step=result.step,
            seed=settings["seed"],
        )
        threshold = evaluate_.choose_threshold(bundle, prepared, **_tiling(settings))
        bundle_.save(workdir / "model", bundle.replace(threshold=threshold))

    _once(work)
