"""What settings say, as arguments of the library."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minenet.data import sampling, source, store
from minenet.data.prepared import Prepared
from minenet.infer import bundle as bundle_
from minenet.infer import predict
from minenet.models import fusion
from minenet.ops import augment, indices, normalizers
from minenet.ops.normalize import Normalizer
from minenet.train import pretrained

Settings = dict[str, Any]


def begin(settings: Settings, variables: dict[str, Any]) -> dict[str, Any]:
    """Returns the variables to begin with; random ones where nothing is named."""
    if settings["weights"]:
        variables = pretrained.filled(
            variables, settings["weights"], parts=settings["parts"]
        )
    for stream, path in enumerate(settings["streams"]):
        standalone = bundle_.load(Path(path)).variables
        variables = fusion.grafted(variables, standalone, stream=stream)
    return variables


def chips(
    ready: Prepared, settings: Settings, *, split: str, strict: bool
) -> source.ChipSource:
    """Returns the chips of a split, from the store where there is one."""
    if settings["store"]["path"]:
        return store.StoreSource(store.Store(settings["store"]["path"]), split=split)
    noted = None if strict else ready.quarantine
    pixels = source.Rasters(ready, quarantine=noted)
    return source.ChipSource(ready, split=split, pixels=pixels)


def draws(
    ready: Prepared, settings: Settings, training: source.ChipSource
) -> dict[str, Any]:
    """Returns how chips are drawn for training."""
    drawn = dict(settings["sampling"])
    path = drawn.pop("hard")
    if path is None:
        return drawn
    return drawn | {"hard": sampling.hardness(path, ready.grids, training.index)}


def normalizer(settings: Settings, ready: Prepared) -> Normalizer:
    """Returns the normaliser of the images, with the indices that follow."""
    made = normalizers.from_statistics(settings["normalize"], ready.statistics)
    return made._replace(indices=indices.choose(settings["indices"], ready.bands))


def augmentation(
    settings: Settings, normalizer: Normalizer, ready: Prepared
) -> Callable[..., Any]:
    """Returns the augmentation; other normalisers join the images' own."""
    kinds = settings["normalizers"]
    others = [normalizers.from_statistics(kind, ready.statistics) for kind in kinds]
    drawn = (normalizer, *others) if others else ()
    return augment.batch(**settings | {"normalizers": drawn})


def given(settings: Settings) -> Settings:
    """Returns settings without what is left to the library's own default."""
    return {
        key: given(value) if isinstance(value, dict) else value
        for key, value in settings.items()
        if value is not None
    }


def bundle(workdir: Path, settings: Settings) -> bundle_.Bundle:
    """Returns the bundle; its maps say which bands it had to do without."""
    bundle = bundle_.load(workdir / "model")
    missing = settings["predict"]["missing"]
    if missing:
        origin = bundle.origin | {"missing_bands": ",".join(map(str, missing))}
        bundle = dataclasses.replace(bundle, origin=origin)
    return bundle


def predictor(bundle: bundle_.Bundle, settings: Settings) -> predict.Predict:
    """Returns what maps windows."""
    keys = ("batch_size", "tta", "missing")
    return predict.predictor(bundle, **{key: settings["predict"][key] for key in keys})


def tiling(settings: Settings) -> dict[str, Any]:
    """Returns how scenes are cut into windows."""
    return {key: settings["predict"][key] for key in ("window", "overlap")}
