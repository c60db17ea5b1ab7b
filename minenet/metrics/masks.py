"""The door of the metrics that look at shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from minenet.types import Array


def inside(
    prediction: Array, target: Array, weight: Array | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns prediction and target where they count, and what counts, as bool.

    Args:
        prediction: `[H, W]` bool.
        target: `[H, W]` bool.
        weight: `[H, W]`; 0 does not count. All count if it is None.

    Raises:
        ValueError: If shapes differ.
    """
    found, truth = np.asarray(prediction, bool), np.asarray(target, bool)
    counted = np.ones_like(truth) if weight is None else np.asarray(weight) > 0
    if found.ndim != 2 or not found.shape == truth.shape == counted.shape:
        raise ValueError(
            f"prediction (shape={found.shape}), target (shape={truth.shape}) and "
            f"weight (shape={counted.shape}) must be alike, [H, W]"
        )
    return found & counted, truth & counted, counted
