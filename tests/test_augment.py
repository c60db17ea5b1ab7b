import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet.ops import augment, color, geometry, normalize
from minenet.types import InputError

OLD = {"brightness": 0.3, "contrast": 0.3, "gain": 0.2, "zoom": 0.4}
NEW = {
    "rotation_deg": 30.0,
    "crop": 0.3,
    "translation": 0.2,
    "elastic": 0.3,
    "offset": 0.2,
    "gamma": 0.3,
    "divisor": 0.5,
    "clouds": 0.6,
    "shadows": 0.6,
    "blur": 0.5,
    "low_resolution": 1.0,
    "noise": 0.2,
    "speckle": 0.2,
    "time_swap": 0.5,
    "band_dropout": 0.3,
    "sensor_dropout": 0.3,
}
GROUPS = {"dates": ((0,), (1,)), "sensors": ((0, 1), (2,))}
# What the first release made of one sample, at the corners of its first band.
GOLDEN_CORNERS = [-1.0012107, 0.2569991, -0.8439344, 0.4142754]
MIXED = {"mixup": 0.4, "cutmix": 0.5, "copy_paste": 0.5}
EVERYTHING = OLD | NEW | GROUPS


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
    draw = functools.partial(geometry.random_orient, flips=flips, turns=turns)
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


def with_present(count):
    made = batch_of(count)
    present = jnp.asarray(np.arange(count * 3).reshape(count, 3) % 4 != 3, jnp.float32)
    return {**made, "image": made["image"] * present[:, None, None], "present": present}


@pytest.fixture(scope="module")
def everything():
    """One compiled function, a batch of six, and what becomes of it."""
    change = jax.jit(augment.batch(**EVERYTHING))
    keys, fields = jax.random.split(jax.random.key(3), 6), with_present(6)
    return change, keys, fields, change(keys, fields)


def test_a_samples_draws_depend_on_its_key_alone(everything):
    change, keys, whole, after = everything
    order = np.array([4, 0, 5, 2, 1, 3])
    assert not np.allclose(after["image"], whole["image"])
    shuffled = change(keys[order], jax.tree.map(lambda x: x[order], whole))
    other = jax.tree.map(lambda x: x.at[1:].set(x[0]), whole)
    alone = change(keys, other)
    for name, value in after.items():
        np.testing.assert_allclose(value[order], shuffled[name], atol=1e-5)
        np.testing.assert_allclose(value[0], alone[name][0], atol=1e-5)


def test_jit_is_eager_is_vmap_and_repeats(everything):
    change, keys, fields, after = everything
    again = change(keys, fields)
    jax.tree.map(np.testing.assert_array_equal, after, again)
    one = {name: value[1] for name, value in fields.items() if name != "index"}
    single = augment.augment(keys[1], one, **EVERYTHING)
    for name, value in single.items():
        np.testing.assert_allclose(value, after[name][1], atol=1e-4)
        assert value.dtype == fields[name].dtype
        assert value.shape == fields[name].shape[1:]


def test_nothing_becomes_nan_or_valid(everything):
    _, _, fields, after = everything
    for name, value in after.items():
        assert np.isfinite(np.asarray(value)).all(), name
    lost = np.asarray(after["present"])[:, None, None] == 0
    assert (np.asarray(after["image"])[np.broadcast_to(lost, (6, 8, 8, 3))] == 0).all()
    assert (np.asarray(after["present"]).sum(-1) >= 1).all()
    invalid = (np.asarray(after["image"]) == 0).all(-1)
    assert invalid.any() and (np.asarray(after["weight"])[invalid] == 0).all()


def test_what_is_drawn_stays_what_it_was():
    """Results of the first release: later options leave them as they are."""
    image = jnp.linspace(-1.0, 1.0, 8 * 8 * 2).reshape(8, 8, 2)
    fields = {"image": image, "target": image[..., :1], "weight": jnp.ones((8, 8))}
    after = augment.augment(jax.random.key(11), fields, **OLD)
    corners = np.asarray(after["image"])[::7, ::7, 0].ravel()
    np.testing.assert_allclose(corners, GOLDEN_CORNERS, atol=1e-5)


