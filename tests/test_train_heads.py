"""Further heads: what they are to find, and what it counts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from minenet import losses, models
from minenet.train import heads
from minenet.types import InputError
from tests import trainings


def blobs(seed=0, shape=(2, 17, 23, 2)):
    draw = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(draw, (0, 2, 2, 0))
    target = (smooth > 0.03).astype(np.float32)
    weight = np.ones(shape[:3], np.float32)
    weight[0, 3:8, 5:9] = 0
    return {"target": target, "weight": weight}


def test_an_outline_lies_where_neighbours_that_count_differ():
    batch = blobs()
    found, weight = heads.boundary(batch)
    target, counts = batch["target"], batch["weight"] > 0
    expected = np.zeros(target.shape)
    for b, r, c, k in np.ndindex(target.shape):
        rows, cols = slice(max(r - 1, 0), r + 2), slice(max(c - 1, 0), c + 2)
        near = target[b, rows, cols, k][counts[b, rows, cols]]
        expected[b, r, c, k] = counts[b, r, c] and len(set(near)) == 2
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(weight, batch["weight"])
    assert 0.05 < expected.mean() < 0.95


def test_a_distance_is_that_of_scipy_and_infinite_without_an_outline():
    batch = blobs() | {"weight": np.ones((2, 17, 23), np.float32)}
    batch["target"][1, ..., 0], batch["target"][1, ..., 1] = 0, 1
    found = np.asarray(heads.distance(batch)[0])
    inside = batch["target"][0, ..., 0] > 0
    outer = ndimage.distance_transform_edt(~inside)
    inner = ndimage.distance_transform_edt(inside)
    np.testing.assert_allclose(
        found[0, ..., 0], np.where(inside, 1 - inner, outer), atol=1e-5
    )
    assert (found[1, ..., 0] == np.inf).all() and (found[1, ..., 1] == -np.inf).all()
    error = losses.distance_error(np.full((2, 17, 23, 2), 9.0, np.float32), found)
    assert 0 < error < 2 and np.isfinite(error)


def test_the_error_of_a_distance_is_flat_beyond_its_reach_and_least_at_the_truth():
    target = np.float32([-20, -2, 0, 2, 20]).reshape(1, 1, 5, 1)
    exact = np.arctanh(np.clip(target / 4, -1 + 1e-6, 1 - 1e-6))
    found = losses.distance_error(exact, target, reach=4.0, reduction="none")
    np.testing.assert_allclose(found, 0, atol=1e-5)
    off = losses.distance_error(exact + 0.5, target, reach=4.0, reduction="none")
    assert (off[0, 0, 1:4] > 0.2).all()
    with pytest.raises(InputError, match="loss.reach=0: must be positive"):
        losses.distance_error(exact, target, reach=0)


@pytest.mark.parametrize("find", [heads.boundary, heads.distance])
def test_what_a_head_finds_of_a_class_does_not_depend_on_the_others(find):
    batch = blobs()
    target = batch["target"]
    assert (target[..., 0] * target[..., 1]).any(), "they overlap"
    found, _ = find(batch)
    for k in range(2):
        alone, _ = find(batch | {"target": target[..., k : k + 1]})
        np.testing.assert_array_equal(found[..., k : k + 1], alone)


@pytest.mark.parametrize("name", ["bce", "bce_dice"])
def test_all_maps_of_a_network_are_summed_by_their_factors(name):
    batch = blobs() | {"types_target": blobs(1)["target"]}
    batch["types_weight"] = batch["weight"]
    loss = losses.build(name, task="multilabel")
    made = heads.build({"boundary": 0.5, "distance": 0.25}, num_classes=2)
    made["types"] = heads.Head(2, 2.0, loss)
    draw = np.random.default_rng(3)
    logits, deep, *further = draw.normal(size=(5, 2, 17, 23, 2)).astype(np.float32)
    names = ("deep_1", "boundary", "distance", "types")
    maps = dict(zip(names, (deep, *further), strict=True))
    pair = batch["target"], batch["weight"]
    expected = (
        (loss(logits, *pair) + 0.5 * loss(deep, *pair)) / 1.5
        + 0.5 * losses.bce(maps["boundary"], *heads.boundary(batch))
        + 0.25 * losses.distance_error(maps["distance"], *heads.distance(batch))
        + 2 * loss(maps["types"], batch["types_target"], batch["types_weight"])
    )
    total = functools.partial(heads.objective(loss, made), batch=batch)
    np.testing.assert_allclose(total(logits, maps), expected, rtol=1e-5)
    # What does not count, changes nothing: neither value nor gradient.
    nowhere = (batch["weight"] == 0)[..., None]
    spoiled = jax.tree.map(lambda x: jnp.where(nowhere, jnp.nan, x), (logits, maps))
    for maps_ in ((logits, maps), spoiled):
        value, slope = jax.value_and_grad(lambda m: total(*m))(maps_)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


@pytest.mark.slow
def test_heads_learn_beside_the_classes(tmp_path):
    made = heads.build({"boundary": 1.0, "distance": 1.0}, num_classes=1)
    options = {"heads": (("boundary", 1), ("distance", 1)), "deep_supervision": 1}
    with_heads = trainings.fit(tmp_path / "with", model=options, heads=made)
    alone = trainings.fit(tmp_path / "alone", model=options)
    assert with_heads.losses[-1] < with_heads.losses[0] != alone.losses[0]
    model = models.build("unet", num_classes=1, widths=(4, 8), **options)
    image = np.zeros((1, 16, 16, trainings.BANDS), np.float32)
    _, found = model.apply(with_heads.variables, image, auxiliary=True)
    assert sorted(found) == ["boundary", "deep_1", "distance"]
    # The classes' own training has changed by them: they share features.
    moved = jax.tree.map(
        lambda a, b: bool(jnp.any(a != b)), with_heads.variables, alone.variables
    )
    assert all(jax.tree.leaves(moved))


@pytest.mark.parametrize("factors", [{"edge": 1.0}, {"boundary": -1.0}])
def test_a_head_that_is_not_there_is_named(factors):
    with pytest.raises(InputError, match=r"auxiliary\.(edge|boundary)=-?1.0: expected"):
        heads.build(factors, num_classes=1)
