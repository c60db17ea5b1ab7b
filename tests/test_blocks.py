"""The blocks of U-Nets: what each layer adds, drops and is born with."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from minenet.models import blocks, resample

KEY = jax.random.key(0)


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_dropout_drops_whole_channels_and_keeps_the_mean():
    block = blocks.ConvBlock(64, norm="none", activation="elu", dropout=0.25)
    x = normal(8, 5, 5, 3)
    variables = block.init(KEY, x, train=False)
    full = block.apply(variables, x, train=False)
    dropped = block.apply(variables, x, train=True, rngs={"dropout": KEY})
    kept = jnp.any(dropped != 0, axis=(1, 2))
    np.testing.assert_allclose(
        dropped, jnp.where(kept[:, None, None], full / 0.75, 0), rtol=1e-5
    )
    assert 0.65 < kept.mean() < 0.85


def test_a_residual_block_that_learned_nothing_passes_its_input_on():
    block = blocks.ConvBlock(3, norm="none", residual=True)
    x = normal(2, 5, 6, 3)
    nothing = jax.tree.map(jnp.zeros_like, block.init(KEY, x, train=False))
    np.testing.assert_array_equal(block.apply(nothing, x, train=False), jax.nn.relu(x))


def test_the_map_below_is_convolved_as_if_enlarged_and_concatenated():
    layer = blocks.ConvNorm(5)
    skip, below = normal(2, 8, 6, 3), normal(2, 4, 3, 7)
    variables = layer.init(KEY, skip, train=False, below=below)
    both = jnp.concatenate([jnp.repeat(jnp.repeat(below, 2, 1), 2, 2), skip], axis=-1)
    np.testing.assert_allclose(
        layer.apply(variables, skip, train=False, below=below),
        layer.apply(variables, both, train=False),
        atol=1e-5,
    )


def test_kernels_are_drawn_as_by_flax():
    shape = (3, 3, 4, 8)
    flax = nn.initializers.he_normal()(KEY, shape)
    np.testing.assert_allclose(blocks.he_normal(KEY, shape), flax, rtol=1e-6)


def test_a_convolution_may_have_a_bias_beside_its_norm():
    x = normal(1, 4, 4, 3)

    def names(norm, bias):
        layer = blocks.ConvNorm(4, norm=norm, bias=bias)
        return set(layer.init(KEY, x, train=False)["params"])

    assert names("batch", None) == {"kernel", "BatchNorm_0"}
    assert names("batch", True) == {"kernel", "bias", "BatchNorm_0"}
    assert names("none", None) == {"kernel", "bias"}
    assert names("none", False) == {"kernel"}


def test_the_enlarging_convolution_is_enlargement_convolution_activation():
    layer = blocks.NearestConv(5, kernel_size=2)
    x = normal(2, 3, 4, 6)
    params = layer.init(KEY, x)["params"]
    plain = nn.Conv(5, (2, 2)).apply({"params": params}, resample.nearest(x))
    np.testing.assert_allclose(
        layer.apply({"params": params}, x), nn.relu(plain), atol=1e-5
    )
