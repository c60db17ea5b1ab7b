"""Convolutions of small and large maps, against Flax's."""

import functools

import pytest
from flax import linen as nn

from minenet.models import convolution
from tests.test_resample import assert_same_function, normal


# The result has 6 to 24 pixels: more than 5 channels, but not more than 24.
@pytest.mark.parametrize("features", [5, 24])
@pytest.mark.parametrize(
    "side,options",
    [
        (3, {}),
        (3, {"stride": 2}),
        (3, {"stride": 2, "padding": ((1, 1), (1, 1))}),
        (3, {"dilation": 2}),
        (3, {"padding": ((2, 1), (0, 2))}),
        (2, {}),
        (1, {"stride": 2}),
    ],
)
def test_convolve_is_flax_conv(side, options, features):
    layer = nn.Conv(
        features,
        (side, side),
        strides=options.get("stride", 1),
        padding=options.get("padding", "SAME"),
        kernel_dilation=options.get("dilation", 1),
        use_bias=False,
    )
    assert_same_function(
        functools.partial(convolution.convolve, **options),
        lambda x, kernel: layer.apply({"params": {"kernel": kernel}}, x),
        normal(1, 4, 6, 4),
        normal(side, side, 4, features, seed=1),
    )


@pytest.mark.parametrize(
    "side,padding", [(3, "SAME"), (2, ((0, 1), (1, 0))), (3, ((0, 2), (0, 0)))]
)
def test_convolve_of_a_large_map_is_flax_conv(side, padding):
    x = normal(1, 64, 128, 128)
    assert x.size >= convolution.LARGE
    layer = nn.Conv(2, (side, side), padding=padding, use_bias=False)
    assert_same_function(
        functools.partial(convolution.convolve, padding=padding),
        lambda x, kernel: layer.apply({"params": {"kernel": kernel}}, x),
        x,
        normal(side, side, 128, 2, seed=1),
        atol=2e-3,  # sums of 8 192 products
    )
