import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet.ops import indices
from minenet.types import InputError

BANDS = ("blue", "green", "red", "red_edge", "nir", "swir1", "swir2")
PIXEL = dict(zip(BANDS, (0.05, 0.08, 0.1, 0.2, 0.4, 0.3, 0.2), strict=True))
BY_HAND = {
    "ndvi": 0.3 / 0.5,
    "savi": 1.5 * 0.3 / 1.0,
    "ndwi": -0.32 / 0.48,
    "mndwi": -0.22 / 0.38,
    "evi": 2.5 * 0.3 / (0.4 + 0.6 - 0.375 + 1),
    "nbr": 0.2 / 0.6,
    "bsi": (0.4 - 0.45) / 0.85,
    "ccci": (0.2 / 0.6) / (0.3 / 0.5),
}
IMAGE = np.array(list(PIXEL.values()), np.float32)[None]


def test_every_index_by_hand():
    assert set(BY_HAND) == set(indices.INDICES)
    whole = indices.append(IMAGE, BANDS, tuple(BY_HAND))
    np.testing.assert_array_equal(whole[..., :7], IMAGE)
    np.testing.assert_allclose(whole[0, 7:], list(BY_HAND.values()), rtol=1e-5)


def test_variants_of_the_dstl_solution():
    options = {"evi": {"gain": 1.0}, "ccci": {"product": True}}
    made = indices.append(IMAGE, BANDS, ("evi", "ccci"), **options)[0, 7:]
    expected = [BY_HAND["evi"] / 2.5, (0.2 / 0.6) * BY_HAND["ndvi"]]
    np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_digital_numbers_agree_with_a_small_addition_to_the_denominator():
    blue, green, red, nir = np.random.default_rng(0).uniform(1, 6000, (4, 50))
    made = indices.append(
        np.stack([blue, green, red, nir], -1),
        ("blue", "green", "red", "nir"),
        ("ndvi", "savi", "ndwi"),
    )[..., 4:]
    expected = np.stack(
        [
            (nir - red) / (nir + red + 1e-10),
            (nir - red) / (nir + red + 0.5) * 1.5,
            (green - nir) / (green + nir + 1e-10),
        ],
        -1,
    )
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", indices.INDICES)
def test_a_denominator_of_zero_gives_zero_and_no_gradient_of_nan(name):
    index, names = indices.INDICES[name], indices.needs(name)
    zeros = [jnp.zeros(3)] * len(names)
    value = index(*zeros)
    np.testing.assert_array_equal(value, np.zeros(3))
    gradient = jax.grad(lambda bands: index(*bands).sum())(zeros)
    assert all(np.isfinite(g).all() for g in gradient)


def test_the_denominator_of_evi_may_be_zero_too():
    np.testing.assert_array_equal(indices.evi(jnp.array([0.5]), 0.0, 0.2), [0.0])


@pytest.mark.parametrize("name", indices.INDICES)
def test_nan_stays_where_it_is_and_bounds_hold(name):
    image = np.random.default_rng(0).uniform(0.01, 1, (5, 6, 7)).astype(np.float32)
    image[2, 3] = np.nan
    made = indices.append(image, BANDS, (name,))
    jitted = jax.jit(lambda x: indices.append(x, BANDS, (name,)))(image)
    np.testing.assert_allclose(made, jitted, rtol=1e-4)
    value = np.asarray(made)[..., 7]
    assert np.isnan(value[2, 3]) and np.isfinite(np.delete(value.ravel(), 15)).all()
    if name not in ("evi", "savi", "ccci"):
        assert np.nanmax(np.abs(value)) <= 1


def test_bands_are_found_by_name_not_by_place():
    order = ("nir", "other", "red")
    image = jnp.array([[0.4, 9.0, 0.1]])
    np.testing.assert_allclose(
        indices.append(image, order, ("ndvi",))[0, 3], BY_HAND["ndvi"], rtol=1e-6
    )


def test_errors_name_what_is_wrong():
    with pytest.raises(InputError, match=r"index='ndvx': not known; choose ndvi, savi"):
        indices.append(IMAGE, BANDS, ("ndvx",))
    with pytest.raises(InputError, match="index='nbr': needs the band 'swir2', got"):
        indices.append(IMAGE[:, :6], BANDS[:6], ("nbr",))
    with pytest.raises(InputError, match="index='ndvi': takes the bands nir, red, got"):
        indices.choose([("ndvi", (4,))], BANDS)
    with pytest.raises(InputError, match="'ndvi': needs the band 9, .* numbers, as in"):
        indices.choose([("ndvi", (9, 3))], BANDS)
    with pytest.raises(ValueError, match=r"must name each of the 7 bands"):
        indices.append(IMAGE, ("red", "nir"), ("ndvi",))
    with pytest.raises(ValueError, match=r"evi={'gain': 1.0}: evi is not among"):
        indices.append(IMAGE, BANDS, ("ndvi",), evi={"gain": 1.0})
