"""What the training pixels look like: statistics of bands, shares of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from minenet.data import chips, objects, targets
from minenet.data.scenes import Scene
from minenet.geo import bands, windows

SAMPLE = 500_000
"""About as many pixels decide the percentiles; all others are counted exactly."""

PERCENTILES = (1, 2, 5, 25, 50, 75, 95, 98, 99)

BINS = 64
"""Of a histogram, between the 0.1st and the 99.9th percentile."""


@dataclass
class Moments:
    """Count, mean and squared deviations, merged without loss of digits.

    After Chan, Golub and LeVeque 1983. Arrays are `[C]` float64.
    """

    count: np.ndarray
    mean: np.ndarray
    deviations: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sample: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def none(cls, channels: int) -> Moments:
        """Returns the moments of no pixel at all."""
        zero = np.zeros(channels)
        return cls(zero, zero, zero, zero + np.inf, zero - np.inf)

    @classmethod
    def of(cls, pixels: np.ndarray, *, every: int = 1) -> Moments:
        """Returns the moments of `pixels [N, C]`, NaN aside, one in `every` sampled."""
        valid = np.isfinite(pixels)
        count = valid.sum(0).astype(float)
        values = np.where(valid, pixels, 0).astype(float)
        mean = values.sum(0) / np.maximum(count, 1)
        deviations = (np.where(valid, values - mean, 0) ** 2).sum(0)
        low = np.where(valid, pixels, np.inf).min(0, initial=np.inf)
        high = np.where(valid, pixels, -np.inf).max(0, initial=-np.inf)
        return cls(count, mean, deviations, low, high, [pixels[::every]])

    def merge(self, other: Moments) -> Moments:
        """Returns the moments of both sets of pixels together."""
        count = self.count + other.count
        apart = other.mean - self.mean
        part = other.count / np.maximum(count, 1)
        return Moments(
            count,
            self.mean + apart * part,
            self.deviations + other.deviations + apart**2 * self.count * part,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.sample + other.sample,
        )

    def summary(self, names: Sequence[str]) -> list[dict]:
        """Returns a dict a band; one without valid pixels has None for numbers."""
        sample = np.concatenate([np.empty((0, len(names))), *self.sample])
        described = []
        for i, name in enumerate(names):
            known = sample[np.isfinite(sample[:, i]), i]
            if known.size == 0:  # the sample may miss what few pixels there are
                known = self.mean[i : i + 1]
            numbers = {
                "mean": self.mean[i],
                "std": np.sqrt(self.deviations[i] / max(self.count[i], 1)),
                "min": self.low[i],
                "max": self.high[i],
            }
            found = np.percentile(known, PERCENTILES)
            numbers |= {f"p{p}": v for p, v in zip(PERCENTILES, found, strict=True)}
            some = self.count[i] > 0
            described.append(
                {"name": name}
                | {k: float(number) if some else None for k, number in numbers.items()}
                | {"count": int(self.count[i])}
                | {"histogram": histogram(known) if some else None}
            )
        return described


def histogram(values: np.ndarray) -> dict[str, list]:
    """Returns how values `[N]` are spread, without the few that lie far out.

    Returns:
        `{"edges": [BINS + 1], "counts": [BINS]}`; what lies beyond is in the first and
        the last bin, so that the counts sum to `N`.

    >>> histogram(np.arange(1000.0))["counts"][:2]
    [17, 16]
    """
    low, high = np.percentile(values, (0.1, 99.9))
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(values, low, high), BINS, (low, high))
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def collect(
    scenes: Sequence[Scene],
    index: pd.DataFrame,
    stack: bands.Stack,
    *,
    classes: Sequence[str],
) -> dict:
    """Returns statistics over the pixels of the windows in `index`, each pixel once.

    Args:
        scenes: prepared.
        index: windows of one split, as a rule of training.
        stack: bands to read.
        classes: name of each class id.

    Returns:
        `{"bands": [{name, mean, std, min, max, p1 … p99, count, histogram}],
        "classes": [{name, pixels, share}], "objects": [{name, count, …}]}`. Bands count
        every valid pixel, labelled or not; classes every pixel that counts. Percentiles
        and histograms come from a regular sample. Objects are those of `objects.sizes`
        in the scenes that have windows.
    """
    rows = len(index) * int(index.height.max()) * int(index.width.max())
    every = max(1, rows // SAMPLE)
    moments, ids = Moments.none(len(stack.names)), np.zeros(len(classes), np.int64)
    seen, counted = [], 0
    for scene, members in chips.by_scene(scenes, index):
        seen.append(scene)
        for strip in windows.strips(
            scene.height, scene.width, rows=members.height.max()
        ):
            covered = np.zeros((strip.height, strip.width), bool)
            for member in members.itertuples():
                inside = windows.intersect(chips.window(member), strip)
                if inside is not None:
                    covered[windows.shift(inside, -strip.row, 0).slices] = True
            if covered.any():
                image = bands.read(scene.images, stack, strip)
                labels = chips.known(image, chips.read_labels(scene, strip))
                moments = moments.merge(Moments.of(image[covered], every=every))
                counted += int((targets.counted(labels) & covered).sum())
                masks = (targets.holding(labels, i) for i in range(len(classes)))
                ids += [(mask & covered).sum() for mask in masks]
    total = max(1, counted)
    return {
        "bands": moments.summary(stack.names),
        "classes": [
            {"name": name, "pixels": int(ids[i]), "share": int(ids[i]) / total}
            for i, name in enumerate(classes)
        ],
        "objects": objects.sizes(seen, classes),
    }
