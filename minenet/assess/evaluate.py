"""Scores of a bundle on a split, from the very maps that it would make."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from minenet import files, metrics
from minenet.assess import judged
from minenet.data import chips
from minenet.data.prepared import Prepared
from minenet.data.scenes import Scene
from minenet.infer.bundle import Bundle
from minenet.infer.predict import Predict


@dataclasses.dataclass(frozen=True)
class Counts:
    """What was counted on a split, or on one of its scenes.

    Attributes:
        histogram: `[K, 2, bins]` int64.
        confusion: `[K, K]` int64 of exclusive classes, else None.
        scenes: The counts of each scene by name; of a scene, none.
    """

    histogram: np.ndarray
    confusion: np.ndarray | None
    scenes: dict[str, Counts] = dataclasses.field(default_factory=dict)


def count(
    bundle: Bundle, predict: Predict, prepared: Prepared, split: str, **tiling: Any
) -> Counts:
    """Counts the pixels of a split by label and probability, each pixel once.

    Scenes are mapped as `infer` maps them; only pixels inside the split's own windows
    count, and of these only the labelled and valid ones.

    Args:
        bundle: The model.
        predict: As `predict.predictor` returns it.
        prepared: The scenes, their labels and the index.
        split: "train", "validation" or "test".
        **tiling: `window` and `overlap` of `mosaic.strips`.

    Raises:
        InputError: The split has no window.
    """
    index = judged.index(prepared, split)
    found = {
        scene.name: _count_scene(bundle, predict, scene, rows, tiling)
        for scene, rows in chips.by_scene(prepared.scenes, index)
    }
    exclusive = bundle.task == "exclusive"
    return Counts(
        histogram=sum(each.histogram for each in found.values()),
        confusion=sum(e.confusion for e in found.values()) if exclusive else None,
        scenes=found,
    )


def choose_threshold(counts: Counts) -> float | tuple[float, ...] | None:
    """Returns the threshold of best IoU, one for each of several classes.

    None for exclusive classes, which need none. To be given the counts of the
    validation split: a threshold chosen on the pixels that are scored would flatter the
    score.
    """
    if counts.confusion is not None:
        return None
    best = metrics.best_threshold(counts.histogram).tolist()
    return tuple(best) if len(best) > 1 else best[0]


def report(bundle: Bundle, counts: Counts, *, split: str) -> dict[str, Any]:
    """Returns the scores as JSON can hold them, None where one is undefined.

    `threshold` is a list where there is one for each class.

    Args:
        bundle: The model; its threshold decides.
        counts: Of a split.
        split: Its name.
    """
    threshold = bundle.threshold
    result = {
        "split": split,
        "threshold": list(threshold) if isinstance(threshold, tuple) else threshold,
        "threshold_chosen_on": None if threshold is None else "validation",
        "classes": scores(bundle, counts),
        "scenes": {name: scores(bundle, each) for name, each in counts.scenes.items()},
    }
    if bundle.num_classes > 1:
        ious = [each["iou"] for each in result["classes"].values()]
        mean = metrics.mean(np.array(ious, float))
        result["mean_iou"] = None if np.isnan(mean) else mean
    if counts.confusion is not None:
        result["confusion"] = counts.confusion.tolist()
    return result


def scores(bundle: Bundle, counts: Counts) -> dict[str, dict[str, Any]]:
    """Returns the scores of each class by name, as `metrics.summary` names them."""
    threshold = 0.5 if bundle.threshold is None else bundle.threshold
    summary = metrics.summary(counts.histogram, threshold)
    if counts.confusion is not None:
        # The highest class wins: what it decides comes from the matrix instead.
        hard = metrics.summary(metrics.one_vs_rest(counts.confusion))
        for name in metrics.AT_THRESHOLD:
            summary[name] = hard[name]
    if bundle.task == "multilabel":
        summary["threshold"] = list(bundle.threshold)
    return {
        name: {score: values[k] for score, values in summary.items()}
        for k, name in enumerate(bundle.classes)
    }


def write(path: Path, result: dict[str, Any]) -> None:
    """Writes `evaluation.json`."""
    files.write_json(path, result)


def _count_scene(
    bundle: Bundle,
    predict: Predict,
    scene: Scene,
    rows: pd.DataFrame,
    tiling: dict[str, Any],
) -> Counts:
    total = np.zeros((bundle.num_classes, 2, metrics.BINS), np.int64)
    matrix = np.zeros((bundle.num_classes,) * 2, np.int64)
    for strip in judged.strips(bundle, predict, scene, rows, **tiling):
        seen = strip.probability, strip.target, strip.weight
        total += metrics.histogram(*seen)
        if bundle.task == "exclusive":
            matrix += metrics.confusion(*seen)
    return Counts(total, matrix if bundle.task == "exclusive" else None)
