"""Figures of prepared data: what there is to learn from, before anything is learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from minenet.assess import plotting, split_map
from minenet.assess.figures import BLUE, CLASSES, GREY, ORANGE
from minenet.assess.plotting import SPLITS
from minenet.data.prepared import Prepared

HECTARE = 10_000.0
"""In square metres."""

WIDE = 4
"""Histograms side by side."""


def write(folder: Path, prepared: Prepared) -> list[Path]:
    """Draws the figures of prepared data into `folder`, and returns their paths.

    Args:
        folder: For `class_shares.png`, `band_histograms.png`, `object_areas.png` and
            `splits.png`; each appears whole or not at all.
        prepared: What `prepare` made.

    Raises:
        InputError: matplotlib is not installed; a scene's image is gone or damaged;
            no space, no permission.
    """
    names = [each["name"] for each in prepared.statistics["classes"]]
    objects = prepared.statistics.get("objects", [])
    unit = "ha" if any(scene.gsd_m for scene in prepared.scenes) else "pixels"
    paths = [
        Path(folder) / f"{name}.png"
        for name in ("class_shares", "band_histograms", "object_areas", "splits")
    ]
    class_shares(paths[0], prepared.index, names=names)
    band_histograms(paths[1], prepared.statistics["bands"])
    object_areas(paths[2], objects, unit=unit)
    split_map.draw(paths[3], prepared)
    return paths


def class_shares(path: Path, index: pd.DataFrame, *, names: Sequence[str]) -> None:
    """Draws the share of each class in each split; the background's is written.

    The background's bar would leave the classes none that could be seen.

    Args:
        path: Of the PNG.
        index: Windows with their shares and split.
        names: Of the classes of `share_0`, `share_1`, …
    """
    shares = 100 * shares_by_split(index, len(names))
    windows = index.groupby("split").size()
    rows = np.arange(1, len(names))
    thick = 0.8 / len(shares)
    figure, axes = plotting.pyplot().subplots(
        figsize=(7.2, min(1.5 + 0.28 * len(shares) * len(rows), 40))
    )
    for i, (split, share) in enumerate(shares.iterrows()):
        label = f"{split}: {windows[split]:,} windows, {share.iloc[0]:.3g} % {names[0]}"
        at = rows + (i - (len(shares) - 1) / 2) * thick
        axes.barh(at, share.iloc[1:], 0.92 * thick, color=SPLITS[split], label=label)
        for y, value in zip(at, share.iloc[1:], strict=True):
            axes.annotate(
                f"{value:.3g} %",
                (value, y),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
    highest = float(shares.iloc[:, 1:].to_numpy().max(initial=0))
    axes.set(xlabel="share of the labelled pixels, %", yticks=rows)
    axes.set_yticklabels(names[1:])
    axes.set_xlim(0, 1.12 * highest or 1)
    axes.set_ylim(len(rows) + 0.5, 0.5)
    axes.tick_params(axis="y", length=0)
    axes.legend(
        frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=1
    )
    plotting.save(figure, path)


def shares_by_split(index: pd.DataFrame, ids: int) -> pd.DataFrame:
    """Returns the share of each class id among the pixels that count, a row a split.

    Where windows overlap a pixel counts in each, as it does when they are drawn.
    Overlapping classes sum up to more than 1.

    >>> table = {"split": ["test"] * 2, "valid": [1, 0.5]}
    >>> table |= {"share_0": [0.9, 0.3], "share_1": [0.1, 0.2]}
    >>> shares_by_split(pd.DataFrame(table), 2).round(2).loc["test"].tolist()
    [0.8, 0.2]
    """
    columns = ["valid", *(f"share_{i}" for i in range(ids))]
    sums = index.groupby("split")[columns].sum()
    splits = [split for split in SPLITS if split in sums.index]
    return sums[columns[1:]].div(sums.valid, axis=0).loc[splits]


def band_histograms(path: Path, bands: Sequence[Mapping[str, Any]]) -> None:
    """Draws how the values of each band are spread, and where normalisation begins.

    Args:
        path: Of the PNG.
        bands: As `statistics.collect` describes them.
    """
    wide = min(WIDE, len(bands))
    high = -(-len(bands) // wide)
    figure, axes = plotting.pyplot().subplots(
        high, wide, figsize=(max(4.2, 3 * wide), 0.6 + 2.1 * high), squeeze=False
    )
    for axis, band in zip(axes.flat, bands, strict=False):
        axis.set_title(band["name"], fontsize=10)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        if band["histogram"] is None:
            axis.set_xticks([])
            axis.text(0.5, 0.5, "no valid pixel", ha="center", color=GREY)
            continue
        edges, heights = density(band["histogram"])
        axis.stairs(heights, edges, fill=True, color=BLUE, alpha=0.55, linewidth=0)
        axis.stairs(heights, edges, color=BLUE, linewidth=1)
        axis.axvspan(band["p2"], band["p98"], color=GREY, alpha=0.15, linewidth=0)
        axis.axvline(band["p50"], color=ORANGE, linewidth=1.2)
        axis.set_xlim(edges[0], edges[-1])
        axis.set_ylim(bottom=0)
        axis.locator_params(axis="x", nbins=4)
        axis.tick_params(labelsize=8)
        axis.set_xlabel(f"{band['mean']:.4g} ± {band['std']:.4g}", fontsize=8)
    for axis in axes.flat[len(bands) :]:
        axis.set_visible(False)
    figure.suptitle(
        "pixels by value; median in red, 2nd to 98th percentile grey, mean ± std below",
        fontsize=9,
    )
    plotting.save(figure, path)


def density(histogram: Mapping[str, Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the edges `[N + 1]` and the heights `[N]` of bars of area 1 in all."""
    edges = np.asarray(histogram["edges"], float)
    counts = np.asarray(histogram["counts"], float)
    return edges, counts / (counts.sum() * np.diff(edges))


