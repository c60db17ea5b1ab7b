"""Softmax and sums over the classes of each pixel, of which there are few."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp


def total(values: jax.Array) -> jax.Array:
    """Returns the sum over the last axis of `[..., K]`, `[..., 1]`.

    Up to eight classes are added one to the other. A reduction over so short an axis
    keeps XLA on a CPU from using vectors, also in whatever it fuses with it: forward
    and backward a softmax takes four times as long.
    """
    return _fold(jnp.add, values)


@jax.custom_jvp
def softmax(logits: jax.Array) -> jax.Array:
    """Returns the probabilities `[..., K]` of exclusive classes."""
    powers = jnp.exp(logits - _fold(jnp.maximum, logits))
    return powers / total(powers)


@softmax.defjvp
def _softmax_slopes(primals, tangents):
    (logits,), (step,) = primals, tangents
    probability = softmax(logits)
    return probability, probability * (step - total(probability * step))


@jax.custom_jvp
def log_softmax(logits: jax.Array) -> jax.Array:
    """Returns the logarithms of the probabilities `[..., K]` of exclusive classes."""
    logits = logits - _fold(jnp.maximum, logits)
    return logits - jnp.log(total(jnp.exp(logits)))


@log_softmax.defjvp
def _log_softmax_slopes(primals, tangents):
    (logits,), (step,) = primals, tangents
    logarithm = log_softmax(logits)
    return logarithm, step - total(jnp.exp(logarithm) * step)


def _fold(function, values: jax.Array) -> jax.Array:
    if values.shape[-1] > 8:
        reduce = {jnp.add: jnp.sum, jnp.maximum: jnp.max}[function]
        return reduce(values, axis=-1, keepdims=True)
    each = (values[..., k] for k in range(values.shape[-1]))
    return functools.reduce(function, each)[..., None]
