"""One focal loss of both kinds, on pixels and on regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from minenet.losses import classes, masking
from minenet.losses.entropy import power, surprises
from minenet.losses.overlap import counts
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.losses.masking import Activation
    from minenet.types import Array


def unified_focal(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    share: float = 0.5,
    delta: float = 0.6,
    gamma: float = 0.5,
    smooth: float = 1e-7,
) -> jax.Array:
    """Returns the asymmetric unified focal loss, `λ focal + (1 - λ) focal Tversky`.

    Yeung et al. 2022, with their constants. With the background b and any other class
    c, each pixel costs `-δ t_c log p_c - (1 - δ) (1 - p_b)^γ t_b log p_b`, and each
    sample the mean of `1 - T_b` and of each `(1 - T_c)^(1 - γ)`, with the Tversky index
    T that counts a miss δ and a false alarm 1 - δ times.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        activation: Under "softmax" the first class is the background; under "sigmoid"
            each class has its own, what it is not, and classes are averaged.
        share: λ in 0..1.
        delta: δ in 0..1.
        gamma: γ of at least 0 and below 1.
        smooth: Of the Tversky index, in pixels.

    Returns:
        A scalar.

    Raises:
        InputError: If a number is out of its range.
    """
    masking.positive("smooth", smooth)
    for name, value in (("share", share), ("delta", delta)):
        if not 0 <= value <= 1:
            raise InputError(f"loss.{name}={value}: must be within 0..1")
    if not 0 <= gamma < 1:
        raise InputError(f"loss.gamma={gamma}: must be at least 0 and below 1")
    logits, target, weight = masking.clean(logits, target, weight)
    masking.check_activation(logits, activation)
    found, alarms, missed = counts(logits, target, weight, activation, "sample")

    def distance(found, alarms, missed):
        error = delta * missed + (1 - delta) * alarms
        return error / (found + error + smooth)

    if activation == "softmax":
        surprise = -classes.log_softmax(logits)
        calm = power(-jnp.expm1(-surprise), gamma)
        background = jnp.arange(logits.shape[-1]) == 0
        factor = jnp.where(background, (1 - delta) * calm, delta)
        pixel = factor * target * surprise
        region = distance(found, alarms, missed)
        region = region.at[..., 1:].set(power(region[..., 1:], 1 - gamma))
    else:
        right, wrong = surprises(logits)
        # 1 - p_b is p, which is exp(-right).
        there = (1 - target) * jnp.exp(-gamma * right) * wrong
        pixel = (delta * target * right + (1 - delta) * there) / logits.shape[-1]
        total = weight.sum(axis=(1, 2))[:, None]
        rest = jnp.maximum(total - found - alarms - missed, 0.0)
        region = distance(rest, missed, alarms)
        region = (region + power(distance(found, alarms, missed), 1 - gamma)) / 2
    region = masking.over_regions(region.mean(axis=-1), weight, "sample", "mean")
    pixel = masking.over_pixels(pixel, weight, "mean")
    return share * pixel + (1 - share) * region
