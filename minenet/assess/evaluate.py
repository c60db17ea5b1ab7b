"""Scores of a bundle on a split, from the very maps that it would make."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from minenet import files, metrics
from minenet.data import chips
from minenet.data.prepared import Prepared
from minenet.data.scenes import Scene
from minenet.data.source import one_hot
from minenet.geo.windows import Window
from minenet.infer import scene as scene_
from minenet.infer.bundle import Bundle
from minenet.infer.predict import Predict
from minenet.types import IGNORE, InputError


@dataclasses.dataclass(frozen=True)
class Counts:
    """What was counted on a split.

    Attributes:
        histogram: `[K, 2, bins]` int64, of all scenes.
        confusion: `[K, K]` int64 of exclusive classes, else None.
        scenes: Histogram of each scene, by name.
    """

    histogram: np.ndarray
    confusion: np.ndarray | None
    scenes: dict[str, np.ndarray]


def count(
    bundle: Bundle, predict: Predict, prepared: Prepared, split: str, **tiling: Any
) -> Counts:
    """Counts the pixels of a split by label and probability, each pixel once.

    Scenes are mapped strip by strip as `infer.scene` does it; only pixels inside the
    split's own windows count, and of these only the labelled and valid ones.

    Args:
        bundle: The model.
        predict: As `predict.predictor` returns it.
        prepared: The scenes, their labels and the index.
        split: "train", "validation" or "test".
        **tiling: `window` and `overlap` of `scene.strips`.

    Raises:
        InputError: The split has no window.
    """
    index = prepared.index[prepared.index["split"] == split]
    if not len(index):
        raise InputError(
            f"{prepared.out}: no window of split {split!r}; give it a share by "
            "config.data.split, in another --workdir"
        )
    found: dict[str, np.ndarray] = {}
    matrix = np.zeros((bundle.num_classes,) * 2, np.int64)
    named = {scene.name: scene for scene in prepared.scenes}
    for name, rows in index.groupby("scene", sort=True):
        own = _own_pixels(named[name], rows, prepared.chip_size)
        total = np.zeros((bundle.num_classes, 2, metrics.BINS), np.int64)
        opened = scene_.open_scene(bundle, named[name].images)
        for row, probability in scene_.strips(
            predict, opened, num_classes=bundle.num_classes, **tiling
        ):
            here = Window(row, 0, *probability.shape[:2])
            labels = chips.read_labels(named[name], here)
            weight = own[here.slices] & (labels != IGNORE)
            weight &= ~np.isnan(probability).any(axis=-1)
            target = one_hot(labels, task=bundle.task, classes=bundle.num_classes)
            total += metrics.histogram(probability, target, weight)
            if bundle.task == "exclusive":
                matrix += metrics.confusion(probability, target, weight)
        found[str(name)] = total
    return Counts(
        histogram=sum(found.values()),
        confusion=matrix if bundle.task == "exclusive" else None,
        scenes=found,
    )


def choose_threshold(counts: Counts) -> float | None:
    """Returns the threshold of best IoU; None for exclusive classes, which need none.

    To be given the counts of the validation split: chosen on the pixels that are scored,
    a threshold flatters the score.
    """
    if counts.confusion is not None:
        return None
    return float(metrics.best_threshold(counts.histogram)[0])


def report(bundle: Bundle, counts: Counts, *, split: str) -> dict[str, Any]:
    """Returns the scores as JSON can hold them, None where one is undefined."""
    threshold = bundle.threshold

    def scores(histogram: np.ndarray) -> dict[str, dict[str, Any]]:
        summary = metrics.summary(histogram, 0.5 if threshold is None else threshold)
        return {
            name: {score: values[k] for score, values in summary.items()}
            for k, name in enumerate(bundle.classes)
        }

    result = {
        "split": split,
        "threshold": threshold,
        "threshold_chosen_on": None if threshold is None else "validation",
        "classes": scores(counts.histogram),
    }
    if counts.confusion is not None:
        # The highest class wins: hard scores come from the matrix, not a threshold.
        hard = metrics.summary(metrics.one_vs_rest(counts.confusion))
        for k, name in enumerate(bundle.classes):
            for score in ("iou", "f1", "precision", "recall", "accuracy"):
                result["classes"][name][score] = hard[score][k]
        result["confusion"] = counts.confusion.tolist()
    result["scenes"] = {name: scores(h) for name, h in counts.scenes.items()}
    return result


def write(path: Path, result: dict[str, Any]) -> None:
    """Writes `evaluation.json`."""
    files.write_json(path, result)


def _own_pixels(scene: Scene, rows: Any, size: int) -> np.ndarray:
    own = np.zeros((scene.height, scene.width), bool)
    for row, col in zip(rows["row"], rows["col"], strict=True):
        own[max(row, 0) : row + size, max(col, 0) : col + size] = True
    return own
