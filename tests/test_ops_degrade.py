import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from minenet.ops import color, degrade, sky, white

CHANGES = {
    "gamma": functools.partial(color.gamma, exponent=jnp.array([0.5, 1.5, 2.0])),
    "blur": functools.partial(degrade.blur, sigma=1.2, radius=4),
    "low_resolution": functools.partial(degrade.low_resolution, factor=2.3),
    "noise": functools.partial(
        degrade.noise, values=np.random.default_rng(1).normal(size=(12, 12, 3))
    ),
    "speckle": functools.partial(
        degrade.speckle, factor=np.random.default_rng(2).gamma(4, 0.25, (12, 12, 3))
    ),
}
NEUTRAL = {
    "gamma": functools.partial(color.gamma, exponent=1.0),
    "blur": functools.partial(degrade.blur, sigma=0.0, radius=3),
    "low_resolution": functools.partial(degrade.low_resolution, factor=1.0),
    "noise": functools.partial(degrade.noise, values=np.zeros((12, 12, 3))),
    "speckle": functools.partial(degrade.speckle, factor=np.ones((12, 12, 3))),
}


def image_of(seed=0, *, valid=False):
    image = np.random.default_rng(seed).normal(0, 1, (12, 12, 3)).astype(np.float32)
    if not valid:
        image[:4, :3] = 0
        image[8, 8, 0] = 0
        image[..., 2] = 0  # a band that is missing
    return jnp.asarray(image)


def sample_of(image):
    weight = (image != 0).any(-1).astype(jnp.float32)
    return {"image": image, "target": image[..., :1], "weight": weight}


@pytest.mark.parametrize("name", CHANGES)
def test_the_invalid_stays_so_and_says_nothing(name):
    image = image_of()
    change = CHANGES[name]
    changed = np.asarray(change(image))
    assert (changed[np.asarray(image) == 0] == 0).all()
    assert np.isfinite(changed).all() and not np.allclose(changed, image)
    np.testing.assert_allclose(jax.jit(change)(image), changed, atol=1e-5)
    mapped = jax.vmap(change)(jnp.stack([image, image_of(1)]))
    np.testing.assert_allclose(mapped[0], changed, atol=1e-5)


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_parameters_change_nothing(name):
    np.testing.assert_allclose(NEUTRAL[name](image_of()), image_of(), atol=1e-5)


def test_blur_is_that_of_scipy():
    image = image_of(valid=True)
    expected = ndimage.gaussian_filter(
        np.asarray(image), (1.2, 1.2, 0), radius=(4, 4, 0)
    )
    np.testing.assert_allclose(CHANGES["blur"](image), expected, atol=1e-5)


def test_blur_of_a_constant_is_constant_beside_nodata():
    image = jnp.where(image_of() != 0, 3.0, 0.0)
    np.testing.assert_allclose(CHANGES["blur"](image), image, atol=1e-5)


def test_low_resolution_by_a_whole_factor_keeps_every_nth_pixel():
    image = image_of(valid=True)
    coarse = np.asarray(degrade.low_resolution(image, 3.0))
    np.testing.assert_allclose(coarse[1::3, 1::3], image[1::3, 1::3], atol=1e-5)
    expected = (2 * image[1::3, 1::3][:-1] + image[1::3, 1::3][1:]) / 3
    np.testing.assert_allclose(coarse[2::3, 1::3][:-1], expected, atol=1e-5)


def test_gamma_keeps_the_ends_and_the_order_of_each_band():
    image = image_of(valid=True)
    bent = np.asarray(color.gamma(image, 2.0))
    flat, other = np.asarray(image).reshape(-1, 3), bent.reshape(-1, 3)
    np.testing.assert_allclose(other.min(0), flat.min(0), atol=1e-5)
    np.testing.assert_allclose(other.max(0), flat.max(0), atol=1e-5)
    for band in range(3):
        assert (np.diff(other[flat[:, band].argsort(), band]) >= -1e-5).all()
    assert bent.mean() < image.mean()


def test_white_noise_is_white_and_its_keys_apart():
    draw = jax.jit(lambda key: white.normal(key, (200, 250, 2)))
    one, other = (np.asarray(draw(jax.random.key(seed))) for seed in (0, 1))
    for values in (one, other):
        assert abs(values.mean()) < 0.015 and abs(values.std() - 1) < 0.01
        assert 2.6 < (values**4).mean() < 2.8 and np.abs(values).max() < 3.47
        spectrum = np.abs(np.fft.fft2(values[..., 0])) ** 2 / values[..., 0].size
        assert spectrum.max() < 16  # exponential: exp(-16) · 50 000 is below 1 %
    for shifted in (other, np.roll(one, 1, 0), np.roll(one, 1, 1), one[..., ::-1]):
        assert abs((one * shifted).mean()) < 0.015
    assert (one == other).mean() < 0.01


def test_amounts_are_the_deviations_drawn():
    ones = jnp.ones((60, 60, 3))
    keys = jax.random.split(jax.random.key(0), 40)

    def deviations(change):
        draw = jax.jit(jax.vmap(lambda key: change(key, sample_of(ones))["image"]))
        return np.asarray(draw(keys) - 1)

    noisy = deviations(functools.partial(degrade.random_noise, amount=0.4))
    spread = noisy.std((1, 2, 3))
    assert 0.3 < spread.max() < 0.41 and spread.min() < 0.1
    speckled = deviations(
        functools.partial(degrade.random_speckle, amount=0.4, bands=(0, 2))
    )
    spread = speckled[..., ::2].std((1, 2, 3))
    assert 0.3 < spread.max() < 0.43 and (speckled[..., 1] == 0).all()
    assert np.abs(speckled.mean((1, 2, 3))).max() < 0.02 and speckled.min() > -1


def test_clouds_hide_and_shadows_darken():
    fields = sample_of(image_of())
    image = np.asarray(fields["image"])
    cover = jnp.zeros((12, 12)).at[6:].set(1.0).at[5].set(0.3)
    hidden = sky.clouds(fields, cover)
    top = image[..., :2].max((0, 1))
    np.testing.assert_allclose(hidden["image"][9, 9, :2], top, atol=1e-5)
    np.testing.assert_array_equal(hidden["weight"][6:], 0)
    np.testing.assert_array_equal(hidden["weight"][:6], fields["weight"][:6])
    np.testing.assert_array_equal(hidden["image"][:5], image[:5])
    dark = sky.shadows(fields, cover * 0.5)
    assert (np.asarray(dark["image"]) <= image + 1e-6)[image != 0].all()
    np.testing.assert_array_equal(dark["weight"], fields["weight"])
    for changed in (hidden, dark):
        assert (np.asarray(changed["image"])[image == 0] == 0).all()
    for change in (sky.clouds, sky.shadows):
        same = change(fields, cover * 0)
        jax.tree.map(np.testing.assert_array_equal, same, fields)


def test_the_share_under_clouds_is_the_one_drawn():
    draw = jax.jit(jax.vmap(lambda k: sky.random_cover(k, (40, 40), amount=0.5)))
    cover = np.asarray(draw(jax.random.split(jax.random.key(0), 400)))
    assert abs(cover.mean() - 0.25) < 0.03 and 0 <= cover.min() < cover.max() <= 1
    assert cover.mean((1, 2)).min() < 0.02


@pytest.mark.parametrize("change", [color.gamma, degrade.low_resolution])
def test_an_image_of_nothing_stays_so(change):
    nothing = jnp.zeros((4, 4, 2))
    np.testing.assert_array_equal(change(nothing, 1.7), nothing)
