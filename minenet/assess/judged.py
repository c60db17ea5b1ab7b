"""Maps beside what is known: each pixel of a split with its probability and label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from minenet.data import chips
from minenet.data.label import targets
from minenet.data.prepared import Prepared
from minenet.data.scenes import Scene
from minenet.geo import windows
from minenet.geo.windows import Window
from minenet.infer import mosaic
from minenet.infer.bundle import Bundle
from minenet.infer.predict import Predict
from minenet.types import InputError


class Judged(NamedTuple):
    """A strip of a scene, as wide as the scene.

    Attributes:
        row: Its first row in the scene.
        probability: `[rows, width, K]` float32, NaN where nothing is predicted.
        target: `[rows, width, K]` float32.
        weight: `[rows, width]` bool: whether a pixel lies in a window of the split, is
            labelled and has data.
    """

    row: int
    probability: np.ndarray
    target: np.ndarray
    weight: np.ndarray


def index(prepared: Prepared, split: str) -> pd.DataFrame:
    """Returns the windows of a split.

    Raises:
        InputError: It has none.
    """
    found = prepared.index[prepared.index["split"] == split]
    if found.empty:
        raise InputError(
            f"{prepared.out}: no window of split {split!r}; give it a share by "
            "config.data.split, in another --workdir"
        )
    return found


def strips(
    bundle: Bundle, predict: Predict, scene: Scene, rows: pd.DataFrame, **tiling: Any
) -> Iterator[Judged]:
    """Yields a scene from top to bottom, mapped as `infer` maps it.

    Args:
        bundle: The model.
        predict: As `predict.predictor` returns it.
        scene: Prepared.
        rows: Its windows; only pixels inside them are mapped.
        **tiling: `window` and `overlap` of `mosaic.strips`.
    """
    own = np.zeros((scene.height, scene.width), bool)
    for each in rows.itertuples():
        own[windows.clip(chips.window(each), scene.height, scene.width).slices] = True
    opened = mosaic.open_scene(bundle, scene.images)
    for row, probability in mosaic.strips(
        predict, opened, num_classes=bundle.num_classes, wanted=own, **tiling
    ):
        labels = chips.read_labels(scene, Window(row, 0, *probability.shape[:2]))
        target = targets.target(labels, task=bundle.task, classes=bundle.num_classes)
        known = targets.counted(labels) & ~np.isnan(probability[..., 0])
        yield Judged(row, probability, target, known)
