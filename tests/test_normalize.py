import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.test_util import check_grads

from minenet.ops import indices, normalize, normalizers
from minenet.types import InputError

STATISTICS = {
    "bands": [
        {"mean": 5.0, "std": 2.0, "min": 0.0, "max": 10.0, "p2": 1.0, "p98": 9.0},
        {"mean": -3.0, "std": 0.5, "min": -6.0, "max": -2.0, "p2": -5.0, "p98": -2.5},
    ]
}
KINDS = [*normalizers.KINDS, 100.0, "10000", (10.0, 2.0)]


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("zscore", [7.0, -3.5], [1.0, -1.0]),
        ("percentile", [5.0, -9.0], [0.5, 0.0]),
        ("minmax", [20.0, -5.0], [2.0, 0.25]),
        (100.0, [50.0, 10.0], [0.5, 0.1]),
        ("100", [50.0, 10.0], [0.5, 0.1]),
        ((10.0, 2.0), [50.0, 10.0], [5.0, 5.0]),
    ],
)
def test_each_kind_by_hand(kind, raw, expected):
    made = normalizers.from_statistics(kind, STATISTICS)
    np.testing.assert_allclose(normalize.apply(np.array(raw), made), expected, 1e-6)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(
    image=hnp.arrays(
        np.float32,
        (3, 4, 2),
        elements=st.one_of(
            st.floats(-1e6, 1e6, width=32),
            st.sampled_from([np.nan, np.inf, -np.inf]),
        ),
    )
)
def test_the_result_is_finite_and_zero_where_invalid(kind, image):
    made = normalizers.from_statistics(kind, STATISTICS)
    result = np.asarray(normalize.apply(image, made))
    assert np.isfinite(result).all() and result.dtype == np.float32
    assert (result[~np.isfinite(image)] == 0).all()
    others = np.where(np.isfinite(image), image, 1e3)
    unchanged = np.asarray(normalize.apply(others, made))
    valid = np.isfinite(image)
    np.testing.assert_array_equal(result[valid], unchanged[valid])


@pytest.mark.parametrize("kind", KINDS)
def test_json_round_trip_is_exact(kind):
    made = normalizers.from_statistics(kind, STATISTICS)
    back = normalize.from_dict(json.loads(json.dumps(normalize.to_dict(made))))
    for one, other in zip(made, back, strict=True):
        np.testing.assert_array_equal(one, other)
        assert type(one) is type(other)


def test_zscore_gives_mean_zero_and_deviation_one():
    image = np.random.default_rng(0).normal(900, 30, (50, 60, 3)) * [1, 2, 3]
    made = normalize.zscore(image.mean((0, 1)), image.std((0, 1)))
    result = np.asarray(normalize.apply(image, made))
    np.testing.assert_allclose(result.mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(result.std((0, 1)), 1, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float64])
def test_any_dtype_of_a_raster(dtype):
    image = np.array([[3, 100]]).astype(dtype)
    result = normalize.apply(image, normalize.fixed(100, num_bands=2))
    np.testing.assert_allclose(result, [[0.03, 1.0]], rtol=1e-6)


@pytest.mark.parametrize("kind", normalizers.KINDS)
def test_constant_and_empty_bands_become_zero(kind):
    same = dict.fromkeys(("mean", "min", "max", "p2", "p98"), 7.0) | {"std": 0.0}
    empty = dict.fromkeys(same, None)
    made = normalizers.from_statistics(kind, {"bands": [same, empty]})
    result = normalize.apply(np.array([[7.0, np.nan]]), made)
    np.testing.assert_array_equal(result, [[0.0, 0.0]])


