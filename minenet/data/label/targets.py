"""Labels as arrays: what they say of each pixel, and what training makes of them.

Labels are uint8, class ids `[H, W]`, or where classes may overlap `[H, W, K]` with 0 or
1 in the channel of each. 255 is not known. A pixel that has it in any channel does not
count at all, because a weight is one number a pixel; `labels.make` writes it into all.
"""

from __future__ import annotations

import numpy as np

from minenet.types import IGNORE, Task


def counted(labels: np.ndarray) -> np.ndarray:
    """Tells which pixels count, `[H, W]` bool.

    >>> counted(np.array([[[0, 1], [0, 255]]])).tolist()
    [[True, False]]
    """
    return _every(labels, lambda plane: plane != IGNORE)


def marked(labels: np.ndarray) -> np.ndarray:
    """Tells which pixels count and hold a class that is not the background."""
    return counted(labels) & ~_every(labels, lambda plane: plane == 0)


def holding(labels: np.ndarray, id_: int) -> np.ndarray:
    """Tells which pixels hold the class of an id, `[H, W]` bool.

    Args:
        labels: ids or channels.
        id_: 0 is the background, or no class; k > 0 is channel k - 1.
    """
    if labels.ndim == 2:
        return labels == id_
    if id_ == 0:
        return _every(labels, lambda plane: plane == 0)
    return labels[..., id_ - 1] == 1


def target(labels: np.ndarray, *, task: Task, classes: int) -> np.ndarray:
    """Returns the target `[H, W, K]` float32; 0 where the label is 255.

    >>> target(np.array([[0, 1, 255]]), task="binary", classes=1)[0, :, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    first = 0 if task == "exclusive" else 1
    made = np.empty((*labels.shape[:2], classes), np.float32)
    for k in range(classes):
        made[..., k] = holding(labels, k + first)
    return made


def weight(labels: np.ndarray) -> np.ndarray:
    """Returns the weight `[H, W]` float32: 1 where a pixel counts, else 0."""
    return counted(labels).astype(np.float32)


def _every(labels: np.ndarray, holds) -> np.ndarray:
    if labels.ndim == 2:
        return holds(labels)
    found = holds(labels[..., 0])
    for k in range(1, labels.shape[-1]):  # numpy reduces a short last axis slowly
        found &= holds(labels[..., k])
    return found
