"""Group and batch normalisation, against Flax's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from minenet.models import norms

KEY = jax.random.key(0)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


X = 3 + 2 * normal(4, 6, 5, 16)
AFFINE = {"scale": normal(16, seed=1), "bias": normal(16, seed=2)}


def assert_same(one, other, *arguments, tolerance=1e-4):
    @functools.partial(jax.jit, static_argnums=0)
    def pull(function):
        value, back = jax.vjp(function, *arguments)
        return value, back(normal(*value.shape, seed=9))

    for a, b in zip(
        jax.tree.leaves(pull(one)), jax.tree.leaves(pull(other)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("channels,groups", [(16, 4), (64, 8), (24, 6), (7, 1)])
def test_group_norm_is_flax_group_norm(channels, groups):
    flax = nn.GroupNorm(num_groups=groups, epsilon=norms.EPSILON)
    assert_same(
        lambda params, x: norms.GroupNorm().apply({"params": params}, x),
        lambda params, x: flax.apply({"params": params}, x),
        {"scale": normal(channels, seed=1), "bias": normal(channels, seed=2)},
        3 + 2 * normal(4, 6, 5, channels),
    )


def test_group_norm_of_a_sample_does_not_depend_on_the_batch():
    layer = norms.GroupNorm()
    variables = layer.init(KEY, X)
    np.testing.assert_allclose(
        layer.apply(variables, X)[1:2], layer.apply(variables, X[1:2]), atol=1e-6
    )


def test_group_norm_leaves_something_of_one_pixel():
    x = normal(1, 1, 1, 8)
    assert jnp.std(norms.GroupNorm().init_with_output(KEY, x)[0]) > 0.5


def test_group_norm_of_a_constant_is_finite_in_value_and_gradient():
    layer = norms.GroupNorm()
    x = jnp.full((2, 4, 4, 8), 1e3)
    variables = layer.init(KEY, x)
    value, gradient = jax.value_and_grad(lambda x: layer.apply(variables, x).sum())(x)
    assert jnp.isfinite(value) and jnp.isfinite(gradient).all()


def test_instance_norm_is_flax_instance_norm():
    flax = nn.InstanceNorm(epsilon=norms.EPSILON)
    assert_same(
        lambda params, x: norms.InstanceNorm().apply({"params": params}, x),
        lambda params, x: flax.apply({"params": params}, x),
        AFFINE,
        X,
    )


def batch_norm(train, stats, epsilon=norms.EPSILON, momentum=0.9):
    options = {"epsilon": epsilon, "momentum": momentum}
    own, flax = norms.BatchNorm(**options), nn.BatchNorm(**options)

    def apply_own(params, x):
        return own.apply(
            {"params": params, "batch_stats": stats},
            x,
            train=train,
            mutable=["batch_stats"],
        )

    def apply_flax(params, x):
        return flax.apply(
            {"params": params, "batch_stats": stats},
            x,
            use_running_average=not train,
            mutable=["batch_stats"],
        )

    return apply_own, apply_flax


STATS = {"mean": jnp.linspace(-1, 1, 16), "var": jnp.linspace(0.5, 2, 16)}


@pytest.mark.parametrize("train", [False, True])
def test_batch_norm_is_flax_batch_norm(train):
    own, flax = batch_norm(train, STATS)
    assert_same(
        lambda params, x: own(params, x)[0],
        lambda params, x: flax(params, x)[0],
        AFFINE,
        X,
    )


def test_the_constants_of_keras_are_those_of_flax_so_set():
    # A small variance, so that epsilon counts.
    outs = [apply(AFFINE, 0.01 * X) for apply in batch_norm(True, STATS, **norms.KERAS)]
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3), *outs)
    assert jnp.abs(outs[0][0] - batch_norm(True, STATS)[0](AFFINE, 0.01 * X)[0]).max()


def test_a_frozen_batch_norm_learns_nothing():
    layer = norms.BatchNorm(epsilon=1e-3, frozen=True)
    variables = layer.init(KEY, X, train=True)

    def trained(params, x):
        variables_ = {**variables, "params": params}
        return layer.apply(variables_, x, train=True, mutable=["batch_stats"])

    y, updated = trained(variables["params"], X)
    np.testing.assert_allclose(y, X / 1.001**0.5, rtol=1e-6)
    assert jax.tree.all(
        jax.tree.map(
            lambda a, b: bool((a == b).all()),
            dict(updated)["batch_stats"],
            variables["batch_stats"],
        )
    )
    gradient, passed = jax.grad(lambda p, x: trained(p, x)[0].sum(), (0, 1))(
        variables["params"], X
    )
    assert not any(jnp.any(leaf) for leaf in jax.tree.leaves(gradient))
    np.testing.assert_allclose(passed, 1.001**-0.5, rtol=1e-6)


@pytest.mark.parametrize("train", [False, True])
def test_batch_norm_keeps_running_statistics_as_flax_does_in_training_only(train):
    own, flax = (
        apply(AFFINE, X)[1]["batch_stats"] for apply in batch_norm(train, STATS)
    )
    for name, before in STATS.items():
        np.testing.assert_allclose(own[name], flax[name], rtol=1e-5, atol=1e-5)
        assert bool(jnp.allclose(own[name], before)) is not train


def test_batch_norm_is_born_with_the_statistics_of_nothing():
    stats = norms.BatchNorm().init(KEY, X, train=True)["batch_stats"]
    np.testing.assert_array_equal(stats["mean"], np.zeros(16))
    np.testing.assert_array_equal(stats["var"], np.ones(16))


@pytest.mark.parametrize(
    "layer,call",
    [
        (norms.GroupNorm(), {}),
        (norms.InstanceNorm(), {}),
        (norms.BatchNorm(), {"train": True}),
    ],
)
def test_statistics_of_bfloat16_maps_are_float32(layer, call):
    # 64² values near 3: their sum in bfloat16 would stop growing at 512 or so.
    x = 3 + 0.5 * normal(2, 64, 64, 8)
    variables = layer.init(KEY, x, **call)
    low = layer.apply(
        variables, x.astype(jnp.bfloat16), mutable=["batch_stats"], **call
    )[0]
    high = layer.apply(variables, x, mutable=["batch_stats"], **call)[0]
    assert low.dtype == jnp.bfloat16
    np.testing.assert_allclose(low.astype(jnp.float32), high, atol=0.05)
    assert abs(low.astype(jnp.float32).mean()) < 0.01
