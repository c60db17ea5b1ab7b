"""How a weight removes pixels, in values and in gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from minenet.losses import classes
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array

Activation = Literal["sigmoid", "softmax"]
"""Whether the classes overlap, a sigmoid each, or exclude each other."""

Over = Literal["batch", "sample"]
"""Whether sums run over all pixels before they are divided, or chip by chip."""

Reduction = Literal["mean", "none"]
"""A scalar, or a value per pixel or sample as the loss is made of."""


def clean(
    logits: Array, target: Array, weight: Array | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns the three in float32, logits and target 0 where the weight is 0.

    To multiply by the weight afterwards is not enough: NaN × 0 is NaN, and so is its
    gradient. No weight means 1 everywhere.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    if weight is None:
        weight = jnp.ones(logits.shape[:-1], jnp.float32)
    if logits.shape != target.shape or logits.shape[:-1] != weight.shape:
        raise ValueError(
            f"logits (shape={logits.shape}) and target (shape={target.shape}) must be "
            f"alike, and weight (shape={weight.shape}) lack only their last axis"
        )
    weight = jnp.asarray(weight, jnp.float32)
    counts = weight[..., None] > 0
    logits = jnp.where(counts, jnp.asarray(logits, jnp.float32), 0.0)
    target = jnp.where(counts, jnp.asarray(target, jnp.float32), 0.0)
    return logits, target, weight


def squash(logits: jax.Array, activation: Activation) -> jax.Array:
    """Returns probabilities `[..., K]`.

    Raises:
        InputError: If `activation` is neither, or a softmax over one class.
    """
    check_activation(logits, activation)
    return (classes.softmax if activation == "softmax" else jax.nn.sigmoid)(logits)


def check_activation(logits: jax.Array, activation: Activation) -> None:
    """Raises `InputError` for another activation, and for a softmax over one class."""
    choice("activation", activation, ("sigmoid", "softmax"))
    if activation == "softmax" and logits.shape[-1] == 1:
        raise InputError(
            "loss.activation='softmax': of one class it is always 1; give 'sigmoid', "
            "or a logit for every class"
        )


def choice(name: str, value: Any, known: Sequence[Any]) -> None:
    """Raises `InputError` if `value` is not one of those known."""
    if value not in known:
        raise InputError(
            f"loss.{name}={value!r}: must be {' or '.join(map(repr, known))}"
        )


def positive(name: str, value: float) -> None:
    """Raises `InputError` unless `value` is above 0."""
    if not value > 0:
        raise InputError(f"loss.{name}={value}: must be positive")


def per_class(values: float | Sequence[float], like: jax.Array, name: str) -> jax.Array:
    """Returns one value, or one a class, in the shape of `like` `[..., K]`.

    Raises:
        InputError: If their number fits neither, or one is negative or not finite.
    """
    array = np.asarray(values, np.float32)
    if array.shape not in ((), (like.shape[-1],)):
        raise InputError(
            f"loss.{name}={values}: {array.size} values for {like.shape[-1]} classes; "
            "give one, or one a class"
        )
    if not np.all(np.isfinite(array) & (array >= 0)):
        raise InputError(f"loss.{name}={values}: must be finite and at least 0")
    return jnp.broadcast_to(array, like.shape)


def total(values: jax.Array, weight: jax.Array, over: Over = "batch") -> jax.Array:
    """Returns `Σ w v` over the pixels of `values` `[B, H, W, K]`, `[K]` or `[B, K]`.

    Rows are added up as a product with ones. XLA fuses what a plain sum adds into its
    loop, which on a CPU takes one scalar after another: behind a logarithm that is 25
    times slower. A product it leaves apart, and so both run on vectors.

    Raises:
        InputError: If `over` is neither.
    """
    choice("over", over, ("batch", "sample"))
    left = "" if over == "batch" else "b"
    rows = jnp.einsum(
        f"bh,bhwk->{left}wk",
        jnp.ones(values.shape[:2], jnp.float32),
        values * weight[..., None],
        precision=jax.lax.Precision.HIGHEST,  # an accelerator's default is 16 bits
    )
    return rows.sum(axis=-2)


def share(total: jax.Array) -> jax.Array:
    """Returns `1 / total`, and 0 if it is 0."""
    return jnp.where(total > 0, 1 / jnp.where(total > 0, total, 1.0), 0.0)


def over_pixels(cost: jax.Array, weight: jax.Array, reduction: Reduction) -> jax.Array:
    """Returns `cost` `[B, H, W, K]` summed over classes, each pixel's or the mean.

    The mean is by weight; each is `[B, H, W]`, and 0 where the weight is 0.
    """
    choice("reduction", reduction, ("mean", "none"))
    cost = classes.total(cost)
    if reduction == "none":
        return jnp.where(weight > 0, cost[..., 0], 0.0)
    return total(cost, weight)[0] * share(weight.sum())


def over_regions(
    cost: jax.Array, weight: jax.Array, over: Over, reduction: Reduction
) -> jax.Array:
    """Returns what `total` over pixels left, `[B]` or a scalar, as `reduction` asks.

    A sample without a pixel that counts, or a whole batch of them, costs 0 and is not
    averaged in.

    Raises:
        InputError: If `reduction` is neither, or "none" of a batch that was summed.
    """
    choice("reduction", reduction, ("mean", "none"))
    if over == "sample":
        counts = (weight.sum(axis=(1, 2)) > 0) * 1.0
        cost = cost * counts
        return cost.sum() * share(counts.sum()) if reduction == "mean" else cost
    if reduction == "none":
        raise InputError(
            "loss.reduction='none': the batch is one region; give over='sample' for "
            "a value each"
        )
    return jnp.where(weight.sum() > 0, cost, 0.0)
