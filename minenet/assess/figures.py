"""Figures that can be read without a text beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minenet import metrics
from minenet.assess import plotting
from minenet.types import IGNORE

RED_GREEN_BLUE = (("B4", "B3", "B2"), ("B04", "B03", "B02"), ("red", "green", "blue"))
"""Names by which the bands of a true-colour picture are known."""

BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#999999"
TRUTH, PREDICTION = "#00e5ff", "#ff2d2d"
CLASSES = ("#e6550d", "#756bb1", "#31a354", "#3182bd", "#c51b8a", "#8c6d31")


def training(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Draws loss and validation IoU over the steps of a `metrics.jsonl`."""
    figure, (left, right) = plotting.pyplot().subplots(1, 2, figsize=(9, 3.4))
    for name, colour in (("train_loss", GREY), ("validation_loss", ORANGE)):
        left.plot(*_series(entries, name), color=colour, label=name.replace("_", " "))
    left.set(xlabel="step", ylabel="loss")
    left.set_ylim(bottom=0)
    left.legend(frameon=False)
    steps, values = _series(entries, "validation_iou")
    right.plot(steps, values, "o-", color=BLUE, markersize=4)
    if values:
        step = steps[values.index(max(values))]
        right.plot(step, max(values), "o", color=ORANGE, markersize=8)
        right.set_title(f"best {max(values):.3f} at step {step}", fontsize=10)
    right.set(xlabel="step", ylabel="validation IoU", ylim=(0, 1))
    right.set_xlim(left.get_xlim())
    plotting.save(figure, path)


def precision_recall(
    path: Path,
    histogram: np.ndarray,
    *,
    classes: Sequence[str],
    threshold: float | Sequence[float] | None,
) -> None:
    """Draws precision over recall per class, and where the threshold lies.

    Args:
        path: Of the PNG.
        histogram: `[K, 2, bins]`.
        classes: Names of the K classes.
        threshold: Of the map, one a class if several; None for exclusive classes.
    """
    curve = metrics.curve(histogram)
    average = metrics.average_precision(histogram)
    figure, axes = plotting.pyplot().subplots(figsize=(4.6, 4.2))
    for k, name in enumerate(classes):
        recall, precision, iou = curve.recall[k], curve.precision[k], curve.iou[k]
        colour = BLUE if len(classes) == 1 else CLASSES[k % len(CLASSES)]
        label = f"{name}, average precision {average[k]:.3f}"
        if threshold is not None:
            own = float(np.broadcast_to(threshold, len(classes))[k])
            at = min(round(own * len(recall)), len(recall) - 1)
            axes.plot(recall[at], precision[at], "o", color=colour)
        if np.ndim(threshold):  # several notes would lie on one another
            label += f",\nIoU {iou[at]:.3f} at threshold {own:.3f}"
        elif threshold is not None:
            right = recall[at] < 0.5
            axes.annotate(
                f"threshold {own:.3f}\nIoU {iou[at]:.3f}",
                (recall[at], precision[at]),
                xytext=(8 if right else -8, -8),
                textcoords="offset points",
                ha="left" if right else "right",
                va="top",
            )
        axes.plot(recall, precision, color=colour, label=label)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(frameon=False, loc="lower left")
    plotting.save(figure, path)


