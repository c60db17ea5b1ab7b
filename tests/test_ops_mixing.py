import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet.ops import mixing
from minenet.types import InputError

PARTNER = jnp.array([1, 2, 0])


def batch_of(*, present=False):
    """Samples whose image is their label and weight, each with numbers of its own."""
    rng = np.random.default_rng(0)
    mine = rng.random((3, 6, 8)) < 0.3
    value = np.arange(1.0, 4)[:, None, None] + 10 * mine
    value[:, 0] = 0  # invalid
    value[1, :, 0] = 0
    weight = jnp.asarray(value > 0, jnp.float32)
    batch = {
        "image": jnp.asarray(np.stack([value, value], -1), jnp.float32),
        "target": jnp.asarray(mine & (value > 0), jnp.float32)[..., None],
        "weight": weight,
        "index": jnp.array([7, 3, 5]),
    }
    if present:
        flag = jnp.array([[1.0, 1], [1, 0], [0, 1]])
        batch["image"] = batch["image"] * flag[:, None, None]
        batch["present"] = flag
    return batch


def assert_label_follows_image(batch):
    shown, counts = np.asarray(batch["image"]).max(-1), np.asarray(batch["weight"]) > 0
    np.testing.assert_array_equal(shown > 0, counts)
    mine = np.asarray(batch["target"])[..., 0] > 0
    np.testing.assert_array_equal((shown > 10)[counts], mine[counts])


def test_partners_follow_the_index():
    index = jnp.array([7, 3, 5])
    np.testing.assert_array_equal(mixing.partners(index), [1, 2, 0])
    order = np.array([2, 0, 1])
    moved = np.asarray(mixing.partners(index[order]))
    np.testing.assert_array_equal(
        index[order][moved], index[mixing.partners(index)][order]
    )


def test_neutral_parameters_change_nothing():
    before = batch_of(present=True)
    for after in (
        mixing.mixup(before, PARTNER, jnp.ones(3)),
        mixing.cutmix(before, PARTNER, jnp.full((3, 4), 0.5)),
        mixing.copy_paste(before, PARTNER, jnp.zeros(3, bool)),
        mixing.copy_paste(before, jnp.arange(3), jnp.ones(3, bool)),
    ):
        jax.tree.map(np.testing.assert_array_equal, before, after)


def test_mixup_is_the_sum_of_shares_where_both_count():
    before, share = batch_of(), jnp.array([0.5, 0.75, 1.0])
    after = mixing.mixup(before, PARTNER, share)
    for name in ("image", "target"):
        old = np.asarray(before[name])
        expected = old * share[:, None, None, None] + old[PARTNER] * (
            1 - share[:, None, None, None]
        )
        both = np.asarray(before["weight"] * before["weight"][PARTNER]) > 0
        np.testing.assert_allclose(after[name][both], expected[both], atol=1e-6)
        np.testing.assert_array_equal(after[name][~both], old[~both])
    np.testing.assert_array_equal(after["weight"], before["weight"])


@pytest.mark.parametrize("present", [False, True])
def test_what_is_pasted_brings_its_label_along(present):
    before = batch_of(present=present)
    box = jnp.array([[0, 0, 0.5, 0.5], [0.2, 0.1, 1, 0.9], [0.5, 0.5, 0.5, 0.5]])
    cut = mixing.cutmix(before, PARTNER, box)
    assert_label_follows_image(cut)
    pasted = mixing.copy_paste(before, PARTNER, jnp.array([True, True, False]))
    assert_label_follows_image(pasted)
    for after in (cut, pasted):
        assert not np.array_equal(after["image"], before["image"])
        np.testing.assert_array_equal(after["image"][2], before["image"][2])
        if present:
            lacking = np.asarray(before["present"])[:, None, None] == 0
            lacking = np.broadcast_to(lacking, after["image"].shape)
            assert (np.asarray(after["image"])[lacking] == 0).all()


def test_cutmix_takes_the_box_and_nothing_else():
    before = batch_of()
    box = jnp.tile(jnp.array([0.5, 0.25, 1.0, 0.75]), (3, 1))
    after = np.array(mixing.cutmix(before, PARTNER, box)["image"])
    image = np.asarray(before["image"])
    np.testing.assert_array_equal(after[:, 3:, 2:6], image[PARTNER][:, 3:, 2:6])
    after[:, 3:, 2:6] = image[:, 3:, 2:6]
    np.testing.assert_array_equal(after, image)


def test_a_pasted_pixel_brings_all_its_classes_along():
    before = batch_of()
    other = before["target"][:, :, ::-1] * (before["weight"] > 0)[..., None]
    before["target"] = jnp.concatenate([before["target"], other], -1)
    chosen = jnp.ones(3, bool)
    for mines in ((0,), (0, 1)):
        after = mixing.copy_paste(before, PARTNER, chosen, mines=mines)
        target, there = (np.asarray(x["target"]) for x in (before, after))
        here = (target[PARTNER][..., list(mines)] > 0).any(-1)
        here &= np.asarray(before["weight"] * before["weight"][PARTNER]) > 0
        expected = np.where(here[..., None], target[PARTNER], target)
        np.testing.assert_array_equal(there, expected)
        assert_label_follows_image(after)


def test_copy_paste_adds_mines_and_takes_none_away():
    before = batch_of()
    after = mixing.copy_paste(before, PARTNER, jnp.ones(3, bool))
    both = np.asarray(before["weight"] * before["weight"][PARTNER])[..., None]
    union = np.maximum(before["target"], before["target"][PARTNER] * both)
    np.testing.assert_array_equal(after["target"], union)
    np.testing.assert_array_equal(after["weight"], before["weight"])


def test_exclusive_classes_paste_all_but_the_background():
    before = batch_of()
    mine = before["target"]
    before["target"] = jnp.concatenate([1 - mine, mine], -1)
    after = mixing.copy_paste(before, PARTNER, jnp.ones(3, bool), mines=(1,))
    assert (np.asarray(after["target"]).sum(-1) == 1).all()
    assert after["target"][..., 1].sum() > mine.sum()


@pytest.mark.parametrize(
    "change", [mixing.random_mixup, mixing.random_cutmix, mixing.random_copy_paste]
)
def test_draws_are_those_of_the_sample_and_repeat(change):
    before = batch_of()
    keys = jax.random.split(jax.random.key(3), 3)
    after = change(keys, before, amount=0.7)
    order = np.array([1, 2, 0])
    moved = change(keys[order], jax.tree.map(lambda x: x[order], before), amount=0.7)
    for name, value in after.items():
        np.testing.assert_allclose(value[order], moved[name], atol=1e-6)
        assert np.isfinite(np.asarray(value)).all()
    jitted = jax.jit(lambda k, b: change(k, b, amount=0.7))(keys, before)
    np.testing.assert_allclose(jitted["image"], after["image"], atol=1e-5)


def test_a_channel_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"augment.mines=\(1,\): .* 0 to 0"):
        mixing.copy_paste(batch_of(), PARTNER, jnp.ones(3, bool), mines=(1,))
