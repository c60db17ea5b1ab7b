"""Cross-entropies: the mean surprise per pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from minenet.losses import classes, masking
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.losses.masking import Activation, Reduction
    from minenet.types import Array


def bce(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    positive_weight: float | Sequence[float] = 1.0,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns the mean sigmoid cross-entropy over pixels and classes.

    With logit x, target t and positive weight q, one pixel costs
    `-q t log σ(x) - (1 - t) log σ(-x)`, which is finite for any x.
    Detecting_Mining_Areas_India offers it with `positive_weight=10`.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        positive_weight: How many times a positive pixel costs a negative one; one
            value, or one a class.
        reduction: "none" for the cost of each pixel.

    Returns:
        A scalar; the mean divides by the sum of `weight` alone. Or `[B, H, W]`.

    >>> import numpy as np
    >>> zero = np.zeros((1, 1, 1, 1))
    >>> print(bce(zero, zero).round(4))
    0.6931
    """
    logits, target, weight = masking.clean(logits, target, weight)
    ratio = masking.per_class(positive_weight, logits, "positive_weight")
    right, wrong = surprises(logits)
    cost = ratio * target * right + (1 - target) * wrong
    return masking.over_pixels(cost / cost.shape[-1], weight, reduction)


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    class_weight: Sequence[float] | None = None,
    smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns the mean softmax cross-entropy over pixels, `-Σ_k c_k t_k log p_k`.

    Args:
        logits: `[B, H, W, K]` of exclusive classes.
        target: `[B, H, W, K]`, one-hot or shares that sum to 1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        class_weight: `[K]` costs of the classes; None for 1 each.
        smoothing: Share s of the target that all classes divide evenly,
            `(1 - s) t + s / K` (Szegedy et al. 2016).
        reduction: "none" for the cost of each pixel.

    Returns:
        A scalar; the mean divides by the sum of `weight` alone, so that the gradient
        of a pixel does not depend on which classes the batch happens to hold. Or
        `[B, H, W]`.

    Raises:
        InputError: If `smoothing` is not within 0..1.
    """
    if not 0 <= smoothing <= 1:
        raise InputError(f"loss.smoothing={smoothing}: must be within 0..1")
    logits, target, weight = masking.clean(logits, target, weight)
    if smoothing:
        target = (1 - smoothing) * target + smoothing / target.shape[-1]
    if class_weight is not None:
        target = target * masking.per_class(class_weight, target, "class_weight")
    cost = -target * classes.log_softmax(logits)
    return masking.over_pixels(cost, weight, reduction)


def focal(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Returns the cross-entropy with what is already right played down.

    A pixel whose true class has the probability p costs `-α (1 - p)^γ log p` (Lin et
    al. 2017); asm-mapping-deeplearning and mining-net have the sigmoid form with these
    constants. It is linear in the target, as a cross-entropy is.

    Args:
        logits: `[B, H, W, K]`.
        target: `[B, H, W, K]` in 0..1.
        weight: `[B, H, W]`, what each pixel counts; None for 1 each.
        activation: "sigmoid" averages over classes, "softmax" sums over them.
        alpha: The factor of positives, negatives have 1 - α. Under a softmax that of
            every class but the first, the background, which has 1 - α: two exclusive
            classes are one binary. Or the factor of each class.
        gamma: γ of at least 0; with 0 it is a cross-entropy.
        reduction: "none" for the cost of each pixel.

    Returns:
        A scalar, or `[B, H, W]`.

    Raises:
        InputError: If `gamma` is negative or `alpha` does not fit.
    """
    if not gamma >= 0:
        raise InputError(f"loss.gamma={gamma}: must be at least 0")
    logits, target, weight = masking.clean(logits, target, weight)
    masking.check_activation(logits, activation)
    factor = masking.per_class(alpha, logits, "alpha")
    if activation == "sigmoid":
        right, wrong = surprises(logits)
        cost = factor * target * jnp.exp(-gamma * wrong) * right
        cost += (1 - factor) * (1 - target) * jnp.exp(-gamma * right) * wrong
        return masking.over_pixels(cost / cost.shape[-1], weight, reduction)
    if isinstance(alpha, int | float):
        factor = factor.at[..., 0].set(1 - alpha)
    surprise = -classes.log_softmax(logits)
    cost = factor * target * power(-jnp.expm1(-surprise), gamma) * surprise
    return masking.over_pixels(cost, weight, reduction)


@jax.custom_jvp
def surprises(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns -log σ(x) and -log σ(-x), for the price of one.

    The form with a single softplus, as TensorFlow has it, cancels far from 0.
    """
    tail = _log1p(jnp.exp(-jnp.abs(logits)))
    return jnp.maximum(-logits, 0) + tail, jnp.maximum(logits, 0) + tail


@surprises.defjvp
def _slopes(primals, tangents):
    # Term by term the kinks at 0 have no slope: a head that begins at 0 would stay.
    (logits,), (step,) = primals, tangents
    slopes = -jax.nn.sigmoid(-logits) * step, jax.nn.sigmoid(logits) * step
    return surprises(logits), slopes


def _log1p(x: jax.Array) -> jax.Array:
    """Returns log(1 + x) for x in 0..1, to the last digit but one.

    As 2 artanh(x / (2 + x)), by its series: where XLA's own stands alone in a loop it
    is eight times slower on a CPU, and log(1 + x) loses what is small.
    """
    ratio = x / (2 + x)
    series = 0.0
    for odd in range(15, 0, -2):
        series = series * ratio**2 + 1 / odd
    return 2 * ratio * series


def power(base: jax.Array, exponent: float) -> jax.Array:
    """Returns `base ** exponent` of at least 0, with slope 0 where the base is 0.

    The true slope of an exponent below 1 is infinite there.
    """
    if exponent == int(exponent):
        return base ** int(exponent)
    above = base > 0
    return jnp.where(above, jnp.where(above, base, 1.0) ** exponent, 0.0)
