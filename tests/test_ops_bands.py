import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet.ops import bands, normalize
from minenet.types import InputError

SENSORS = ((0, 2), (1,))


def fields(present=(1, 1, 1)):
    image = jnp.asarray(np.random.default_rng(0).normal(size=(5, 6, 3)), jnp.float32)
    image = image.at[0].set(0.0).at[1, :, 1:].set(0.0) * jnp.array(present)
    weight = (image != 0).any(-1).astype(jnp.float32)
    present = jnp.array(present, jnp.float32)
    return {"image": image, "target": weight[..., None], "weight": weight} | {
        "present": present
    }


def test_a_dropped_band_is_zero_and_not_present():
    before = fields()
    after = bands.drop(before, jnp.array([0, 1, 1]))
    np.testing.assert_array_equal(after["present"], [0, 1, 1])
    np.testing.assert_array_equal(after["image"][..., 0], 0)
    np.testing.assert_array_equal(after["image"][..., 1:], before["image"][..., 1:])
    # Row 1 had only band 0: nothing tells what is there.
    np.testing.assert_array_equal(after["weight"].sum(-1), [0, 0, 6, 6, 6])
    np.testing.assert_array_equal(after["target"], before["target"])


def test_the_flag_says_what_the_image_shows():
    raw = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    raw[0, ..., 1] = np.nan
    raw[1, 0] = np.nan
    plain = normalize.zscore([0.0] * 3, [1.0] * 3)
    flag = normalize.present(raw, plain)
    np.testing.assert_array_equal(flag, [[1, 0, 1], [1, 1, 1]])
    each = jax.vmap(lambda x: normalize.present(x, plain))(raw)
    np.testing.assert_array_equal(each, flag)
    image = normalize.apply(raw, plain)
    weight = jnp.ones((2, 4, 4))
    whole = {"image": image, "weight": weight, "present": flag}
    keys = jax.random.split(jax.random.key(0), 2)
    drop = jax.vmap(lambda k, f: bands.random_drop(k, f, amount=0.6))
    after = drop(keys, whole)
    shown = (np.asarray(after["image"]) != 0).any((1, 2))
    np.testing.assert_array_equal(after["present"], shown)


def test_a_sensor_goes_as_a_whole():
    after = bands.drop_sensors(fields(), jnp.array([0, 1]), sensors=SENSORS)
    np.testing.assert_array_equal(after["present"], [0, 1, 0])
    after = bands.drop_sensors(fields(), jnp.array([0]), sensors=((1,),))
    np.testing.assert_array_equal(after["present"], [1, 0, 1])


@pytest.mark.parametrize("present", [(1, 1, 1), (0, 1, 0), (1, 0, 1)])
def test_every_subset_is_drawn_and_never_none(present):
    before = fields(present)
    keys = jax.random.split(jax.random.key(1), 300)

    def flags(change, **options):
        draw = jax.jit(
            jax.vmap(lambda k: change(k, before, amount=0.5, **options)["present"])
        )
        return {tuple(map(int, row)) for row in np.asarray(draw(keys))}

    single = flags(bands.random_drop)
    assert len(single) == 2 ** sum(present) - 1 and (0, 0, 0) not in single
    both = {(1, 0, 1), (0, 1, 0), (1, 1, 1)} if sum(present) == 3 else {present}
    assert flags(bands.random_drop_sensors, sensors=SENSORS) == both


def test_the_share_that_is_dropped_is_the_amount():
    weight = jnp.ones((1, 1))
    whole = {"image": jnp.ones((1, 1, 40)), "weight": weight}
    keys = jax.random.split(jax.random.key(2), 200)
    drop = jax.jit(jax.vmap(lambda k: bands.random_drop(k, whole, amount=0.3)["image"]))
    assert abs(float((drop(keys) == 0).mean()) - 0.3) < 0.02


def test_dates_change_places_and_back():
    before = fields((1, 1, 0))
    dates = ((0,), (2,))
    after = bands.swap_dates(before, True, dates=dates)
    np.testing.assert_array_equal(after["present"], [0, 1, 1])
    np.testing.assert_array_equal(after["image"], before["image"][..., ::-1])
    back = bands.swap_dates(after, True, dates=dates)
    same = bands.swap_dates(before, False, dates=dates)
    for name, value in before.items():
        np.testing.assert_array_equal(back[name], value)
        np.testing.assert_array_equal(same[name], value)


def test_errors_name_what_is_wrong():
    with pytest.raises(InputError, match=r"dates=\(\(0,\), \(1, 2\)\): .* as many"):
        bands.swap_dates(fields(), True, dates=((0,), (1, 2)))
    with pytest.raises(InputError, match=r"\(\(0,\), \(3,\)\).* from 0 to 2"):
        bands.drop_sensors(fields(), jnp.ones(2), sensors=((0,), (3,)))
