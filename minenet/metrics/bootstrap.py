"""Intervals of any score, by resampling blocks of ground.

Neighbouring pixels are alike, and drawing single ones would promise far too much. What
is drawn, with replacement, is whole blocks, wider than a mine is: their counts are
added up, and the score of each such sum is one that might have been.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from minenet.types import Array


class Interval(NamedTuple):
    """A score and the percentiles of its draws, each shaped as the score is.

    Attributes:
        score: Of all blocks.
        low: NaN where the score is undefined in all draws, as the others.
        high: At or above `low`.
    """

    score: np.ndarray
    low: np.ndarray
    high: np.ndarray


def interval(
    seed: int | np.random.Generator,
    blocks: Array,
    score: Callable[[np.ndarray], Array],
    *,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Returns the percentile interval of a score over resampled blocks.

    Args:
        seed: An integer, or a generator at the state to start from.
        blocks: `[N, ...]`, the sums of each block: `[N, K, 2, bins]` of histograms,
            `[N, K, K]` of confusion matrices, whatever adds up.
        score: From such a sum `[...]` to a score of any shape, such as
            `functools.partial(metrics.iou, threshold=0.4)`.
        draws: How often N blocks are drawn from the N.
        level: The share of draws between `low` and `high`. Draws in which the score is
            undefined are left out.

    Raises:
        ValueError: If there is no block, or `level` or `draws` is out of range.
    """
    blocks = np.asarray(blocks)
    if not blocks.ndim or not len(blocks):
        raise ValueError(f"blocks (shape={blocks.shape}): must be at least one block")
    if draws < 1 or not 0 < level < 1:
        raise ValueError(
            f"draws={draws}, level={level}: must be at least 1, and between 0 and 1"
        )
    generator = np.random.default_rng(seed)
    number = len(blocks)
    # Sums of counts are exact in float64 up to 2⁵³, and its matrix product is fast.
    flat = blocks.reshape(number, -1).astype(np.float64)
    times = generator.multinomial(number, np.full(number, 1 / number), size=draws)
    drawn = []
    for each in times.astype(np.float64):
        total = (each @ flat).reshape(blocks.shape[1:])
        if blocks.dtype.kind != "f":
            total = np.rint(total).astype(np.int64)
        drawn.append(np.asarray(score(total), np.float64))
    tail = 50 * (1 - level)
    low, high = _percentiles(np.stack(drawn), (tail, 100 - tail))
    return Interval(np.asarray(score(blocks.sum(axis=0))), low, high)


def by_block(
    count: Callable[..., Array],
    *maps: Array,
    side: int,
) -> np.ndarray:
    """Returns `[N, ...]`: `count` of every square block of a map, row by row.

    Args:
        count: Such as `metrics.histogram`, called with the block of each map.
        maps: Each `[H, W, ...]`: probability, target and weight, say.
        side: Of the blocks in pixels; the last of each row and column may be smaller.

    Raises:
        ValueError: If `side` is not at least 1.
    """
    if side < 1:
        raise ValueError(f"side={side}: must be at least 1 pixel")
    height, width = maps[0].shape[:2]
    return np.stack(
        [
            np.asarray(count(*(m[y : y + side, x : x + side] for m in maps)))
            for y in range(0, height, side)
            for x in range(0, width, side)
        ]
    )


def _percentiles(drawn: np.ndarray, at: tuple[float, float]) -> np.ndarray:
    """Percentiles over axis 0 of what is defined; NaN where nothing is."""
    none = np.isnan(drawn).all(axis=0)
    return np.where(none, np.nan, np.nanpercentile(np.where(none, 0.0, drawn), at, 0))
