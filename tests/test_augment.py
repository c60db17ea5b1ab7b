import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minenet.ops import augment, color, geometry
from minenet.types import InputError

EVERYTHING = {"brightness": 0.3, "contrast": 0.3, "gain": 0.2, "zoom": 0.4}


def sample(seed=0, *, height=8, width=8, bands=3):
    """A sample whose target and weight are functions of its image, with nodata."""
    image = np.random.default_rng(seed).normal(0, 1, (height, width, bands))
    image[:2, :3] = 0  # nodata in all bands
    image[5, 5, 0] = 0  # nodata in one
    weight = (image != 0).any(-1)
    return {
        "image": jnp.asarray(image, jnp.float32),
        "target": jnp.asarray(image[..., :1] > 0.2, jnp.float32),
        "weight": jnp.asarray(weight, jnp.float32),
    }


def batch_of(count, **options):
    samples = [sample(seed, **options) for seed in range(count)]
    stacked = jax.tree.map(lambda *arrays: jnp.stack(arrays), *samples)
    return {**stacked, "index": jnp.arange(count, dtype=jnp.int32)}


def test_the_elements_are_the_dihedral_group():
    square = np.arange(9).reshape(3, 3)
    moved = {e: np.asarray(geometry.orient(square, e)) for e in geometry.ALL}
    assert len({m.tobytes() for m in moved.values()}) == 8
    for one in moved.values():  # closed under composition
        for e in geometry.ALL:
            assert any((geometry.orient(one, e) == m).all() for m in moved.values())


def test_turns_and_flips_are_those_of_numpy():
    square = np.arange(16).reshape(4, 4)
    by_turn = dict(zip(geometry.TURNS, (0, 2, 1, 3), strict=True))
    for element, quarters in by_turn.items():
        expected = np.rot90(square, quarters)
        np.testing.assert_array_equal(geometry.orient(square, element), expected)
    flips = (square, square[::-1], square[:, ::-1], square[::-1, ::-1])
    for element, expected in zip(geometry.FLIPS, flips, strict=True):
        np.testing.assert_array_equal(geometry.orient(square, element), expected)


@pytest.mark.parametrize("element", geometry.ALL)
def test_a_traced_element_is_a_static_one(element):
    image = sample()["image"]
    traced = jax.jit(geometry.orient)(image, element)
    np.testing.assert_array_equal(traced, geometry.orient(image, element))


@pytest.mark.parametrize(
    ("flips", "turns", "expected"),
    [(True, True, 8), (True, False, 4), (False, True, 4), (False, False, 1)],
)
def test_all_orientations_are_drawn_about_equally_often(flips, turns, expected):
    square = jnp.arange(4.0).reshape(2, 2)
    fields = {"image": square[..., None], "target": square[..., None], "weight": square}
    draw = functools.partial(augment.random_orient, flips=flips, turns=turns)
    keys = jax.random.split(jax.random.key(0), 800)
    drawn = jax.vmap(lambda key: draw(key, fields)["weight"])(keys)
    drawn = np.asarray(jnp.broadcast_to(drawn, (800, 2, 2))).reshape(800, 4)
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == expected
    assert counts.min() > 0.6 * 800 / expected


@pytest.mark.parametrize("options", [{}, {"gain": 0.2}], ids=["orient", "gain"])
def test_image_target_and_weight_move_alike(options):
    keys = jax.random.split(jax.random.key(1), 16)
    before = batch_of(16)
    after = augment.batch(**options)(keys, before)
    moved = (np.asarray(after["weight"]) != np.asarray(before["weight"])).any((1, 2))
    assert moved.sum() > 8
    threshold = 0.2
    image = np.asarray(after["image"])
    sure = np.abs(image[..., :1]) > threshold * 1.3
    np.testing.assert_array_equal(
        (image[..., :1] > threshold)[sure], np.asarray(after["target"])[sure] > 0
    )
    np.testing.assert_array_equal((image != 0).any(-1), np.asarray(after["weight"]) > 0)


def test_nodata_stays_zero_under_colour():
    image = sample()["image"]
    nodata = np.asarray(image) == 0
    for changed in (
        color.brightness(image, 0.7),
        color.contrast(image, 0.4),
        color.gain(image, jnp.array([0.5, 2.0, 3.0])),
    ):
        assert (np.asarray(changed)[nodata] == 0).all()
        assert (np.asarray(changed)[~nodata] != np.asarray(image)[~nodata]).all()


def test_brightness_adds_and_contrast_keeps_the_mean_of_valid_values():
    image = sample()["image"]
    valid = np.asarray(image) != 0
    brighter = np.asarray(color.brightness(image, jnp.array([0.1, 0.2, 0.3])))
    np.testing.assert_allclose(
        (brighter - image)[valid],
        np.broadcast_to(np.float32([0.1, 0.2, 0.3]), image.shape)[valid],
        atol=1e-6,
    )
    stretched = color.contrast(image, 1.5)
    for band in range(3):
        chosen = valid[..., band]
        old, new = (np.asarray(x)[..., band][chosen] for x in (image, stretched))
        np.testing.assert_allclose(new.mean(), old.mean(), atol=1e-6)
        np.testing.assert_allclose(new.std(), 1.5 * old.std(), rtol=1e-5)


@pytest.mark.parametrize("element", geometry.ALL)
def test_zoom_and_colour_commute_with_orientation(element):
    orient = functools.partial(jax.tree.map, lambda x: geometry.orient(x, element))
    fields = sample()

    def change(fields, factor=1.37):
        fields = geometry.zoom(fields, factor, 0.5, 0.5)
        return {**fields, "image": color.contrast(fields["image"], 1.2)}

    one, other = orient(change(fields)), change(orient(fields))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), one, other)


