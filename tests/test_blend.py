import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minenet.infer import blend

sizes = st.integers(1, 64).flatmap(
    lambda size: st.tuples(st.just(size), st.integers(1, size))
)


@given(sizes)
def test_overlapping_windows_share_out_exactly_one(tiling):
    size, stride = tiling
    weight = blend.profile(size, stride)
    assert weight.shape == (size,) and weight.dtype == np.float32
    assert (weight > 0).all()
    length = 3 * size
    total = np.zeros(length)
    for origin in range(-(size // stride + 1) * stride, length, stride):
        places = np.arange(origin, origin + size)
        inside = (places >= 0) & (places < length)
        total[places[inside]] += weight[inside]
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_the_middle_of_a_window_counts_most():
    weight = blend.profile(64, 32)
    assert np.argmax(weight) in (31, 32)
    np.testing.assert_allclose(weight, weight[::-1])
    # The Gaussian of MONAI's sliding window, sigma one eighth of the side.
    ratio = np.exp(-0.5 * (15.5 / 8) ** 2) / np.exp(-0.5 * (16.5 / 8) ** 2)
    at = np.exp(-0.5 * (0.5 / 8) ** 2)
    alone = at / (at + np.exp(-0.5 * (31.5 / 8) ** 2))
    assert weight[32] == pytest.approx(alone, rel=1e-2)
    assert weight[16] / weight[15] == pytest.approx(
        ratio * _sum(15) / _sum(16), rel=1e-4
    )


def _sum(row):
    return sum(np.exp(-0.5 * ((r + 0.5 - 32) / 8) ** 2) for r in (row, row + 32))


@given(st.integers(1, 9), st.integers(0, 30), st.integers(0, 30))
def test_reflection_is_that_of_numpy(length, before, after):
    index = np.arange(-before, length + after)
    line = np.arange(length)
    np.testing.assert_array_equal(
        line[blend.reflect(index, length)],
        np.pad(line, (before, after), mode="reflect"),
    )