def object_areas(
    path: Path, objects: Sequence[Mapping[str, Any]], *, unit: str = "ha"
) -> None:
    """Draws a box a class over the areas of its objects.

    Args:
        path: Of the PNG.
        objects: As `objects.sizes` describes them.
        unit: "ha", or "pixels" where no scene has a CRS.
    """
    plot = plotting.pyplot()
    found = boxes(objects, pixel=1.0 if unit == "pixels" else HECTARE)
    figure, axes = plot.subplots(figsize=(7.2, min(1.5 + 0.55 * len(objects), 40)))
    if not found:
        axes.text(0.5, 0.5, "no object", ha="center", va="center", color=GREY)
        axes.axis("off")
        plotting.save(figure, path)
        return
    for i, box in enumerate(found):
        colour = BLUE if len(found) == 1 else CLASSES[i % len(CLASSES)]
        axes.bxp(
            [box],
            positions=[i],
            widths=0.5,
            orientation="horizontal",
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": colour, "edgecolor": colour, "alpha": 0.55},
            medianprops={"color": "black"},
            whiskerprops={"color": colour},
            capprops={"color": colour},
            flierprops={"marker": "o", "markersize": 4, "markeredgecolor": colour},
        )
    values = np.concatenate([box["fliers"] for box in found])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    few = values.max() < 10 * values.min()
    axes.xaxis.set_minor_formatter("{x:g}" if few else "")
    axes.set_xlim(values.min() / 2, values.max() * 2)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_yticks(range(len(found)), [box["label"] for box in found])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"area of an object, {unit}")
    axes.set_title(
        "box: 25th to 75th percentile, whiskers: 5th to 95th, dots: least and largest",
        fontsize=9,
    )
    plotting.save(figure, path)


def boxes(
    objects: Sequence[Mapping[str, Any]], *, pixel: float = HECTARE
) -> list[dict[str, Any]]:
    """Returns what `Axes.bxp` draws of each class that has objects.

    Args:
        objects: As `objects.sizes` describes them.
        pixel: Square metres of the unit of the figure.
    """
    ends = {"whislo": "p5", "q1": "p25", "med": "median", "q3": "p75", "whishi": "p95"}
    found = []
    for each in objects:
        if each["count"]:
            noun = "object" if each["count"] == 1 else "objects"
            box = {end: each[f"{name}_m2"] / pixel for end, name in ends.items()}
            box["label"] = f"{each['name']}\n{each['count']:,} {noun}"
            box["fliers"] = [each["min_m2"] / pixel, each["max_m2"] / pixel]
            found.append(box)
    return found
