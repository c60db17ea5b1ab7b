"""Whole scenes of a prepared folder, and scores by the rule that every model follows.

The threshold is the one of best IoU on the validation split; what is reported comes
from the test split alone. Pixels outside the split's windows, unlabelled or without
data do not count: as in `minenet.assess.evaluate`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minenet import metrics
from minenet.data import chips
from minenet.data.prepared import Prepared, load
from minenet.geo import bands
from minenet.geo.windows import Window, clip
from minenet.types import IGNORE


class Tile(NamedTuple):
    """One scene, on the host.

    Attributes:
        image: `[H, W, C]` float32, z-scored by the training pixels, 0 without data.
        target: `[H, W]` float32, 1 on a mine.
        weight: `[H, W]` float32, 0 where the pixel does not count.
    """

    image: np.ndarray
    target: np.ndarray
    weight: np.ndarray


def prepared(workdir: str) -> Prepared:
    """Returns the prepared data of a workdir; the benchmarks know binary tasks only."""
    data = load(Path(workdir) / "data")
    if data.task != "binary":
        sys.exit(f"{workdir}: task {data.task}; these benchmarks are for binary tasks")
    return data


def read(data: Prepared, split: str) -> list[Tile]:
    """Returns the scenes that have windows in the split."""
    known = data.statistics["bands"]
    mean, std = ([band[key] for band in known] for key in ("mean", "std"))
    tiles = []
    index = data.index[data.index.split == split]
    if index.empty:
        sys.exit(f"{data.out}: no window in the {split} split; nothing to compare")
    for scene, rows in chips.by_scene(data.scenes, index):
        image = bands.read(scene.images, data.stack, None)
        own = np.zeros(image.shape[:2], bool)
        for row in rows.itertuples():
            own[clip(chips.window(row), *own.shape).slices] = True
        labels = chips.known(image, chips.read_labels(scene, Window(0, 0, *own.shape)))
        scored = (image - np.float32(mean)) / np.float32(std)
        tiles.append(
            Tile(
                np.nan_to_num(scored),
                (labels == 1).astype(np.float32),
                (own & (labels != IGNORE)).astype(np.float32),
            )
        )
    return tiles


def histogram(
    tiles: Iterable[Tile], predict: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Returns the counts `[1, 2, bins]` of `predict: [H, W, C] -> [H, W]`."""
    return sum(
        metrics.histogram(predict(t.image)[..., None], t.target[..., None], t.weight)
        for t in tiles
    )


def scores(validation: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Returns the test counts' scores at the validation counts' best threshold."""
    threshold = float(metrics.best_threshold(validation)[0])
    summary = metrics.summary(test, threshold)
    names = ("iou", "average_precision", "f1", "precision", "recall")
    return {
        "threshold": threshold,
        "validation_iou": round(float(metrics.iou(validation, threshold)[0]), 4),
        **{name: round(summary[name][0], 4) for name in names},
    }