def test_zoom_by_one_changes_nothing():
    fields = sample()
    after = geometry.zoom(fields, 1.0, 0.25, 0.75)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), dict(fields), after
    )


@settings(max_examples=25)
@given(
    factor=st.floats(0.6, 1.8),
    row=st.floats(0, 1),
    col=st.floats(0, 1),
    size=st.sampled_from([(1, 1), (1, 7), (8, 8), (5, 9)]),
)
def test_zoom_keeps_values_among_those_there_were(factor, row, col, size):
    height, width = size
    value = jnp.arange(1.0, 1 + height * width).reshape(height, width)
    fields = {"image": value[..., None], "target": value[..., None], "weight": value}
    after = geometry.zoom(fields, factor, row, col)
    assert set(np.unique(after["target"])) <= set(np.unique(value))
    np.testing.assert_array_equal(after["target"][..., 0], after["weight"])
    # Bilinear stays within a pixel of nearest: rows differ by `width`, columns by 1.
    distance = np.abs(after["image"][..., 0] - after["weight"])
    assert distance.max() <= 0.5 * (width + 1) + 1e-3
    centre = geometry.zoom(fields, factor, 0.5, 0.5)["image"]
    np.testing.assert_allclose(centre.mean(), value.mean(), rtol=1e-4)


def test_zoom_blends_nothing_with_nodata():
    image = jnp.full((9, 9, 1), 5.0).at[:4].set(0.0)
    fields = {"image": image, "target": image * 0, "weight": (image[..., 0] > 0) * 1.0}
    after = geometry.zoom(fields, 1.31, 0.4, 0.6)
    assert set(np.unique(after["image"])) == {0.0, 5.0}
    np.testing.assert_array_equal(after["image"][..., 0] > 0, after["weight"] > 0)


def test_a_samples_draws_depend_on_its_key_alone():
    change = jax.jit(augment.batch(**EVERYTHING))
    keys = jax.random.split(jax.random.key(3), 6)
    whole, order = batch_of(6), np.array([4, 0, 5, 2, 1, 3])
    after = change(keys, whole)
    assert not np.allclose(after["image"], whole["image"])
    shuffled = change(keys[order], jax.tree.map(lambda x: x[order], whole))
    parts = [
        change(keys[i : i + 2], jax.tree.map(lambda x, i=i: x[i : i + 2], whole))
        for i in (0, 2, 4)
    ]
    parts = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    for name, value in after.items():
        np.testing.assert_allclose(value[order], shuffled[name], atol=1e-5)
        np.testing.assert_allclose(value, parts[name], atol=1e-5)


def test_jit_is_eager_is_vmap():
    fields, key = batch_of(3), jax.random.split(jax.random.key(5), 3)
    change = augment.batch(**EVERYTHING)
    with jax.numpy_rank_promotion("raise"):
        eager = change(key, fields)
        jitted = jax.jit(change)(key, fields)
    one = {name: value[1] for name, value in fields.items() if name != "index"}
    single = augment.augment(key[1], one, **EVERYTHING)
    for name, value in single.items():
        np.testing.assert_allclose(value, eager[name][1], atol=1e-5)
    for name, value in eager.items():
        np.testing.assert_allclose(value, jitted[name], atol=1e-5)
        assert value.dtype == fields[name].dtype
        assert value.shape == fields[name].shape


def test_to_switch_one_change_off_leaves_the_draws_of_the_others():
    key, fields = jax.random.key(2), sample()
    with_gain = augment.augment(key, fields, gain=0.2)
    without = augment.augment(key, fields)
    np.testing.assert_array_equal(with_gain["target"], without["target"])


def test_options_at_zero_change_nothing():
    fields = batch_of(2)
    keys = jax.random.split(jax.random.key(0), 2)
    after = augment.batch(flips=False, turns=False)(keys, fields)
    jax.tree.map(np.testing.assert_array_equal, fields, after)


def test_draws_stay_within_their_amounts():
    fields = sample()
    keys = jax.random.split(jax.random.key(0), 200)
    plain = {**fields, "image": jnp.ones((8, 8, 3))}

    def drawn(change, amount):
        return np.asarray(
            jax.vmap(lambda k: change(k, plain, amount=amount)["image"][0, 0])(keys)
        )

    shift = drawn(augment.random_brightness, 0.3) - 1
    assert 0.27 < np.abs(shift).max() <= 0.3 and (np.ptp(shift, axis=1) == 0).all()
    factor = drawn(augment.random_gain, 0.2) - 1
    assert 0.18 < np.abs(factor).max() <= 0.2 and (np.ptp(factor, axis=1) > 0).all()


def test_chips_that_are_not_square_flip_but_do_not_turn():
    fields = sample(height=8, width=10)
    after = augment.augment(jax.random.key(1), fields, turns=False)
    assert after["image"].shape == (8, 10, 3)
    with pytest.raises(ValueError, match=r"shape=\(8, 10, 3\)\) must be square"):
        augment.augment(jax.random.key(1), fields)


def test_errors_name_what_is_wrong():
    with pytest.raises(InputError, match=r"augment.contrast=1.0: .* below 1.0"):
        augment.batch(contrast=1.0)
    with pytest.raises(InputError, match=r"augment.zoom=-0.1: .* at least 0"):
        augment.batch(zoom=-0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'hue'"):
        augment.batch(hue=0.1)
