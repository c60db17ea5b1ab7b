"""How near the outlines are: boundary IoU, and distances between surfaces in metres.

On the host, with SciPy, one class of one map at a time. What lies under weight 0 counts
as outside on both maps, as do the surroundings of the map: an outline runs along both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from minenet.metrics import ratios
from minenet.metrics.counting import Counts
from minenet.metrics.masks import inside

if TYPE_CHECKING:
    from minenet.types import Array

    Metres = float | tuple[float, float]


class Distances(NamedTuple):
    """From each pixel of one outline to the nearest of the other, in metres.

    Infinite where there is no other: a total miss is infinitely far. Those of several
    maps are merged by concatenation, field by field.

    Attributes:
        found: `[n]`, from the predicted outline to the true one.
        truth: `[m]`, from the true outline to the predicted one.
    """

    found: np.ndarray
    truth: np.ndarray


def boundary(
    prediction: Array,
    target: Array,
    weight: Array | None = None,
    *,
    width_m: float,
    pixel_m: float,
) -> np.ndarray:
    """Returns the pixels of the inner bands along both outlines, as a histogram.

    Args:
        prediction: `[H, W]` bool.
        target: `[H, W]` bool.
        weight: `[H, W]`; 0 does not count. All count without it.
        width_m: Of the band. Its pixels lie in the shape, and within so many pixels of
            its outside, rows, columns and diagonals alike.
        pixel_m: The side of a pixel.

    Returns:
        `[1, 2, 2]` int64, as of `one_vs_rest`: sums over maps merge by `+`, and their
        `iou` is the boundary IoU.

    Raises:
        ValueError: If shapes differ, or `width_m` is less than half a pixel.
    """
    steps = round(width_m / pixel_m)
    if steps < 1:
        raise ValueError(
            f"width_m={width_m}: must be at least a pixel of pixel_m={pixel_m}"
        )
    found, truth, counted = inside(prediction, target, weight)
    found, truth = _band(found, steps), _band(truth, steps)
    cell = 2 * truth[counted] + found[counted]
    return np.bincount(cell, minlength=4).reshape(1, 2, 2)


def boundary_iou(
    prediction: Array,
    target: Array,
    weight: Array | None = None,
    *,
    width_m: float,
    pixel_m: float,
) -> float:
    """Returns the IoU of the inner bands along both outlines.

    Cheng et al. (CVPR 2021): IoU of large objects hardly sees an outline, and this sees
    little else. They take 2 % of the image's diagonal as width. NaN where neither map
    has anything. The arguments are those of `boundary`.
    """
    (tn, fp), (fn, tp) = boundary(
        prediction, target, weight, width_m=width_m, pixel_m=pixel_m
    )[0]
    return float(ratios.iou(Counts(tp, fp, fn, tn)))


def distances(
    prediction: Array,
    target: Array,
    weight: Array | None = None,
    *,
    pixel_m: Metres,
) -> Distances:
    """Returns how far the pixels along each outline are from the other outline.

    A pixel is of the outline if it is inside and one of its four neighbours is not.

    Args:
        prediction: `[H, W]` bool.
        target: `[H, W]` bool.
        weight: `[H, W]`; 0 does not count. All count without it.
        pixel_m: The side of a pixel, or its height and width.

    Raises:
        ValueError: If shapes differ.
    """
    found, truth, _ = inside(prediction, target, weight)
    found, truth = _outline(found), _outline(truth)
    return Distances(_to(found, truth, pixel_m), _to(truth, found, pixel_m))


def hd95(distances: Distances) -> float:
    """Returns the 95 % Hausdorff distance, the larger of both directions, in metres.

    Infinite for a total miss; NaN where there is no outline at all.
    """
    if not len(distances.found) + len(distances.truth):
        return float("nan")
    return max(_percentile(each) for each in distances if len(each))


def mean_surface_distance(distances: Distances) -> float:
    """Returns the average symmetric surface distance, in metres.

    Infinite for a total miss; NaN where there is no outline at all.
    """
    every = np.concatenate(distances)
    return float(every.mean()) if len(every) else float("nan")


def surface_dice(distances: Distances, *, tolerance_m: float) -> float:
    """Returns the normalised surface Dice: the share of outlines within a tolerance.

    Nikolov et al. (2021), with pixels for lengths. 0 for a total miss; NaN where there
    is no outline at all.

    Raises:
        ValueError: If the tolerance is negative or not finite.
    """
    if not 0 <= tolerance_m < np.inf:
        raise ValueError(f"tolerance_m={tolerance_m}: must be metres from 0 up")
    every = np.concatenate(distances)
    return float((every <= tolerance_m).mean()) if len(every) else float("nan")


def _band(mask: np.ndarray, steps: int) -> np.ndarray:
    """The pixels of a mask within so many steps of a king from its outside."""
    depth = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard")
    return mask & (depth[1:-1, 1:-1] <= steps)


def _outline(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def _to(outline: np.ndarray, other: np.ndarray, pixel_m: Metres) -> np.ndarray:
    """From the pixels of an outline to the nearest of another."""
    if not other.any():
        return np.full(np.count_nonzero(outline), np.inf)
    return ndimage.distance_transform_edt(~other, sampling=pixel_m)[outline]


def _percentile(values: np.ndarray) -> float:
    # Between infinities NumPy interpolates to NaN.
    return float(np.percentile(values, 95)) if np.isfinite(values).all() else np.inf
