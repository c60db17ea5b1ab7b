import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet.ops import geometry, sar
from minenet.types import InputError


def speckled(scene, *, looks=4, seed=0):
    rng = np.random.default_rng(seed)
    return (scene * rng.gamma(looks, 1 / looks, scene.shape)).astype(np.float32)


def lee_by_loops(power, looks):
    """The filter pixel by pixel, as Lee 1981 tells it."""
    padded = np.pad(power.astype(float), 3, mode="symmetric")
    result = np.empty_like(power, float)
    for row in range(power.shape[0]):
        for col in range(power.shape[1]):
            window = padded[row : row + 7, col : col + 7]
            thirds = [
                [window[i : i + 3, j : j + 3] for j in (0, 2, 4)] for i in (0, 2, 4)
            ]
            m = [[np.nanmean(third) for third in line] for line in thirds]
            edges = [
                m[0][2] + m[1][2] + m[2][2] - m[0][0] - m[1][0] - m[2][0],
                m[0][1] + m[0][2] + m[1][2] - m[1][0] - m[2][0] - m[2][1],
                m[0][0] + m[0][1] + m[0][2] - m[2][0] - m[2][1] - m[2][2],
                m[0][0] + m[0][1] + m[1][0] - m[1][2] - m[2][1] - m[2][2],
            ]
            edge = int(np.argmax(np.abs(edges)))
            one, other = [
                (m[1][2], m[1][0]),
                (m[0][2], m[2][0]),
                (m[0][1], m[2][1]),
                (m[0][0], m[2][2]),
            ][edge]
            first = abs(one - m[1][1]) <= abs(other - m[1][1])
            inside = []
            for i in range(-3, 4):
                for j in range(-3, 4):
                    side = (j, j - i, -i, -j - i)[edge]
                    if (side >= 0) if first else (side <= 0):
                        inside.append(window[i + 3, j + 3])
            mean, variance = np.nanmean(inside), np.nanvar(inside)
            if looks is None:
                ratios = [
                    np.nanvar(t) / np.nanmean(t) ** 2 for line in thirds for t in line
                ]
                noise = np.sort(ratios)[:5].mean()
            else:
                noise = 1 / looks
            signal = (variance - mean**2 * noise) / (1 + noise)
            share = np.clip(signal / variance if variance > 0 else 0.0, 0, 1)
            result[row, col] = mean + share * (power[row, col] - mean)
    return result


@pytest.mark.parametrize("looks", [4.0, None])
def test_the_filter_is_the_loop_over_pixels(looks):
    scene = np.ones((14, 15))
    scene[:, 8:] = 6
    scene[9:, :5] = 3
    power = np.stack([speckled(scene), speckled(scene * 40, seed=1)], -1)
    power[3, 4, 0] = np.nan
    expected = np.stack([lee_by_loops(power[..., i], looks) for i in (0, 1)], -1)
    made = sar.refined_lee(power, looks=looks)
    np.testing.assert_allclose(made, expected, rtol=2e-3)


def test_it_smooths_flat_ground_and_keeps_an_edge():
    scene = np.ones((40, 40, 1))
    scene[:, 20:] = 10
    power = speckled(scene)
    smooth = np.asarray(jax.jit(lambda x: sar.refined_lee(x, looks=4.0))(power))
    flat = np.s_[4:-4, 4:14]
    assert smooth[flat].std() < 0.5 * power[flat].std()
    assert abs(smooth[flat].mean() - power[flat].mean()) < 0.05
    across = smooth[4:-4, :, 0].mean(0)
    assert across[17] < 2 and across[22] > 8


def test_a_constant_stays_and_invalid_values_too():
    power = np.full((9, 9, 1), 3.0, np.float32)
    power[:, :2] = np.nan
    np.testing.assert_allclose(sar.refined_lee(power), power, rtol=1e-5)


def test_the_filter_turns_with_the_image():
    power = speckled(np.linspace(1, 9, 144).reshape(12, 12, 1))
    whole = sar.refined_lee(power, looks=4.0)
    for element in (1, 2, 5):
        turned = sar.refined_lee(geometry.orient(power, element), looks=4.0)
        np.testing.assert_allclose(turned, geometry.orient(whole, element), rtol=1e-3)


def test_decibels_round_trip():
    decibels = np.linspace(-60, 30, 181)
    np.testing.assert_allclose(sar.to_db(sar.from_db(decibels)), decibels, atol=1e-4)


def test_power_that_is_none_has_no_decibels():
    power = jnp.array([1.0, 100.0, 0.0, -1.0, jnp.nan])
    np.testing.assert_allclose(
        sar.to_db(power), [0, 20, np.nan, np.nan, np.nan], atol=1e-5
    )
    gradient = jax.grad(lambda x: jnp.nansum(sar.to_db(x)))(power)
    assert np.isfinite(gradient).all()


def test_looks_must_be_positive():
    with pytest.raises(InputError, match="looks=0: must be positive"):
        sar.refined_lee(np.ones((4, 4, 1)), looks=0)