def panel(
    path: Path,
    image: np.ndarray,
    *,
    truth: np.ndarray,
    probability: np.ndarray,
    ids: np.ndarray,
    bands: Sequence[str],
    title: str,
) -> None:
    """Draws image, truth, prediction and overlay side by side.

    Args:
        path: Of the PNG.
        image: `[H, W, C]` with NaN.
        truth: Class ids `[H, W]`, 255 where unknown; grey in the figure. Or `[H, W, K]`
            of classes that may overlap, the last of which is seen.
        probability: `[H, W]` of any class but the background.
        ids: Predicted class ids, likewise; 255 where there is no data.
        bands: Names of the bands, to find red, green and blue.
        title: Name of the scene and its score.
    """
    plot = plotting.pyplot()
    picture = true_colour(image, bands)
    truth, ids = _highest(truth), _highest(ids)
    height, width = truth.shape
    figure, axes = plot.subplots(
        1, 4, figsize=(15, np.clip(15 / 4 * height / width, 1.5, 9) + 0.9)
    )
    nodata = ids == IGNORE
    axes[0].imshow(picture)
    axes[1].imshow(np.where(nodata[..., None], 1, 0.35 * picture + 0.6))
    axes[1].imshow(_tinted(truth, nodata))
    shown = axes[2].imshow(probability, cmap="magma", vmin=0, vmax=1)
    axes[3].imshow(picture)
    for labels, colour in ((truth, TRUTH), (ids, PREDICTION)):
        found = (labels > 0) & (labels != IGNORE) & ~nodata
        if found.any() and min(found.shape) > 1:
            # A frame of background: contours close at the scene's edge.
            axes[3].contour(
                np.arange(-1, width + 1),
                np.arange(-1, height + 1),
                np.pad(found, 1),
                levels=[0.5],
                colors=colour,
                linewidths=1.3,
            )
    names = ("image", "truth", "probability", "truth cyan, prediction red")
    for axis, name in zip(axes, names, strict=True):
        axis.set_title(name, fontsize=10)
        axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        axis.axis("off")
    bar = axes[2].inset_axes([0.1, -0.05, 0.8, 0.025])
    figure.colorbar(shown, cax=bar, orientation="horizontal").outline.set_visible(False)
    bar.tick_params(labelsize=8, length=2)
    figure.suptitle(title, fontsize=11)
    plotting.save(figure, path)


def true_colour(image: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    """Returns `[H, W, 3]` in 0..1, stretched from the 2nd to the 98th percentile.

    Under clouds, which take the bright end, the land would be black: then a gamma lifts
    it. White is where the image has no data.

    Args:
        image: `[H, W, C]` with NaN.
        bands: Names; red, green and blue are found by them, else the first three are
            taken, or the first one in grey.
    """
    picture = image[..., visible(bands)].astype(np.float32)
    known = np.isfinite(picture).all(axis=-1)
    if known.any():
        low, high = np.percentile(picture[known], [2, 98], axis=0)
        picture = np.clip((picture - low) / np.maximum(high - low, 1e-9), 0, 1)
        middle = np.clip(np.median(picture[known]), 1e-3, 0.999)
        picture **= np.clip(np.log(0.4) / np.log(middle), 0.4, 1)
    return np.where(known[..., None], picture, 1.0)


def visible(bands: Sequence[str]) -> list[int]:
    """Returns the places of red, green and blue among names of bands.

    Else those of the first three, or thrice the first one. A word may lead the name of
    a band, as where several images stack.

    >>> visible(["vv", "2021_B2", "2021_B3", "2021_B4"])
    [3, 2, 1]
    """
    names = [name.lower().rpartition("_")[2] for name in bands]
    for triple in RED_GREEN_BLUE:
        if all(each.lower() in names for each in triple):
            return [names.index(each.lower()) for each in triple]
    return [0, 1, 2] if len(bands) > 2 else [0, 0, 0]


def _highest(labels: np.ndarray) -> np.ndarray:
    """The id `[H, W]` of the last class that a pixel holds; ids as they are."""
    if labels.ndim == 2:
        return labels
    last = ((labels == 1) * np.arange(1, labels.shape[-1] + 1)).max(axis=-1)
    return np.where((labels == IGNORE).any(axis=-1), IGNORE, last)


def _tinted(truth: np.ndarray, nodata: np.ndarray) -> np.ndarray:
    """Returns `[H, W, 4]`: each class in its colour, the unknown grey."""
    colours = {k + 1: colour for k, colour in enumerate(CLASSES)} | {IGNORE: GREY}
    tinted = np.zeros((*truth.shape, 4))
    for label, colour in colours.items():
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        tinted[(truth == label) & ~nodata] = (*rgb, 0.85)
    return tinted


def _series(entries: Sequence[dict[str, Any]], name: str) -> tuple[list, list]:
    found = [(e["step"], e[name]) for e in entries if e.get(name) is not None]
    return [step for step, _ in found], [value for _, value in found]
