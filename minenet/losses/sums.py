"""Losses made of losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from minenet.losses import masking
from minenet.losses.entropy import bce
from minenet.losses.overlap import counts, dice
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.losses.masking import Over
    from minenet.types import Array

Loss = Callable[..., jax.Array]
"""`(logits, target, weight=None) -> scalar`."""


def combine(*terms: tuple[float, Loss]) -> Loss:
    """Returns the sum of losses, each times its factor."""

    def total(logits: Array, target: Array, weight: Array | None = None) -> jax.Array:
        return sum(factor * loss(logits, target, weight) for factor, loss in terms)

    return total


def deep_supervision(loss: Loss, *, factors: Sequence[float] | None = None) -> Loss:
    """Returns the weighted mean of a loss over the outputs of several depths.

    As nnU-Net (Isensee et al. 2021) the target and the weight are taken at the nearest
    pixel of each resolution, so that they stay hard.

    Args:
        loss: `(logits, target, weight) -> scalar`.
        factors: One for each output, the first first; they are divided by their sum.
            None for 1, ½, ¼, ….

    Returns:
        A loss whose logits are a list of `[B, h, w, K]`, of any h and w; of an array
        alone it is `loss`.

    >>> import numpy as np
    >>> deep = deep_supervision(bce)
    >>> fine, coarse = np.zeros((1, 8, 8, 1)), np.zeros((1, 4, 4, 1))
    >>> print(deep([fine, coarse], fine).round(4))
    0.6931
    """

    def total(
        logits: Array | Sequence[Array], target: Array, weight: Array | None = None
    ) -> jax.Array:
        if not isinstance(logits, list | tuple):
            return loss(logits, target, weight)
        shares = [0.5**i for i in range(len(logits))] if factors is None else factors
        if len(shares) != len(logits) or not sum(shares) > 0:
            raise InputError(
                f"factors={tuple(shares)}: must be one for each of {len(logits)} "
                "outputs, with a sum above 0"
            )
        values = [
            loss(each, *(_nearest(a, each.shape[1:3]) for a in (target, weight)))
            for each in logits
        ]
        return sum(f * v for f, v in zip(shares, values, strict=True)) / sum(shares)

    return total


def bce_dice(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    factors: tuple[float, float] = (1.0, 1.0),
    positive_weight: float | Sequence[float] = 1.0,
    over: Over = "batch",
    smooth: float = 1.0,
) -> jax.Array:
    """Returns the weighted sum of `bce` and a sigmoid `dice`.

    mining-net has the factors (.3, .7), before (.5, .5), and `smooth=1e-6`; the
    building segmentation in IIEST's Image-segmentation (.05, 1) with `over="sample"`,
    less 1.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        factors: Of the cross-entropy and of the Dice loss.
        positive_weight: How many times a positive pixel costs a negative one in `bce`.
        over: What the Dice loss sums over.
        smooth: Of the Dice loss, in pixels.

    Returns:
        A scalar.

    Raises:
        InputError: If there are not two factors.
    """
    if len(factors) != 2:
        raise InputError(f"loss.factors={factors}: bce_dice has 2 terms; give one each")
    entropy = bce(logits, target, weight, positive_weight=positive_weight)
    overlap = dice(
        logits, target, weight, activation="sigmoid", over=over, smooth=smooth
    )
    return factors[0] * entropy + factors[1] * overlap


def log_jaccard_bce(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    smooth: float = 1e-12,
) -> jax.Array:
    """Returns `bce - log J`, with the soft Jaccard index J over the batch.

    `J = (I + s) / (S - I + s)`, averaged over classes before the logarithm: the loss of
    ternaus' kaggle_dstl_submission.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        smooth: `s`, in pixels: a class that is absent and foreseen costs its logarithm.

    Returns:
        A scalar.
    """
    masking.positive("smooth", smooth)
    logits, target, weight = masking.clean(logits, target, weight)
    found, alarms, missed = counts(logits, target, weight, "sigmoid", "batch")
    index = (found + smooth) / (found + alarms + missed + smooth)
    cost = masking.over_regions(-jnp.log(index.mean()), weight, "batch", "mean")
    return bce(logits, target, weight) + cost


def _nearest(image: Array | None, size: Sequence[int]) -> Array | None:
    """Returns `[B, H, W, …]` at the pixels nearest to the centres of `size`."""
    if image is None or image.shape[1:3] == tuple(size):
        return image
    rows, columns = (
        (2 * jnp.arange(new) + 1) * old // (2 * new)
        for old, new in zip(image.shape[1:3], size, strict=True)
    )
    return jnp.asarray(image)[:, rows][:, :, columns]