@pytest.mark.parametrize("name", ["noise", "clouds", "gamma", "band_dropout"])
def test_to_switch_one_change_off_leaves_the_draws_of_the_others(name):
    key, fields = jax.random.key(2), sample()
    moved = augment.augment(key, fields, translation=0.4)
    both = augment.augment(key, fields, translation=0.4, **{name: 0.3})
    np.testing.assert_array_equal(both["target"], moved["target"])


def test_batches_are_mixed_by_index_whatever_their_order():
    change = jax.jit(augment.batch(**MIXED, offset=0.1, turns=False))
    keys, fields = jax.random.split(jax.random.key(4), 4), with_present(4)
    after, order = change(keys, fields), np.array([2, 0, 3, 1])
    shuffled = change(keys[order], jax.tree.map(lambda x: x[order], fields))
    for name, value in after.items():
        np.testing.assert_allclose(value[order], shuffled[name], atol=1e-6)
        assert np.isfinite(np.asarray(value)).all()
    assert not np.allclose(after["target"], fields["target"])


def test_another_normaliser_may_have_made_the_image():
    raw = np.random.default_rng(0).uniform(100, 900, (4, 4, 2)).astype(np.float32)
    choices = (
        normalize.zscore([500.0, 400.0], [200.0, 100.0]),
        normalize.percentile([150.0, 200.0], [800.0, 700.0]),
        normalize.fixed(1000.0, num_bands=2),
    )
    image = normalize.apply(raw, choices[0])
    expected = [normalize.apply(raw, choice) for choice in choices]
    fields = {"image": image}
    seen = set()
    for seed in range(12):
        key = jax.random.key(seed)
        after = color.random_normalizer(key, fields, normalizers=choices)["image"]
        apart = [float(np.abs(after - e).max()) for e in expected]
        assert min(apart) < 1e-4
        seen.add(int(np.argmin(apart)))
    assert seen == {0, 1, 2}
    weight = jnp.ones((4, 4))
    fields = {"image": image, "target": weight[..., None], "weight": weight}
    after = augment.augment(jax.random.key(0), fields, normalizers=choices, flips=False)
    assert np.isfinite(np.asarray(after["image"])).all()


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

    shift = drawn(color.random_brightness, 0.3) - 1
    assert 0.27 < np.abs(shift).max() <= 0.3 and (np.ptp(shift, axis=1) == 0).all()
    factor = drawn(color.random_gain, 0.2) - 1
    assert 0.18 < np.abs(factor).max() <= 0.2 and (np.ptp(factor, axis=1) > 0).all()


def test_chips_that_are_not_square_flip_but_do_not_turn():
    fields = sample(height=8, width=10)
    after = augment.augment(jax.random.key(1), fields, turns=False)
    assert after["image"].shape == (8, 10, 3)
    with pytest.raises(ValueError, match=r"shape=\(8, 10, 3\)\) must be square"):
        augment.augment(jax.random.key(1), fields)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contrast": 1.0}, r"augment.contrast=1.0: .* below 1.0"),
        ({"zoom": -0.1}, r"augment.zoom=-0.1: .* at least 0"),
        ({"elastic": 0.5}, r"augment.elastic=0.5: .* below 0.4"),
        ({"cutmix": 1.5}, r"augment.cutmix=1.5: must be a probability"),
        ({"time_swap": 0.5}, r"augment.time_swap=0.5: give augment.dates"),
        ({"sensor_dropout": 0.5}, r"augment.sensor_dropout=0.5: give augment.sensors"),
    ],
)
def test_errors_name_what_is_wrong(options, message):
    with pytest.raises(InputError, match=message):
        augment.batch(**options)


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match="unexpected keyword argument 'hue'"):
        augment.batch(hue=0.1)
