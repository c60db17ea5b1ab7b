"""Losses on the overlap of two regions: insensitive to how rare a class is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import jax

from minenet.losses import masking
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array, Task


def dice(
    logits: Array,
    target: Array,
    weight: Array,
    *,
    task: Task = "binary",
    over: Literal["batch", "sample"] = "batch",
    smooth: float = 1.0,
) -> jax.Array:
    """Returns one minus the soft Dice coefficient, averaged over classes.

    `1 - (2 Σ w p t + s) / (Σ w p + Σ w t + s)` , after Milletari et al. 2016 but
    without their squares. Made for hard targets: a soft one is overshot, as p = 1 costs
    less than p = t.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts.
        task: "exclusive" takes a softmax over K, the others a sigmoid.
        over: "batch" sums over all pixels before it divides, so that a chip without a
            mine adds its false alarms and no more; "sample" divides chip by chip and
            averages those that have a pixel that counts.
        smooth: `s`, in pixels; what an empty class is compared with.

    Returns:
        A scalar in 0..1.

    Raises:
        InputError: If `over` is neither, or `smooth` not positive.
        ValueError: If `task` is no task.
    """
    if task not in ("binary", "exclusive", "multilabel"):
        raise ValueError(f"task={task!r}: must be binary, exclusive or multilabel")
    if over not in ("batch", "sample"):
        raise InputError(f"loss.over={over!r}: must be 'batch' or 'sample'")
    if not smooth > 0:
        raise InputError(
            f"loss.smooth={smooth}: must be positive, or an empty class is 0/0"
        )
    logits, target, weight = masking.clean(logits, target, weight)
    squash = jax.nn.softmax if task == "exclusive" else jax.nn.sigmoid
    axes = (0, 1, 2) if over == "batch" else (1, 2)
    each = weight[..., None]
    # A mask makes softmax of nothing 1/K; the weight takes that out again.
    probability = squash(logits) * each
    overlap = (probability * target).sum(axes)
    size = probability.sum(axes) + (target * each).sum(axes)
    loss = 1 - (2 * overlap + smooth) / (size + smooth)
    if over == "batch":
        return loss.mean()
    return masking.mean(loss.mean(axis=-1), (weight.max(axis=(1, 2)) > 0) * 1.0)
