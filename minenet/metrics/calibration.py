"""Calibration: of the pixels given a probability of 0.7, are seven in ten labelled?"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minenet.metrics import ratios
from minenet.metrics.counting import wide
from minenet.metrics.scores import Average, averaged

if TYPE_CHECKING:
    from minenet.types import Array

BINS = 16
"""The default number of reliability bins: the field's 15, as a power of two."""


class Reliability(NamedTuple):
    """What is promised and what holds, in bins of equal width over 0..1.

    Attributes:
        confidence: `[K, bins]`, the mean probability; NaN of an empty bin.
        frequency: `[K, bins]`, the share of labelled pixels; NaN of an empty bin.
        pixels: `[K, bins]`, how many there are.
    """

    confidence: np.ndarray
    frequency: np.ndarray
    pixels: np.ndarray


def reliability(histogram: Array, *, bins: int = BINS) -> Reliability:
    """Returns the reliability diagram of a histogram.

    Args:
        histogram: `[K, 2, fine]`. A probability is taken for the centre of its fine
            bin, and a mean of them is known to `1 / (2 fine)`.
        bins: A power of two up to `fine`.

    Raises:
        ValueError: If `bins` does not divide the histogram's.
    """
    histogram = wide(histogram)
    classes, _, fine = histogram.shape
    if bins < 1 or fine % bins:
        raise ValueError(
            f"bins={bins}: must divide the {fine} bins of the histogram; use "
            f"{min(BINS, fine)}"
        )
    centre = (np.arange(fine) + 0.5) / fine
    pixels = histogram.sum(axis=1)
    promised, there, labelled = (
        each.reshape(classes, bins, -1).sum(axis=-1)
        for each in (pixels * centre, pixels, histogram[:, 1])
    )
    return Reliability(
        ratios.divide(promised, there), ratios.divide(labelled, there), there
    )


def ece(
    histogram: Array, *, bins: int = BINS, average: Average = None
) -> np.ndarray | float:
    """Returns `[K]`: the expected calibration error, `Σ n_b |conf_b - freq_b| / n`.

    To `1 / (2 fine)` for the `fine` bins of the histogram; NaN without pixels.

    Args:
        histogram: `[K, 2, fine]`.
        bins: Reliability bins; a power of two up to `fine`.
        average: "micro", "macro" or None, as for the scores at one threshold.
    """

    def of(histogram: Array) -> np.ndarray:
        gap, pixels = _gaps(histogram, bins)
        return ratios.divide((np.nan_to_num(gap) * pixels).sum(-1), pixels.sum(-1))

    return averaged(of, histogram, average)


def mce(
    histogram: Array, *, bins: int = BINS, average: Average = None
) -> np.ndarray | float:
    """Returns `[K]`: the maximum calibration error, `max_b |conf_b - freq_b|`.

    To `1 / (2 fine)`, and NaN, as `ece`; its arguments too. A bin of a single pixel
    decides it like any other.
    """

    def of(histogram: Array) -> np.ndarray:
        gap, pixels = _gaps(histogram, bins)
        return np.where(pixels.sum(-1) > 0, np.nan_to_num(gap).max(-1), np.nan)

    return averaged(of, histogram, average)


def _gaps(histogram: Array, bins: int) -> tuple[np.ndarray, np.ndarray]:
    found = reliability(histogram, bins=bins)
    return np.abs(found.confidence - found.frequency), found.pixels