@pytest.mark.parametrize("kind", KINDS)
def test_jit_is_eager_is_vmap(kind):
    image = np.random.default_rng(0).normal(0, 9, (4, 5, 6, 2)).astype(np.float32)
    image[0, 0] = np.nan
    made = normalizers.from_statistics(kind, STATISTICS)
    with jax.numpy_rank_promotion("raise"):
        eager = normalize.apply(image, made)
        jitted = jax.jit(normalize.apply)(image, made)
        mapped = jax.vmap(lambda x: normalize.apply(x, made))(image)
    np.testing.assert_allclose(eager, jitted, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(eager, mapped, rtol=1e-6, atol=1e-6)


def test_gradients_are_right_and_none_comes_through_nan():
    made = normalizers.from_statistics("zscore", STATISTICS)
    image = jnp.array([[4.0, -2.0], [jnp.nan, 1.0]])
    gradient = jax.grad(lambda x: (normalize.apply(x, made) ** 2).sum())(image)
    assert gradient[1, 0] == 0 and jnp.isfinite(gradient).all()
    # The normaliser's own too, where the clean before and the mask after both matter.
    offset, scale, *_ = jax.grad(lambda n: normalize.apply(image, n).sum())(made)
    np.testing.assert_allclose(offset, [-0.5, -4.0])
    np.testing.assert_allclose(scale, [0.25, -4.0 - 16.0], rtol=1e-6)
    check_grads(
        lambda x: normalize.apply(x, made), (image[:1],), order=1, rtol=1e-2, atol=1e-2
    )


PUBLISHED = {"kind": "percentile", "low": 206.5, "high": 3770.5}


def test_one_map_for_all_bands_is_that_of_their_pixels_together():
    rng = np.random.default_rng(0)
    one, other = rng.normal(5, 2, 300), rng.normal(-3, 0.5, 100)
    bands = [
        {
            "mean": x.mean(),
            "std": x.std(),
            "min": x.min(),
            "max": x.max(),
            "p2": np.percentile(x, 2),
            "p98": np.percentile(x, 98),
            "count": x.size,
        }
        for x in (one, other)
    ]
    empty = dict.fromkeys(("mean", "std", "min", "max", "p2", "p98")) | {"count": 0}
    statistics, together = {"bands": [*bands, empty]}, np.concatenate([one, other])
    made = normalizers.from_statistics("global_zscore", statistics)
    np.testing.assert_allclose(made.offset, [together.mean()] * 3, rtol=1e-6)
    np.testing.assert_allclose(made.scale, [together.std()] * 3, rtol=1e-6)
    made = normalizers.from_statistics("global_minmax", statistics)
    np.testing.assert_allclose(made.offset, [together.min()] * 3, rtol=1e-6)
    np.testing.assert_allclose(made.scale, [np.ptp(together)] * 3, rtol=1e-6)
    made = normalizers.from_statistics("global_percentile", statistics)
    np.testing.assert_allclose(made.offset, [bands[1]["p2"]] * 3, rtol=1e-6)
    np.testing.assert_allclose(
        made.scale, [bands[0]["p98"] - bands[1]["p2"]] * 3, rtol=1e-6
    )
    nothing = normalizers.from_statistics("global_zscore", {"bands": [empty]})
    np.testing.assert_array_equal(nothing.scale, [1.0])


def test_published_numbers_serve_all_bands_or_each():
    made = normalizers.from_statistics(PUBLISHED, STATISTICS)
    assert made.low == 0 and made.high == 1
    np.testing.assert_allclose(
        normalize.apply(np.array([206.5, 3770.5]), made), [0, 1], atol=1e-6
    )
    each = {"kind": "zscore", "mean": [1.0, 2.0], "std": [3.0, 4.0]}
    made = normalizers.from_statistics(each, STATISTICS)
    np.testing.assert_array_equal(made.offset, [1, 2])
    np.testing.assert_array_equal(made.scale, [3, 4])


def test_to_convert_is_to_normalise_anew():
    raw = np.random.default_rng(0).uniform(-6, 10, (4, 5, 2)).astype(np.float32)
    raw[0, 0] = np.nan
    for old in ("zscore", "minmax", 100.0):
        for new in KINDS:
            first = normalizers.from_statistics(old, STATISTICS)
            second = normalizers.from_statistics(new, STATISTICS)
            made = normalize.convert(normalize.apply(raw, first), first, second)
            np.testing.assert_allclose(made, normalize.apply(raw, second), atol=1e-5)


def test_a_band_without_a_value_is_not_present():
    image = np.zeros((2, 3, 4, 3), np.float32)
    image[0, ..., 1], image[1, 1:, :, 2] = np.nan, np.inf
    plain = normalize.zscore([0.0] * 3, [1.0] * 3)
    flag = jax.jit(normalize.present)(image, plain)
    np.testing.assert_array_equal(flag, [[1, 0, 1], [1, 1, 1]])
    assert flag.dtype == np.float32


def test_indices_follow_the_bands_as_they_were_before():
    chosen = indices.choose(["ndvi", ("ndwi", (1, "nir"))], ["green", "red", "nir"])
    made = normalize.zscore([100.0] * 3, [50.0] * 3)._replace(indices=chosen)
    image = np.float32([[[200, 150, 300], [200, np.nan, 600], [0, 0, 0]]])
    found = normalize.apply(image, made)
    np.testing.assert_allclose(found[0, 0], [2, 1, 4, 1 / 3, -0.2], rtol=1e-6)
    np.testing.assert_allclose(found[0, 1], [2, 0, 10, 0, -0.5], rtol=1e-6)
    np.testing.assert_array_equal(found[0, 2], [-2, -2, -2, 0, 0])
    assert np.array_equal(
        normalize.present(image[None, :, 1:2], made), [[1, 0, 1, 0, 1]]
    )
    stored = json.loads(json.dumps(normalize.to_dict(made)))
    assert normalize.from_dict(stored).indices == chosen
    del stored["indices"]  # as older bundles have it
    assert normalize.from_dict(stored).indices == ()
    other = normalize.minmax([0.0] * 3, [400.0] * 3)
    converted = normalize.convert(found, made, other)
    again = normalize.apply(image, other._replace(indices=chosen))
    np.testing.assert_allclose(converted[0, 0], again[0, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"kind": "mean"}, "normalize.kind='mean': choose zscore"),
        ({"kind": "zscore", "mean": 0}, "zscore is told by mean and std"),
        ({"kind": "zscore", "mean": [0] * 3, "std": 1}, "mean: 3 values for 2 bands"),
        (PUBLISHED | {"high": 0}, "with a positive spread"),
    ],
)
def test_published_numbers_that_do_not_fit_are_named(kind, message):
    with pytest.raises(InputError, match=message):
        normalizers.from_statistics(kind, STATISTICS)


def test_errors_name_what_is_wrong():
    with pytest.raises(InputError, match="'zcore'.*zscore, percentile, minmax"):
        normalizers.from_statistics("zcore", STATISTICS)
    with pytest.raises(InputError, match="normalize=0: .* positive"):
        normalizers.from_statistics(0, STATISTICS)
    with pytest.raises(InputError, match="normalize=nan: .* positive"):
        normalizers.from_statistics("nan", STATISTICS)
    with pytest.raises(InputError, match="3 scales for 2 bands"):
        normalizers.from_statistics((1.0, 2.0, 3.0), STATISTICS)
    with pytest.raises(ValueError, match=r"shape=\(4, 4, 3\).*2 bands"):
        normalize.apply(np.zeros((4, 4, 3)), normalize.fixed(1.0, num_bands=2))
