"""Mines found rather than pixels: objects are matched, and counted by their size.

On the host, with SciPy, one class of one map at a time. `match` returns sums, which add
up over maps; the other functions divide them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from minenet.metrics import ratios
from minenet.metrics.masks import inside

if TYPE_CHECKING:
    from minenet.types import Array

MATCHED, TARGETS, MATCHING, PREDICTIONS, IOU = range(5)
"""The columns of `match`: matched targets of all, matching predictions of all, ΣIoU."""


def match(
    prediction: Array,
    target: Array,
    weight: Array | None = None,
    *,
    pixel_m2: float,
    iou: float = 0.5,
    sizes_m2: Sequence[float] = (),
    neighbours: int = 8,
) -> np.ndarray:
    """Returns how many objects are matched, by size.

    A pair matches if its IoU is above `iou`. From 1/2 up each object has one match at
    most; below, the pairs of highest IoU are taken first.

    Args:
        prediction: `[H, W]` bool; its connected parts are objects.
        target: `[H, W]` bool; likewise.
        weight: `[H, W]`; where it is 0 there is no object, and one that it divides is
            several. All count without it.
        pixel_m2: The area of a pixel.
        iou: In 0..1.
        sizes_m2: The borders between classes of size, ascending; a border belongs to
            the class above it.
        neighbours: 8, or 4: whether corners connect.

    Returns:
        `[S, 5]` float64, a row a class of size, of which there is one more than there
        are borders: the targets that are matched, all targets, the predictions that
        match, all predictions, and the sum of IoU over the matched targets. Targets
        have their own size, predictions theirs.

    Raises:
        ValueError: If shapes differ or an option is out of its range.
    """
    found, truth, _ = inside(prediction, target, weight)
    if not 0 <= iou < 1:
        raise ValueError(f"iou={iou}: must lie in 0..1, below 1")
    if neighbours not in (4, 8):
        raise ValueError(f"neighbours={neighbours}: must be 4 or 8")
    if (np.diff(sizes_m2) <= 0).any():
        raise ValueError(f"sizes_m2={tuple(sizes_m2)}: must ascend")
    structure = ndimage.generate_binary_structure(2, 1 if neighbours == 4 else 2)
    predictions, number = ndimage.label(found, structure)
    targets, total = ndimage.label(truth, structure)
    pairs, overlap = _pairs(targets, predictions, iou)

    areas = (
        np.bincount(each.ravel(), minlength=count + 1)[1:] * pixel_m2
        for each, count in ((targets, total), (predictions, number))
    )
    of_target, of_prediction = (np.digitize(area, sizes_m2) for area in areas)
    matched, matching = of_target[pairs[:, 0]], of_prediction[pairs[:, 1]]
    classes = len(sizes_m2) + 1
    columns = (
        np.bincount(of, by, minlength=classes)
        for of, by in (
            (matched, None),
            (of_target, None),
            (matching, None),
            (of_prediction, None),
            (matched, overlap),
        )
    )
    return np.stack([column.astype(np.float64) for column in columns], axis=-1)


def precision(objects: Array) -> np.ndarray:
    """Returns the share of predictions that match, `[...]` of `[..., 5]`.

    0 where nothing is predicted of what there is; NaN where there is nothing either.
    """
    sums = np.asarray(objects)
    missed = (sums[..., PREDICTIONS] == 0) & (sums[..., TARGETS] > 0)
    share = ratios.divide(sums[..., MATCHING], sums[..., PREDICTIONS])
    return np.where(missed, 0.0, share)


def recall(objects: Array) -> np.ndarray:
    """Returns the share of targets that are matched; NaN where there are none."""
    sums = np.asarray(objects)
    return ratios.divide(sums[..., MATCHED], sums[..., TARGETS])


def f1(objects: Array) -> np.ndarray:
    """Returns `tp / (tp + fp/2 + fn/2)`, the recognition quality; NaN without objects.

    Over all sizes, `f1(objects.sum(0))`, it is the harmonic mean of both. In a class of
    size, the matched are its targets and the false its predictions.
    """
    sums = np.asarray(objects)
    return ratios.divide(sums[..., MATCHED], _objects(sums))


def panoptic_quality(objects: Array) -> np.ndarray:
    """Returns `Σ IoU / (tp + fp/2 + fn/2)`: F1 times the mean IoU of the matched.

    Kirillov et al. (CVPR 2019), for `match` at an IoU of 1/2. NaN without objects.
    """
    sums = np.asarray(objects)
    return ratios.divide(sums[..., IOU], _objects(sums))


def _objects(sums: np.ndarray) -> np.ndarray:
    false = sums[..., PREDICTIONS] - sums[..., MATCHING]
    missed = sums[..., TARGETS] - sums[..., MATCHED]
    return sums[..., MATCHED] + (false + missed) / 2


def _pairs(
    targets: np.ndarray, predictions: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs `[n, 2]` that match, as numbers of objects from 0, and their IoU."""
    both = (targets > 0) & (predictions > 0)
    pairs, shared = np.unique(
        np.stack([targets[both], predictions[both]], axis=-1),
        axis=0,
        return_counts=True,
    )
    a, b = pairs.T
    area = np.bincount(targets.ravel())[a] + np.bincount(predictions.ravel())[b]
    overlap = shared / (area - shared)
    taken, seen = [], (set(), set())
    for i in np.argsort(-overlap, kind="stable"):
        if overlap[i] > least and a[i] not in seen[0] and b[i] not in seen[1]:
            taken.append(i)
            seen[0].add(a[i]), seen[1].add(b[i])
    taken = np.array(taken, int)
    return pairs[taken] - 1, overlap[taken]
