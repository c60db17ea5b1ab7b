"""What the training pixels look like: statistics of bands, shares of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from minenet.data import chips
from minenet.data.scenes import Scene
from minenet.geo import bands, windows
from minenet.types import IGNORE

SAMPLE = 500_000
"""About as many pixels decide the percentiles; all others are counted exactly."""


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
                "p2": np.percentile(known, 2),
                "p98": np.percentile(known, 98),
            }
            some = self.count[i] > 0
            described.append(
                {"name": name}
                | {k: float(number) if some else None for k, number in numbers.items()}
                | {"count": int(self.count[i])}
            )
        return described


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
        `{"bands": [{name, mean, std, min, max, p2, p98, count}],
        "classes": [{name, pixels, share}]}`. Bands count every valid pixel, labelled or
        not; classes every pixel that counts. Percentiles come from a regular sample.
    """
    rows = len(index) * int(index.height.max()) * int(index.width.max())
    every = max(1, rows // SAMPLE)
    moments, ids = Moments.none(len(stack.names)), np.zeros(256, np.int64)
    for scene, members in chips.by_scene(scenes, index):
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
                ids += np.bincount(labels[covered], minlength=256)
    total = max(1, int(ids[:IGNORE].sum()))
    return {
        "bands": moments.summary(stack.names),
        "classes": [
            {"name": name, "pixels": int(ids[i]), "share": int(ids[i]) / total}
            for i, name in enumerate(classes)
        ],
    }
