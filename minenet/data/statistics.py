"""What the training pixels look like: statistics of bands, shares of classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pandas as pd

from minenet import files
from minenet.data import chips
from minenet.data.label import objects
from minenet.data.parts import Keep
from minenet.data.quarantine import Quarantine
from minenet.data.scenes import Scene
from minenet.geo import bands, windows
from minenet.types import IGNORE

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


@dataclass(frozen=True)
class Measured:
    """What was measured in the windows of a scene.

    Attributes:
        moments: of its pixels, band by band.
        counts: `[ids + 1]` pixels of each class, and of all that count, last.
        areas: in m², for each class that has objects those of this scene.
    """

    moments: Moments
    counts: np.ndarray
    areas: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Measure:
    """Measures a scene; it can be pickled and done again.

    Attributes:
        stack: bands to read.
        ids: number of class ids, the background included.
        every: one in so many pixels is sampled for the percentiles.
        quarantine: where a scene goes that cannot be read; an error if None.
    """

    stack: bands.Stack
    ids: int
    every: int
    quarantine: Quarantine | None = None

    def __call__(self, item: tuple[Scene, pd.DataFrame]) -> Measured | None:
        """Returns what a scene has in its windows, None where it cannot be read."""
        if self.quarantine is None:
            return self._of(item)
        return self.quarantine.guard(self._of, item, scene=item[0].name)

    def _of(self, item: tuple[Scene, pd.DataFrame]) -> Measured:
        scene, members = item
        moments = Moments.none(len(self.stack.names))
        counts = np.zeros(self.ids + 1, np.int64)
        for strip in windows.strips(
            scene.height, scene.width, rows=members.height.max()
        ):
            covered = np.zeros((strip.height, strip.width), bool)
            for member in members.itertuples():
                inside = windows.intersect(chips.window(member), strip)
                if inside is not None:
                    covered[windows.shift(inside, -strip.row, 0).slices] = True
            if covered.any():
                image = bands.read(scene.images, self.stack, strip, grid=scene.onto)
                labels = chips.known(image, chips.read_labels(scene, strip))
                found = Moments.of(image[covered], every=self.every)
                moments = moments.merge(found)
                counts += _count(labels[covered], self.ids)
        return Measured(moments, counts, objects.areas(scene, self.ids))


def _count(labels: np.ndarray, ids: int) -> np.ndarray:
    """Pixels of each id, or with channels of no class and of each, and all counting."""
    if labels.ndim == 1:
        counts = np.bincount(labels, minlength=IGNORE + 1)[:ids]
        return np.append(counts, counts.sum())
    labels = labels[(labels != IGNORE).all(-1)]
    here = labels == 1
    return np.array([(~here.any(-1)).sum(), *here.sum(0), len(labels)], np.int64)


def kept(measure: Measure, folder: Path) -> Keep:
    """Returns the measure as a task that keeps what it found in a folder."""
    return Keep(measure, _write, _read, folder / "statistics", ".npz")


def _write(path: Path, found: Measured) -> None:
    moments = {
        f.name: getattr(found.moments, f.name)
        for f in fields(Moments)
        if f.name != "sample"
    }
    areas = {f"areas_{i}": each for i, each in enumerate(found.areas)}
    sample = np.concatenate(found.moments.sample)
    with files.replacing(path) as part, open(part, "wb") as file:
        np.savez(file, counts=found.counts, sample=sample, **moments, **areas)


def _read(path: Path) -> Measured:
    with np.load(path, allow_pickle=False) as kept:
        told = dict(kept)
    areas = [told.pop(f"areas_{i}") for i in range(len(told["counts"]) - 2)]
    counts, sample = told.pop("counts"), told.pop("sample")
    return Measured(Moments(**told, sample=[sample]), counts, tuple(areas))


def sampling_rate(index: pd.DataFrame) -> int:
    """Returns how many pixels of windows there are to each that is sampled."""
    rows = len(index) * int(index.height.max()) * int(index.width.max())
    return max(1, rows // SAMPLE)


def summarize(
    found: Iterable[Measured], bands: Sequence[str], classes: Sequence[str]
) -> dict:
    """Returns statistics as JSON can hold them.

    Args:
        found: what was measured, scene after scene.
        bands: names of the channels.
        classes: name of each class id.

    Returns:
        `{"bands": [{name, mean, std, min, max, p1 … p99, count, histogram}],
        "classes": [{name, pixels, share}], "objects": [{name, count, …}]}`. Bands count
        every valid pixel, labelled or not; classes every pixel that counts, of which
        `share` is a part. Percentiles and histograms come from a regular sample.
        Objects are those of whole scenes, also where no window lies.
    """
    moments = Moments.none(len(bands))
    counts = np.zeros(len(classes) + 1, np.int64)
    areas: list[list[np.ndarray]] = [[] for _ in classes[1:]]
    for each in found:
        moments = moments.merge(each.moments)
        counts += each.counts
        for kept, new in zip(areas, each.areas, strict=True):
            kept.append(new)
    total = max(1, int(counts[-1]))
    return {
        "bands": moments.summary(bands),
        "classes": [
            {"name": name, "pixels": int(counts[i]), "share": int(counts[i]) / total}
            for i, name in enumerate(classes)
        ],
        "objects": [
            {"name": name, **objects.described(np.concatenate([[], *each]))}
            for name, each in zip(classes[1:], areas, strict=True)
        ],
    }


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
        What `summarize` returns.
    """
    measure = Measure(stack, len(classes), sampling_rate(index))
    found = map(measure, chips.by_scene(scenes, index))
    return summarize(found, stack.names, classes)
