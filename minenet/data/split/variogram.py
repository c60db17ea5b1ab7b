"""How far labels resemble each other: the range of their autocorrelation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import nnls

from minenet.data.split.footprints import APART

ORIGINS, MOST_PAIRS = 400, 20_000_000
CANDIDATES, FLAT = 100, 0.1
FEWEST = 30
"""Pairs that a class of distances needs to count."""


def of(positions: np.ndarray, values: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """Returns how unlike values are by their distance, and where that levels off.

    The estimator of Matheron (1963): half the mean squared difference of the pairs in
    each class of distances. Classes grow by √2 from the least distance to half the
    greatest. The range is that of the spherical model with a nugget that fits best,
    each class weighted by its pairs over its squared distance, as in gstat: beyond it
    pairs are as unlike as values are in general. Where less than a tenth of the
    variance depends on distance, it is the least distance.

    Args:
        positions: `[N, 3]` metres, see `distances.positions`.
        values: `[N]`, as a rule the share of a window that holds a class.
        seed: draws the windows that distances are measured from, 400 at most.

    Returns:
        `range_m`, None if it lies beyond them or if values do not vary; `sill`,
        their variance; `lags_m`, `semivariance` and `pairs` of each class, lists.
    """
    sill = float(np.var(values)) if len(values) else 0.0
    lags, unlike, pairs = np.empty((3, 0))
    if sill > 1e-12:
        count = min(ORIGINS, max(1, MOST_PAIRS // len(values)))
        drawn = np.random.default_rng(seed).permutation(len(values))[:count]
        lags, unlike, pairs = _classes(positions, values, drawn)
    return {
        "range_m": _fitted(lags, unlike, pairs, sill),
        "sill": sill,
        "lags_m": lags.tolist(),
        "semivariance": unlike.tolist(),
        "pairs": pairs.tolist(),
    }


def _classes(positions, values, drawn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    spans = [(away.min(), away.max()) for away, _ in _rows(positions, values, drawn)]
    if not spans:
        return tuple(np.empty((3, 0)))
    first, last = min(low for low, _ in spans), max(high for _, high in spans) / 2
    steps = max(1, int(np.ceil(2 * np.log2(max(last / first, 1)))))
    sums = np.zeros((3, steps))
    for away, unlike in _rows(positions, values, drawn):
        at = np.floor(2 * np.log2(away / first) + 1e-9).astype(int)
        near = at < steps
        for i, weight in enumerate((away, unlike, np.ones(len(away)))):
            sums[i] += np.bincount(at[near], weight[near], steps)
    sums = sums[:, sums[2] >= FEWEST]
    return sums[0] / sums[2], sums[1] / sums[2], sums[2].astype(int)


def _rows(positions, values, drawn) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Distances and differences from one window: no square of all of them at once."""
    for i in drawn:
        away = np.sqrt(((positions - positions[i]) ** 2).sum(1))
        there = (away > 0) & (away < APART / 2)
        if there.any():
            yield away[there], (values[there] - values[i]) ** 2 / 2


def _fitted(lags, unlike, pairs, sill: float) -> float | None:
    """The range of the spherical model that fits best, None beyond the last class."""
    if not len(lags):
        return None
    weight = np.sqrt(pairs) / lags  # near pairs tell most
    fits = []
    for reach in np.geomspace(lags[0], 2 * lags[-1], CANDIDATES):
        h = np.minimum(lags / reach, 1)
        columns = np.stack([np.ones(len(h)), 1.5 * h - 0.5 * h**3], axis=1)
        (nugget, rise), off = nnls(columns * weight[:, None], unlike * weight)
        fits.append((off, reach, nugget, rise))
    _, reach, nugget, rise = min(fits)
    if nugget + rise < sill / 2:  # alike at all these distances: it varies beyond them
        return None
    if rise <= FLAT * (nugget + rise):
        return float(lags[0])
    return float(reach) if reach <= lags[-1] else None
