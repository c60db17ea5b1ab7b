"""Pictures of test scenes beside their maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch import arguments
from minenet.assess import figures
from minenet.data import chips, prepared
from minenet.geo import bands
from minenet.infer import bundle as bundle_
from minenet.infer import predict as predict_
from minenet.infer import scene as scene_

Settings = dict[str, Any]

PANELS, PANEL_PIXELS = 8, 4_000_000
"""Figures of single scenes: few enough to be looked at, of scenes that fit a page."""


def draw(
    workdir: Path,
    settings: Settings,
    bundle: bundle_.Bundle,
    predictor: predict_.Predict,
    result: dict[str, Any],
) -> None:
    """Draws a few test scenes into `figures/`, those with most to find first."""
    ready = prepared.load(workdir / "data")
    found = {scene.name: scene for scene in ready.scenes}
    target = bundle.classes[-1]
    names = sorted(
        result["scenes"], key=lambda name: -result["scenes"][name][target]["positives"]
    )
    small = [n for n in names if found[n].height * found[n].width <= PANEL_PIXELS]
    for name in small[:PANELS]:
        opened = scene_.open_scene(bundle, found[name].images)
        probability = scene_.whole(
            predictor,
            opened,
            num_classes=bundle.num_classes,
            **arguments.tiling(settings),
        )
        iou = result["scenes"][name][target]["iou"]
        score = "nothing to find" if iou is None else f"{target} IoU {iou:.3f}"
        figures.panel(
            workdir / "figures" / f"{name}.png",
            bands.read(
                opened.images,
                opened.stack,
                None,
                grid=opened.grid if opened.aligned else None,
            ),
            truth=chips.read_labels(found[name], opened.extent),
            probability=probability[..., bundle.task == "exclusive" :].max(axis=-1),
            ids=scene_.classify(probability, threshold=bundle.threshold),
            bands=bundle.contract.names,
            title=f"{name}, {score}",
        )
