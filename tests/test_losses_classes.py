"""Softmax and logarithm are JAX's own, of few classes and of many."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet.losses import classes, entropy


@pytest.mark.parametrize("number", [2, 3, 12])  # up to eight are added one by one
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_is_that_of_jax(name, number):
    ours, theirs = getattr(classes, name), getattr(jax.nn, name)
    logits = 30 * jax.random.normal(jax.random.key(0), (4, 5, number))
    factor = jax.random.normal(jax.random.key(1), logits.shape)
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(ours(logits), theirs(logits), **close)
    slopes = [
        jax.grad(lambda x, f=f: (f(x) * factor).sum())(logits) for f in (ours, theirs)
    ]
    np.testing.assert_allclose(*slopes, **close)
    curves = [jax.hessian(lambda x, f=f: f(x)[0])(logits[0, 0]) for f in (ours, theirs)]
    np.testing.assert_allclose(*curves, **close)


def test_surprise_keeps_its_digits_far_from_zero():
    logits = np.linspace(-80, 80, 10_001, dtype=np.float32)
    right, wrong = jax.jit(entropy.surprises)(logits)
    true = np.logaddexp(0, -logits.astype(np.float64))
    np.testing.assert_allclose(right, true, rtol=1e-5)
    np.testing.assert_allclose(wrong, true[::-1], rtol=1e-5)
    assert jnp.isfinite(jax.grad(lambda x: entropy.surprises(x)[0].sum())(logits)).all()
