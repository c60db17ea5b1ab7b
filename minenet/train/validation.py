"""How good the model is on the validation batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from minenet import metrics
from minenet.train import sharding
from minenet.types import Batch, Task


def scores(
    eval_step: Callable[..., dict[str, jax.Array]],
    validation: Callable[[], Iterable[Batch]],
    mesh: Mesh,
    task: Task,
    variables: Any,
) -> dict[str, float]:
    """Returns validation_loss and validation_iou: sums first, divided once.

    Args:
        eval_step: `(variables, batch) -> sums`.
        validation: Returns this process's batches.
        mesh: That they are laid on.
        task: What `K` means.
        variables: Of the model.
    """
    totals: dict[str, np.ndarray] = {}
    for batch in validation():
        sums = jax.device_get(eval_step(variables, sharding.to_global(batch, mesh)))
        for name, value in sums.items():
            wide = np.asarray(
                value, np.float64 if value.dtype.kind == "f" else np.int64
            )
            totals[name] = totals.get(name, 0) + wide
    if task == "exclusive":
        # The highest class wins; the background is no success.
        histogram = metrics.one_vs_rest(totals["confusion"])[1:]
        iou = metrics.iou(histogram)
    else:
        # At the threshold that would be chosen: a model is not judged by its offset.
        histogram = totals["histogram"]
        iou = metrics.iou(histogram, metrics.best_threshold(histogram))
    mean = metrics.mean(iou)
    return {
        "validation_loss": float(totals["loss"] / max(float(totals["pixels"]), 1.0)),
        "validation_iou": 0.0 if math.isnan(mean) else mean,
    }
