"""Figures that can be read without a legend beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minenet import files, metrics
from minenet.types import IGNORE, InputError

RED_GREEN_BLUE = (("B4", "B3", "B2"), ("red", "green", "blue"), ("R", "G", "B"))
"""Names by which the bands of a true-colour picture are known."""

BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#888888"


def training(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Draws loss and validation IoU over the steps of a `metrics.jsonl`."""
    figure, (left, right) = _plot().subplots(1, 2, figsize=(9, 3.4))
    for name, colour in (("train_loss", GREY), ("validation_loss", ORANGE)):
        steps, values = _series(entries, name)
        left.plot(steps, values, color=colour, label=name.replace("_", " "))
    left.set(xlabel="step", ylabel="loss", yscale="log")
    left.legend(frameon=False)
    steps, values = _series(entries, "validation_iou")
    right.plot(steps, values, "o-", color=BLUE, markersize=4)
    if values:
        best = int(np.argmax(values))
        right.annotate(
            f"best {values[best]:.3f}, step {steps[best]}",
            (steps[best], values[best]),
            xytext=(0, -14),
            textcoords="offset points",
            ha="right" if best > len(steps) / 2 else "left",
        )
    right.set(xlabel="step", ylabel="validation IoU", ylim=(0, 1))
    _save(figure, path)


def precision_recall(
    path: Path,
    histogram: np.ndarray,
    *,
    classes: Sequence[str],
    threshold: float | None,
) -> None:
    """Draws precision over recall per class, and where the threshold lies."""
    curve = metrics.curve(histogram)
    average = metrics.average_precision(histogram)
    figure, axes = _plot().subplots(figsize=(4.6, 4.2))
    for k, name in enumerate(classes):
        (line,) = axes.plot(
            curve.recall[k],
            curve.precision[k],
            label=f"{name}, average precision {average[k]:.3f}",
        )
        if threshold is not None:
            at = int(round(threshold * metrics.BINS))
            axes.plot(
                curve.recall[k, at], curve.precision[k, at], "o", color=line.get_color()
            )
            axes.annotate(
                f"threshold {threshold:.3f}\nIoU {curve.iou[k, at]:.3f}",
                (curve.recall[k, at], curve.precision[k, at]),
                xytext=(-8, -8),
                textcoords="offset points",
                ha="right",
                va="top",
            )
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, loc="lower left")
    _save(figure, path)


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
        truth: Class ids `[H, W]`, 255 where unknown.
        probability: `[H, W]` of any class but the background.
        ids: Predicted class ids `[H, W]`, 255 where there is no data.
        bands: Names of the bands, to find red, green and blue.
        title: Name of the scene and its score.
    """
    picture = true_colour(image, bands)
    height, width = truth.shape
    figure, axes = _plot().subplots(
        1, 4, figsize=(15, 15 / 4 * height / width + 0.7), layout="constrained"
    )
    axes[0].imshow(picture)
    axes[1].imshow(picture * 0.4 + 0.55)
    axes[1].imshow(_mask(truth), cmap="autumn", vmin=0, vmax=1, alpha=0.75)
    shown = axes[2].imshow(probability, cmap="magma", vmin=0, vmax=1)
    figure.colorbar(shown, ax=axes[2], shrink=0.7, label="probability")
    axes[3].imshow(picture)
    for wanted, colour in ((truth, "#ffffff"), (ids, "#ff2d2d")):
        found = (wanted > 0) & (wanted != IGNORE)
        if found.any() and not found.all():
            axes[3].contour(found, levels=[0.5], colors=colour, linewidths=1.3)
    names = ("image", "truth", "prediction", "truth white, prediction red")
    for axis, name in zip(axes, names, strict=True):
        axis.set_title(name, fontsize=10)
        axis.axis("off")
    figure.suptitle(title, fontsize=11)
    _save(figure, path, tight=False)


def true_colour(image: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    """Returns `[H, W, 3]` in 0..1, stretched from the 2nd to the 98th percentile.

    Bands named as red, green and blue are; else the first three, or one in grey. White
    is where the image has no data.
    """
    names = [name.lower() for name in bands]
    chosen = list(range(min(3, len(bands))))
    for triple in RED_GREEN_BLUE:
        if all(each.lower() in names for each in triple):
            chosen = [names.index(each.lower()) for each in triple]
            break
    if len(chosen) < 3:
        chosen = chosen[:1] * 3
    picture = image[..., chosen].astype(np.float32)
    known = np.isfinite(picture).all(axis=-1)
    if known.any():
        low, high = np.percentile(picture[known], [2, 98], axis=0)
        picture = np.clip((picture - low) / np.maximum(high - low, 1e-9), 0, 1)
    return np.where(known[..., None], picture, 1.0)


def _mask(ids: np.ndarray) -> np.ma.MaskedArray:
    return np.ma.masked_where((ids == 0) | (ids == IGNORE), np.ones(ids.shape))


def _series(entries: Sequence[dict[str, Any]], name: str) -> tuple[list, list]:
    found = [(e["step"], e[name]) for e in entries if name in e]
    return [step for step, _ in found], [value for _, value in found]


def _plot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise InputError(
            "matplotlib is not installed; pip install 'minenet[viz]'"
        ) from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _save(figure: Any, path: Path, *, tight: bool = True) -> None:
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    if tight:
        figure.tight_layout()
    with files.replacing(path) as part:
        figure.savefig(part, dpi=130)
    _plot().close(figure)
