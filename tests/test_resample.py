"""Changes of a map's size, against the operations of Flax and JAX that they replace."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from minenet.models import convolution, resample


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_same_function(one, other, *arguments, atol=1e-5):
    """Values agree, and so do gradients with regard to every argument."""

    @functools.partial(jax.jit, static_argnums=0)
    def pull(function):
        value, back = jax.vjp(function, *arguments)
        return value, back(normal(*value.shape, seed=9))

    for a, b in zip(
        jax.tree.leaves(pull(one)), jax.tree.leaves(pull(other)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)


def test_max_pool_is_flax_max_pool():
    assert_same_function(
        resample.max_pool,
        lambda x: nn.max_pool(x, (2, 2), strides=(2, 2)),
        normal(2, 6, 10, 3),
    )


def test_max_pool_hands_the_gradient_to_the_first_of_ties():
    gradient = jax.grad(lambda x: resample.max_pool(x).sum())(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[1, 0], [0, 0]])


@pytest.mark.parametrize("block", [1, 2, 4])
def test_depth_to_space_undoes_space_to_depth(block):
    x = normal(2, 8, 12, 3)
    deep = resample.space_to_depth(x, block)
    assert deep.shape == (2, 8 // block, 12 // block, 3 * block**2)
    np.testing.assert_array_equal(resample.depth_to_space(deep, block), x)


def test_space_to_depth_keeps_a_block_in_row_major_order():
    x = jnp.arange(16).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(
        resample.space_to_depth(x, 2)[0, 1, 0], [8, 9, 12, 13]
    )


def test_nearest_is_resize():
    assert_same_function(
        resample.nearest,
        lambda x: jax.image.resize(x, (2, 10, 6, 4), "nearest"),
        normal(2, 5, 3, 4),
    )


def test_bilinear_keeps_planes_away_from_the_edge():
    row, col = jnp.meshgrid(jnp.arange(6.0), jnp.arange(8.0), indexing="ij")
    plane = (2 * row - col)[None, ..., None]
    large = resample.bilinear(plane)[0, 1:-1, 1:-1, 0]
    # The centre of pixel i of the enlarged map lies at (i + ½)/2 - ½ of the map.
    row, col = jnp.meshgrid(jnp.arange(1, 11), jnp.arange(1, 15), indexing="ij")
    expected = 2 * ((row + 0.5) / 2 - 0.5) - ((col + 0.5) / 2 - 0.5)
    np.testing.assert_allclose(large, expected, atol=1e-5)


@pytest.mark.parametrize(
    "height,width,side", [(1, 1, 3), (1, 4, 3), (5, 3, 3), (4, 3, 2), (3, 2, 5)]
)
def test_convolve_nearest_is_a_convolution_of_the_enlarged_map(height, width, side):
    assert_same_function(
        resample.convolve_nearest,
        lambda x, kernel: convolution.convolve(resample.nearest(x), kernel),
        normal(2, height, width, 4),
        normal(side, side, 4, 3, seed=1),
    )


@pytest.mark.parametrize("side", [2, 3])
def test_convolve_transposed_is_the_transpose_of_a_strided_convolution(side):
    # Keras defines it so, with the channels of the kernel the other way round.
    def transpose(x, kernel):
        large = jnp.zeros((2, 8, 6, 5))
        strided = functools.partial(convolution.convolve, stride=2)
        kernel = kernel.swapaxes(2, 3)
        return jax.linear_transpose(lambda y: strided(y, kernel), large)(x)[0]

    x, kernel = normal(2, 4, 3, 6), normal(side, side, 6, 5, seed=1)
    assert_same_function(resample.convolve_transposed, transpose, x, kernel)
    layer = resample.TransposedConv(5, side)
    params = {"kernel": kernel, "bias": np.zeros(5)}
    np.testing.assert_allclose(
        layer.apply({"params": params}, x), transpose(x, kernel), atol=1e-5
    )


@pytest.mark.parametrize("before,padding", [(0, "SAME"), (1, ((1, 1), (1, 1)))])
def test_max_pool_overlapping_is_flax_max_pool(before, padding):
    assert_same_function(
        functools.partial(resample.max_pool_overlapping, before=before),
        lambda x: nn.max_pool(x, (3, 3), strides=(2, 2), padding=padding),
        normal(2, 6, 10, 3),
    )


def test_average_pool_is_flax_average_pool():
    assert_same_function(
        resample.average_pool,
        lambda x: nn.avg_pool(x, (2, 2), strides=(2, 2)),
        normal(2, 6, 10, 3),
    )


def test_transposed_conv_is_flax_conv_transpose_with_its_taps_reversed():
    own = resample.TransposedConv(5)
    flax = nn.ConvTranspose(5, (2, 2), strides=(2, 2))
    params = {"kernel": normal(2, 2, 6, 5, seed=1), "bias": normal(5, seed=2)}
    assert_same_function(
        lambda params, x: own.apply({"params": params}, x),
        lambda params, x: flax.apply(
            {"params": params | {"kernel": params["kernel"][::-1, ::-1]}}, x
        ),
        params,
        normal(2, 4, 3, 6),
    )


def test_transposed_conv_keeps_the_variance():
    x = normal(4, 16, 16, 64)
    y, variables = resample.TransposedConv(32).init_with_output(jax.random.key(0), x)
    assert variables["params"]["kernel"].shape == (2, 2, 64, 32)
    assert 0.9 < y.std() < 1.1
