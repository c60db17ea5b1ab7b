"""Scores of probabilities themselves, from sums of floats that merge by `+`.

Brier score and log loss are lowest, in the mean, for whoever tells the true
probability. Soft IoU and F1 are the overlaps without a threshold, as the deforestation
study has them (Vorotyntsev et al., 2021, doi 10.1109/UKRCON53503.2021.9575783).
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from minenet.metrics import ratios
from minenet.metrics.counting import must_belong_together
from minenet.metrics.scores import Average, averaged

if TYPE_CHECKING:
    from minenet.types import Array

# No loss is infinite: probabilities are held this far from 0 and 1, as scikit-learn
# holds those of float32.
TINY = float(np.finfo(np.float32).eps)


def soft_sums(
    probability: Array, target: Array, weight: Array, *, weighted: bool = False
) -> Array:
    """Returns what Brier score, log loss, soft IoU and soft F1 need, per class.

    Args:
        probability: `[..., K]` in 0..1; NaN counts as 0, as in `histogram`.
        target: `[..., K]`; at least 1/2 is positive.
        weight: `[...]`; pixels of weight 0 do not count, all others count as one.
        weighted: Pixels count as their weight instead.

    Returns:
        `[K, 6]`: pixels, `Σ (p - t)²`, `Σ -t ln p`, `Σ -(1 - t) ln(1 - p)`, `Σ p t` and
        `Σ (p + t)`. float32 of JAX for JAX arrays, float64 of NumPy for NumPy
        arrays: add up on the host.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    must_belong_together(probability, target, weight)
    if isinstance(probability, np.ndarray):
        terms = _terms(probability, target, weight, weighted=weighted, xp=np)
        classes = probability.shape[-1]
        total = [x.reshape(-1, classes).sum(axis=0, dtype=np.float64) for x in terms]
        return np.stack(total, axis=-1)
    if probability.ndim < 3:
        probability, target, weight = _rows(probability, target, weight)
    return jax.lax.platform_dependent(
        *(probability, target, weight),
        cpu=functools.partial(_sum_row_by_row, weighted=weighted),
        default=functools.partial(_sum_at_once, weighted=weighted),
    )


def brier(sums: Array, *, average: Average = None) -> np.ndarray | float:
    """Returns `[K]`: the mean of `(p - t)²`; NaN without pixels.

    Of exclusive classes, the sum over K is the multi-class Brier score.
    """
    return averaged(lambda each: ratios.divide(each[:, 1], each[:, 0]), sums, average)


def log_loss(
    sums: Array, *, exclusive: bool = False, average: Average = None
) -> np.ndarray | float:
    """Returns `[K]`: the mean of `-t ln p - (1 - t) ln(1 - p)`; NaN without pixels.

    Args:
        sums: `[K, 6]` of `soft_sums`.
        exclusive: The classes exclude one another: a float, the mean of the `-ln p` of
            the labelled class, is returned.
        average: "micro", "macro" or None, as for the scores at one threshold.
    """
    sums = np.asarray(sums, np.float64)
    if exclusive:
        return float(ratios.divide(sums[:, 2].sum(), sums[0, 0]))

    def of(each: np.ndarray) -> np.ndarray:
        return ratios.divide(each[:, 2] + each[:, 3], each[:, 0])

    return averaged(of, sums, average)


def soft_iou(sums: Array, *, average: Average = None) -> np.ndarray | float:
    """Returns `[K]`: `Σ p t / (Σ p + Σ t - Σ p t)`, NaN where that is 0 / 0.

    The macro average over a batch is the score of the deforestation study, whose ε of
    1e-16 only decides that 0 / 0, where no class is labelled and none has probability.
    """
    return averaged(
        lambda each: ratios.divide(each[:, 4], each[:, 5] - each[:, 4]), sums, average
    )


def soft_f1(sums: Array, *, average: Average = None) -> np.ndarray | float:
    """Returns `[K]`: `2 Σ p t / (Σ p + Σ t)`, the soft Dice; NaN as for `soft_iou`."""
    return averaged(
        lambda each: ratios.divide(2 * each[:, 4], each[:, 5]), sums, average
    )


def _terms(
    probability: Array, target: Array, weight: Array, *, weighted: bool, xp: ModuleType
) -> tuple[Array, ...]:
    """What `soft_sums` adds up, each `[..., K]` float32."""
    p = xp.asarray(probability, xp.float32)
    p = xp.where(p > 0, p, 0.0)  # NaN too
    positive = target >= 0.5
    w = xp.where(weight > 0, weight if weighted else 1.0, 0.0)[..., None]
    w = xp.broadcast_to(w.astype(xp.float32), p.shape)
    t = positive.astype(xp.float32)
    log = -xp.log(xp.clip(xp.where(positive, p, 1 - p), TINY, 1 - TINY))
    overlap = w * p * t
    return w, w * (p - t) ** 2, w * t * log, w * (1 - t) * log, overlap, w * (p + t)


def _sum_row_by_row(p: Array, t: Array, w: Array, *, weighted: bool) -> Array:
    """The sums of `[..., rows, W, K]`, each pixel visited once.

    On a CPU, XLA reduces each of the six with a logarithm in its inner loop, one pixel
    after another: rows added to rows are vectors, and some 50 times faster.
    """

    def add(row: int, sums: tuple[Array, ...]) -> tuple[Array, ...]:
        at = (x.take(row, axis) for x, axis in ((p, -3), (t, -3), (w, -2)))
        terms = _terms(*at, weighted=weighted, xp=jnp)
        return tuple(a + b for a, b in zip(sums, terms, strict=True))

    empty = jnp.zeros((*p.shape[:-3], *p.shape[-2:]), jnp.float32)
    sums = jax.lax.fori_loop(0, p.shape[-3], add, (empty,) * 6)
    return jnp.stack([x.sum(axis=range(x.ndim - 1)) for x in sums], axis=-1)


def _sum_at_once(p: Array, t: Array, w: Array, *, weighted: bool) -> Array:
    terms = _terms(p, t, w, weighted=weighted, xp=jnp)
    return jnp.stack([x.sum(axis=range(x.ndim - 1)) for x in terms], axis=-1)


def _rows(*arrays: Array) -> tuple[Array, ...]:
    """Pixels in rows of up to 1024, the last filled with pixels that do not count."""
    weight = arrays[-1]
    width = min(1024, max(weight.size, 1))
    fill = -weight.size % width
    rows = []
    for array, trailing in zip(arrays, (1, 1, 0), strict=True):
        shape = array.shape[array.ndim - trailing :]
        flat = array.reshape(weight.size, *shape)
        flat = jnp.pad(flat, ((0, fill), *[(0, 0)] * trailing))
        rows.append(flat.reshape(-1, width, *shape))
    return tuple(rows)
