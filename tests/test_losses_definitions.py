"""The losses beside their definitions, written out."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minenet import losses
from tests.test_losses import SHAPE, compiled, data, jit, run

weighed = jit(losses.bce, static_argnames="positive_weight")


@settings(max_examples=50)
@given(
    logit=st.floats(-30, 30),
    target=st.floats(0, 1),
    positive_weight=st.sampled_from([1.0, 5.0]),
)
def test_bce_is_its_definition(logit, target, positive_weight):
    p = 1 / (1 + np.exp(-logit))
    q = 1 / (1 + np.exp(logit))
    expected = -positive_weight * target * np.log(p) - (1 - target) * np.log(q)
    value = weighed(
        np.full((1, 1, 1, 1), logit, np.float32),
        np.full((1, 1, 1, 1), target, np.float32),
        positive_weight=positive_weight,
    )
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-9)


def test_the_slope_of_bce_at_zero_and_far_from_it():
    for logit, target, expected in [
        (0.0, 0.0, 0.5),
        (0.0, 1.0, -0.5),
        (-20.0, 0.0, np.exp(-20)),
        (200.0, 0.0, 1.0),
    ]:
        x, t = np.full((1, 1, 1, 1), logit), np.full((1, 1, 1, 1), target)
        np.testing.assert_allclose(jax.grad(losses.bce)(x, t).item(), expected, 1e-5)


def test_dice_by_hand():
    p = np.float32([0.8, 0.4, 0.1, 0.9])
    logits = np.log(p / (1 - p)).reshape(2, 1, 2, 1)
    target = np.float32([1, 0, 0, 0]).reshape(2, 1, 2, 1)
    dice = functools.partial(run, "dice", logits, target, activation="sigmoid")
    batch = 1 - (2 * 0.8 + 1) / (2.2 + 1 + 1)
    sample = (1 - (2 * 0.8 + 1) / (1.2 + 1 + 1)) / 2 + (1 - 1 / (1.0 + 1)) / 2
    squared = 1 - (2 * 0.8 + 1) / ((p**2).sum() + 1 + 1)
    np.testing.assert_allclose(dice(), batch, rtol=1e-5)
    np.testing.assert_allclose(dice(over="sample"), sample, rtol=1e-5)
    np.testing.assert_allclose(dice(squared=True), squared, rtol=1e-5)
    expected = np.log(np.cosh(batch))
    value = run("log_cosh_dice", logits, target, activation="sigmoid")
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_the_sources_by_hand():
    logits, target, _ = data("exclusive")
    p = np.asarray(jax.nn.softmax(logits), np.float64)
    t = target.astype(np.float64)

    # Detecting_Mining_Areas_India: over the last axis, smooth 100.
    both, size = (p * t).sum(-1), (p + t).sum(-1)
    expected = ((1 - (both + 100) / (size - both + 100)) * 100).mean()
    value = run("jaccard_distance", logits, target, activation="softmax")
    np.testing.assert_allclose(value, expected, rtol=1e-4)

    # Deforestation U-Nets: class by class and sample by sample, each from C = 3.
    c, axes = np.array([0.4, 2.2, 0.4]), (1, 2)
    hit, alarm, miss = (p * t).sum(axes), (p * (1 - t)).sum(axes), (t - p * t).sum(axes)
    index = hit / (hit + 0.5 * alarm + 0.5 * miss)
    overlap = 2 * hit / ((p**2).sum(axes) + (t**2).sum(axes))
    value = run(
        "tversky_dice_hybrid",
        logits,
        target,
        activation="softmax",
        class_weight=c.tolist(),
    )
    np.testing.assert_allclose(value, (3 - c * index + 3 - overlap).mean(), rtol=1e-5)
    value, _ = compiled("tversky_dice_hybrid exclusive (0.4, 2.2, 0.4)")(
        60 * target - 30, target, np.ones(SHAPE, np.float32)
    )
    np.testing.assert_allclose(value, 4, rtol=1e-6)

    # kaggle_dstl_submission: binary cross-entropy less the logarithm of J.
    logits, target, _ = data("binary")
    p, t = 1 / (1 + np.exp(-logits.astype(np.float64))), target
    entropy = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    index = (p * t).sum() / (p + t - p * t).sum()
    value = run("log_jaccard_bce", logits, target)
    np.testing.assert_allclose(value, entropy - np.log(index), rtol=1e-5)

    # mining-net, and the weighted cross-entropy of Detecting_Mining_Areas_India.
    overlap = 1 - (2 * (p * t).sum() + 1e-6) / ((p + t).sum() + 1e-6)
    value = run("bce_dice", logits, target, factors=(0.3, 0.7), smooth=1e-6)
    np.testing.assert_allclose(value, 0.3 * entropy + 0.7 * overlap, rtol=1e-5)
    entropy = -np.where(t, 10 * np.log(p), np.log(1 - p)).mean()
    value = run("bce", logits, target, positive_weight=10)
    np.testing.assert_allclose(value, entropy, rtol=1e-5)


def test_two_exclusive_classes_are_one_binary():
    logits, target, weight = data("exclusive")
    logits, target = logits[..., :2], target[..., :2]
    target[..., 0] = 1 - target[..., 1]
    difference = logits[..., 1:] - logits[..., :1]
    for two, one in [
        (losses.cross_entropy, losses.bce),
        *(
            tuple(
                functools.partial(getattr(losses, name), activation=a)
                for a in ("softmax", "sigmoid")
            )
            for name in ("focal", "generalised_cross_entropy", "bootstrapped")
        ),
        tuple(
            functools.partial(losses.unified_focal, activation=a)
            for a in ("softmax", "sigmoid")
        ),
    ]:
        np.testing.assert_allclose(
            jit(two)(logits, target, weight),
            jit(one)(difference, target[..., 1:], weight),
            rtol=1e-5,
        )


def test_one_loss_is_the_limit_of_another():
    logits, target, weight = data("exclusive")
    inputs = (logits, target, weight)
    soft = functools.partial(run, "focal", *inputs, activation="softmax")
    near = functools.partial(np.testing.assert_allclose, rtol=1e-3)
    entropy = run("cross_entropy", *inputs)
    near(soft(gamma=0.0, alpha=(1, 1, 1)), entropy)
    robust = "generalised_cross_entropy"
    near(run(robust, *inputs, activation="softmax", q=1e-4), entropy)
    near(run("bootstrapped", *inputs, activation="softmax", beta=1.0), entropy)
    near(run("cross_entropy", *inputs, smoothing=1e-6), entropy)
    half = run("tversky", *inputs, activation="softmax", alpha=0.5, beta=0.5)
    near(run("dice", *inputs, activation="softmax", smooth=2.0), half)
    whole = run("tversky", *inputs, activation="softmax", alpha=1.0, beta=1.0)
    near(run("jaccard", *inputs, activation="softmax"), whole)
    focal = run("focal_tversky", *inputs, activation="softmax", gamma=1.0)
    near(focal, run("tversky", *inputs, activation="softmax"))


def test_lovasz_of_certain_predictions_is_one_minus_iou():
    _, target, weight = data("binary")
    guess = data("binary", seed=7)[1]
    weight *= 1 + np.arange(5, dtype=np.float32)  # a pixel may count more than another
    both, either = guess * target, np.maximum(guess, target)
    each = weight[..., None]
    expected = 1 - (both * each).sum() / (either * each).sum()
    # The hinge of ±1 is 0 where it is right and 2 where it is wrong.
    value = run("lovasz", 2 * guess - 1, target, weight, activation="sigmoid")
    np.testing.assert_allclose(value, 2 * expected, rtol=1e-5)
    two = [np.concatenate([1 - x, x], axis=-1) for x in (guess, target)]
    value = run("lovasz", two[0] * 60, two[1], weight, activation="softmax")
    both, either = (1 - guess) * (1 - target), 1 - both
    other = 1 - (both * each).sum() / (either * each).sum()
    np.testing.assert_allclose(value, (expected + other) / 2, rtol=1e-5)


def squares(inside, valid):
    """Squared distances to the nearest valid pixel of the other side, one by one."""
    rows, columns = np.indices(inside.shape)
    result = np.zeros(inside.shape)
    for row, column in np.ndindex(*inside.shape):
        other = valid & (inside != inside[row, column])
        if other.any():
            away = (rows - row) ** 2 + (columns - column) ** 2
            result[row, column] = away[other].min()
    return result


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_distances_are_those_of_brute_force(share):
    rng = np.random.default_rng(3)
    inside = rng.random((2, 7, 19, 2)) < share
    weight = (rng.random((2, 7, 19)) < 0.8) * 1.0
    found = run("signed_distance", inside * 1.0, weight)
    for sample, k in np.ndindex(2, 2):
        valid = weight[sample] > 0
        mask = inside[sample, ..., k] & valid
        away = np.sqrt(squares(mask, valid))
        expected = np.where(mask, np.minimum(1 - away, 0), away)
        np.testing.assert_allclose(found[sample, ..., k], expected, rtol=1e-6)


def test_a_skeleton_is_of_the_line_alone():
    """A road that is drawn too wide breaks no line; one with a gap does."""
    road = np.zeros((1, 15, 32, 1), np.float32)
    road[:, 7] = 1
    wide, broken = road.copy(), road.copy()
    wide[:, 5:10] = 1
    broken[:, 7, 12:20] = 0
    line, area = (
        [float(run(f, 40 * x - 20, road, activation="sigmoid")) for x in (wide, broken)]
        for f in ("cldice", "dice")
    )
    assert line[0] < 0.1 < line[1]
    assert area[1] < area[0]
