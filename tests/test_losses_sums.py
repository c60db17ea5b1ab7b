"""Sums of losses, losses by name, and what is wrong with an option."""

import jax
import numpy as np
import pytest

from minenet import losses
from minenet.types import InputError
from tests.test_losses import data, jit, run


def test_a_sum_is_the_sum_of_its_terms():
    inputs = data("binary")
    bce = run("bce", *inputs, positive_weight=3.0)
    dice = run("dice", *inputs, activation="sigmoid", smooth=9.0)
    options = {"factors": (2.0, 0.5), "positive_weight": 3.0, "smooth": 9.0}
    for name in ("bce_dice", "bce+dice"):
        value = jit(losses.build(name, task="binary", **options))(*inputs)
        np.testing.assert_allclose(value, 2 * bce + 0.5 * dice, rtol=1e-6)
    total = jit(losses.combine((2.0, losses.bce), (0.5, losses.log_jaccard_bce)))
    expected = 2 * run("bce", *inputs) + 0.5 * run("log_jaccard_bce", *inputs)
    np.testing.assert_allclose(total(*inputs), expected, rtol=1e-6)
    assert total(*inputs[:2]) != total(*inputs)


def test_the_boundary_of_a_configuration_measures_its_target():
    logits, target, weight = data("exclusive")
    distance = losses.signed_distance(target, weight)
    expected = run("boundary", logits, distance, weight, activation="softmax")
    value = jit(losses.build("boundary", task="exclusive"))(logits, target, weight)
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_deep_supervision():
    logits, target, weight = data("binary", shape=(2, 9, 7))
    deep = losses.deep_supervision(losses.bce)
    alone = losses.bce(logits, target, weight)
    np.testing.assert_array_equal(deep(logits, target, weight), alone)
    np.testing.assert_allclose(deep([logits], target, weight), alone, rtol=1e-6)
    for equal in ([logits] * 3, (logits, logits)):
        np.testing.assert_allclose(deep(equal, target, weight), alone, rtol=1e-6)

    # Pixels at a third of the size are the middles of blocks of three.
    small = logits[:, 1::3, 1::3][:, :, :2]
    middle = [x[:, 1::3][:, :, [1, 5]] for x in (target, weight)]
    coarse = losses.bce(small, *middle)
    value = deep([logits, small], target, weight)
    np.testing.assert_allclose(value, (alone + coarse / 2) / 1.5, rtol=1e-6)
    only = losses.deep_supervision(losses.bce, factors=(0, 3))
    np.testing.assert_allclose(only([logits, small], target, weight), coarse, rtol=1e-6)
    np.testing.assert_allclose(
        deep([logits, small], target), deep([logits, small], target, weight * 0 + 1)
    )

    poison = np.where(weight[..., None] > 0, target, np.nan)
    grad = jax.grad(lambda x: deep(x, poison, weight))
    expected = jax.grad(lambda x: deep(x, target, weight))
    for a, b in zip(grad([logits, small]), expected([logits, small]), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match=r"factors=\(1,\): must be one for each of 2"):
        losses.deep_supervision(losses.bce, factors=(1,))([logits, small], target)


def test_errors_of_the_registry_name_what_is_wrong():
    build = losses.build
    with pytest.raises(InputError, match="'bce_dise': .*nearest is 'bce_dice'"):
        build("bce_dise", task="binary")
    with pytest.raises(InputError, match="'dice[+]bondary': .*nearest is 'boundary'"):
        build("dice+bondary", task="binary")
    with pytest.raises(InputError, match="loss.smoth: .*nearest is loss.smooth"):
        build("bce_dice", task="binary", smoth=1.0)
    with pytest.raises(InputError, match="loss.activation: dice has no such option"):
        build("dice", task="binary", activation="softmax")
    with pytest.raises(InputError, match="loss.reduction: dice has no such option"):
        build("dice", task="binary", reduction="none")
    with pytest.raises(InputError, match="loss.factors: dice has no such option"):
        build("dice", task="binary", factors=(2.0,))
    with pytest.raises(InputError, match="loss.any: boundary has .* nearest is none"):
        build("boundary", task="binary", any=1)
    with pytest.raises(InputError, match="bce does not fit data.task='exclusive'; "):
        build("bce+dice", task="exclusive")
    with pytest.raises(InputError, match=r"loss.factors=\(1.0,\): bce\+dice has 2"):
        build("bce+dice", task="binary", factors=(1.0,))
    with pytest.raises(ValueError, match="task='binry'"):
        build("dice", task="binry")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("bce", {"positive_weight": (1, 2)}, "positive_weight=.*2 values for 1 class"),
        ("bce", {"positive_weight": -1}, "positive_weight=-1: must be finite"),
        ("bce_dice", {"factors": (1.0,)}, r"factors=\(1.0,\): bce_dice has 2 terms"),
        ("bootstrapped", {"mode": "medium"}, "mode='medium': must be 'soft' or"),
        ("bootstrapped", {"beta": 2}, "beta=2: must be within 0..1"),
        ("cldice", {"iterations": -1}, "iterations=-1: must be at least 0"),
        ("cross_entropy", {"smoothing": 2}, "smoothing=2: must be within 0..1"),
        ("dice", {"over": "pixel"}, "over='pixel': must be 'batch' or 'sample'"),
        ("dice", {"smooth": 0}, "smooth=0: must be positive"),
        ("dice", {"reduction": "sum"}, "reduction='sum': must be 'mean' or 'none'"),
        ("dice", {"reduction": "none"}, "reduction='none': the batch is one region"),
        ("dice", {"activation": "tanh"}, "activation='tanh': must be 'sigmoid' or"),
        ("dice", {"activation": "softmax"}, "activation='softmax': of one class"),
        ("focal", {"gamma": -1}, "gamma=-1: must be at least 0"),
        ("focal_tversky", {"gamma": 0}, "gamma=0: must be positive"),
        ("generalised_cross_entropy", {"q": 0}, "q=0: must be above 0"),
        ("hausdorff_dt", {"alpha": 0}, "alpha=0: must be positive"),
        ("tversky", {"beta": -1}, "beta=-1: must be at least 0"),
        ("unified_focal", {"delta": 2}, "delta=2: must be within 0..1"),
        ("unified_focal", {"gamma": 1}, "gamma=1: must be at least 0 and below 1"),
    ],
)
def test_errors_of_options_name_what_is_wrong(name, options, message):
    logits, target, weight = data("binary")
    if name not in ("bce", "bce_dice", "cross_entropy"):
        options = {"activation": "sigmoid"} | options
    with pytest.raises(InputError, match=f"loss.{message}"):
        getattr(losses, name)(logits, target, weight, **options)


def test_shapes_that_do_not_belong_together_are_told():
    logits, target, weight = data("binary")
    with pytest.raises(ValueError, match=r"weight \(shape=\(8, 6, 5, 1\)\)"):
        losses.bce(logits, target, weight[..., None])
    with pytest.raises(TypeError, match="activation"):
        losses.dice(logits, target, weight)
