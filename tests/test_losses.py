import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from minenet import losses
from minenet.types import InputError

# Each loss as a configuration builds it, with the number of classes it is tried on.
CASES = {
    "bce": (1, losses.build("bce", task="binary")),
    "bce positive": (1, losses.build("bce", task="binary", positive_weight=3.0)),
    "bce classes": (
        3,
        losses.build("bce", task="multilabel", positive_weight=(1, 2, 5)),
    ),
    "cross_entropy": (3, losses.build("cross_entropy", task="exclusive")),
    "cross_entropy classes": (
        3,
        losses.build("cross_entropy", task="exclusive", class_weight=(0.5, 1, 4)),
    ),
    "dice": (1, losses.build("dice", task="binary")),
    "dice exclusive": (3, losses.build("dice", task="exclusive")),
    "dice sample": (3, losses.build("dice", task="multilabel", over="sample")),
    "bce_dice": (1, losses.build("bce_dice", task="binary")),
    "cross_entropy_dice": (
        3,
        losses.build("cross_entropy_dice", task="exclusive", factors=(1.0, 0.5)),
    ),
}
each = pytest.mark.parametrize(("classes", "loss"), CASES.values(), ids=CASES)


def data(classes, *, seed=0, shape=(2, 4, 5)):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (*shape, classes)).astype(np.float32)
    label = rng.integers(0, max(classes, 2), shape)
    hard = np.eye(max(classes, 2), dtype=np.float32)[label]
    target = hard if classes > 1 else hard[..., 1:]
    weight = (rng.random(shape) < 0.7).astype(np.float32)
    return logits, target, weight


@each
def test_masked_pixels_are_as_good_as_not_there(classes, loss):
    logits, target, weight = data(classes)
    expected, gradient = jax.value_and_grad(loss)(logits, target, weight)
    for poison in (np.nan, np.inf, 1e30):
        worse = np.where(weight[..., None] > 0, logits, np.float32(poison))
        label = np.where(weight[..., None] > 0, target, np.float32(poison))
        value, slope = jax.value_and_grad(loss)(worse, label, weight)
        assert value == expected
        np.testing.assert_array_equal(slope, gradient)
    assert (np.asarray(gradient)[weight == 0] == 0).all()


@each
def test_masked_is_the_loss_of_the_subset(classes, loss):
    logits, target, weight = data(classes, shape=(1, 6, 7))
    kept = weight[0] > 0
    subset = (x[0][kept][None, None] for x in (logits, target, weight))
    np.testing.assert_allclose(
        loss(logits, target, weight), loss(*subset), rtol=1e-5, atol=1e-6
    )


@each
def test_an_empty_sample_changes_nothing(classes, loss):
    inputs = data(classes)
    logits, target, weight = (np.concatenate([x, x[:1]]) for x in inputs)
    weight[-1] = 0
    np.testing.assert_allclose(
        loss(logits, target, weight), loss(*inputs), rtol=1e-5, atol=1e-6
    )


@each
def test_all_masked_is_zero_with_zero_gradients(classes, loss):
    logits, target, weight = data(classes)
    value, gradient = jax.value_and_grad(loss)(logits * np.nan, target, weight * 0)
    assert value == 0
    assert (np.asarray(gradient) == 0).all()


@each
def test_pixels_may_come_in_any_order(classes, loss):
    inputs = data(classes)
    order = np.random.default_rng(1).permutation(20)

    def shuffled(x):
        flat = x.reshape(2, 20, *x.shape[3:])[:, order]
        return flat.reshape(x.shape)[::-1]

    np.testing.assert_allclose(
        loss(*inputs), loss(*map(shuffled, inputs)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", [name for name in CASES if "dice" not in name])
def test_the_scale_of_the_weights_of_an_entropy_does_not_matter(name):
    classes, loss = CASES[name]
    logits, target, weight = data(classes)
    twice = loss(logits, target, weight * 2)
    np.testing.assert_allclose(loss(logits, target, weight), twice, rtol=1e-5)


@each
def test_gradients_are_right(classes, loss):
    logits, target, weight = data(classes)
    check_grads(
        lambda x: loss(x, target, weight),
        (jnp.asarray(logits),),
        order=1,
        eps=1e-2,
        atol=2e-3,
        rtol=2e-3,
    )


@each
def test_jit_is_eager_is_vmap_and_float32(classes, loss):
    inputs = data(classes)
    with jax.numpy_rank_promotion("raise"):
        eager = loss(*inputs)
        jitted = jax.jit(loss)(*inputs)
        mapped = jax.vmap(loss)(*(np.stack([x, x[::-1]]) for x in inputs))
    np.testing.assert_allclose(eager, jitted, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(mapped, [eager, eager], rtol=1e-5, atol=1e-6)
    low = loss(jnp.asarray(inputs[0], jnp.bfloat16), *inputs[1:])
    assert eager.dtype == low.dtype == np.float32 and eager.shape == ()
    np.testing.assert_allclose(eager, low, rtol=2e-2)


@each
def test_sharded_over_devices_is_the_same(classes, loss):
    inputs = data(classes, shape=(8, 4, 5))
    mesh = jax.make_mesh((8,), ("data",), (jax.sharding.AxisType.Auto,))
    shard = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    spread = jax.jit(loss)(*(jax.device_put(x, shard) for x in inputs))
    np.testing.assert_allclose(spread, loss(*inputs), rtol=1e-6, atol=1e-6)


@each
def test_the_loss_falls_towards_the_truth_and_is_finite_far_from_it(classes, loss):
    _, target, weight = data(classes)
    right = target * 2 - 1
    values = [loss(right * scale, target, weight) for scale in (-1e4, -1, 0, 1, 1e4)]
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()
    assert values[-1] < 1e-3
    slope = jax.grad(loss)(right * np.float32(-1e4), target, weight)
    assert np.isfinite(slope).all()


@settings(max_examples=50)
@given(
    logit=st.floats(-30, 30), target=st.floats(0, 1), positive_weight=st.floats(0.1, 20)
)
def test_bce_is_its_definition(logit, target, positive_weight):
    p = 1 / (1 + np.exp(-logit))
    q = 1 / (1 + np.exp(logit))
    expected = -positive_weight * target * np.log(p) - (1 - target) * np.log(q)
    value = losses.binary_cross_entropy(
        np.full((1, 1, 1, 1), logit),
        np.full((1, 1, 1, 1), target),
        np.ones((1, 1, 1)),
        positive_weight=positive_weight,
    )
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-9)


def test_the_slope_of_bce_at_zero_and_far_from_it():
    slope = jax.grad(losses.binary_cross_entropy)
    one = np.ones((1, 1, 1))
    for logit, target, expected in [
        (0.0, 0.0, 0.5),
        (0.0, 1.0, -0.5),
        (-20.0, 0.0, np.exp(-20)),
        (200.0, 0.0, 1.0),
    ]:
        x, t = np.full((1, 1, 1, 1), logit), np.full((1, 1, 1, 1), target)
        np.testing.assert_allclose(slope(x, t, one).item(), expected, rtol=1e-5)


def test_weights_weigh():
    logits, target, _ = data(1, shape=(1, 1, 2))
    alone = [
        losses.binary_cross_entropy(logits, target, np.float32([[w]]))
        for w in ([1, 0], [0, 1], [3, 1])
    ]
    np.testing.assert_allclose((3 * alone[0] + alone[1]) / 4, alone[2], rtol=1e-6)


def test_dice_by_hand():
    p = np.float32([0.8, 0.4, 0.1, 0.9])
    logits = np.log(p / (1 - p)).reshape(2, 1, 2, 1)
    target = np.float32([1, 0, 0, 0]).reshape(2, 1, 2, 1)
    weight = np.ones((2, 1, 2), np.float32)
    batch = 1 - (2 * 0.8 + 1) / (2.2 + 1 + 1)
    sample = (1 - (2 * 0.8 + 1) / (1.2 + 1 + 1)) / 2 + (1 - 1 / (1.0 + 1)) / 2
    dice = functools.partial(losses.dice, logits, target, weight)
    np.testing.assert_allclose(dice(), batch, rtol=1e-5)
    np.testing.assert_allclose(dice(over="sample"), sample, rtol=1e-5)


def test_two_exclusive_classes_are_one_binary():
    logits, target, weight = data(2)
    difference = logits[..., 1:] - logits[..., :1]
    np.testing.assert_allclose(
        losses.cross_entropy(logits, target, weight),
        losses.binary_cross_entropy(difference, target[..., 1:], weight),
        rtol=1e-5,
    )


def test_a_sum_is_the_sum_of_its_terms():
    inputs = data(1)
    value = losses.build(
        "bce_dice", task="binary", factors=(2.0, 0.5), positive_weight=3.0, smooth=9.0
    )(*inputs)
    bce = losses.binary_cross_entropy(*inputs, positive_weight=3.0)
    dice = losses.dice(*inputs, smooth=9.0)
    np.testing.assert_allclose(value, 2 * bce + 0.5 * dice, rtol=1e-6)


@pytest.mark.parametrize("positive_weight", [1.0, 4.0])
def test_entropies_are_those_of_torch(positive_weight):
    torch = pytest.importorskip("torch", reason="torch absent: install oracles")
    functional = torch.nn.functional
    logits, target, weight = data(1)

    def torched(x):
        per_pixel = functional.binary_cross_entropy_with_logits(
            x,
            torch.tensor(target),
            reduction="none",
            pos_weight=torch.tensor([positive_weight]),
        )
        each = torch.tensor(weight)[..., None]
        return (per_pixel * each).sum() / each.sum()

    ours = functools.partial(
        losses.binary_cross_entropy, positive_weight=positive_weight
    )
    x = torch.tensor(logits, requires_grad=True)
    torched(x).backward()
    value, gradient = jax.value_and_grad(ours)(logits, target, weight)
    np.testing.assert_allclose(value, torched(x).item(), rtol=1e-5)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-4, atol=1e-7)

    logits, target, weight = data(3)
    labels = np.where(weight > 0, target.argmax(-1), -100)
    expected = functional.cross_entropy(
        torch.tensor(np.moveaxis(logits, -1, 1)), torch.tensor(labels)
    )
    value = losses.cross_entropy(logits, target, weight)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-5)


@pytest.mark.parametrize("classes", [1, 3])
def test_entropies_are_those_of_scikit_learn(classes):
    sklearn = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn absent: install oracles"
    )
    logits, target, weight = data(classes)
    if classes == 1:
        probability = np.asarray(jax.nn.sigmoid(logits[..., 0]), np.float64)
        label, value = target[..., 0], losses.binary_cross_entropy
    else:
        probability = np.asarray(jax.nn.softmax(logits), np.float64).reshape(-1, 3)
        probability /= probability.sum(-1, keepdims=True)
        label, value = target.argmax(-1), losses.cross_entropy
    expected = sklearn.log_loss(
        label.ravel(),
        probability.ravel() if classes == 1 else probability,
        sample_weight=weight.ravel(),
    )
    np.testing.assert_allclose(value(logits, target, weight), expected, rtol=1e-5)


def test_names_are_all_built():
    for name in losses.names():
        task = "exclusive" if name.startswith("cross") else "binary"
        assert callable(losses.build(name, task=task))


def test_errors_name_what_is_wrong():
    logits, target, weight = data(1)
    build = losses.build
    with pytest.raises(InputError, match="'bce_dise': .*nearest is 'bce_dice'"):
        build("bce_dise", task="binary")
    with pytest.raises(InputError, match="loss.smoth: .*nearest is loss.smooth"):
        build("bce_dice", task="binary", smoth=1.0)
    with pytest.raises(InputError, match="bce does not fit data.task='exclusive'; "):
        build("bce_dice", task="exclusive")
    with pytest.raises(InputError, match=r"loss.factors=\(1.0,\): bce_dice has 2"):
        build("bce_dice", task="binary", factors=(1.0,))
    with pytest.raises(InputError, match="loss.over='pixel'"):
        build("dice", task="binary", over="pixel")(logits, target, weight)
    with pytest.raises(InputError, match="loss.smooth=0: must be positive"):
        build("dice", task="binary", smooth=0)(logits, target, weight)
    with pytest.raises(InputError, match="positive_weight=.*2 values for 1 classes"):
        build("bce", task="binary", positive_weight=(1, 2))(logits, target, weight)
    with pytest.raises(InputError, match="loss.positive_weight=-1: must be finite"):
        build("bce", task="binary", positive_weight=-1)(logits, target, weight)
    with pytest.raises(ValueError, match="task='binry'"):
        losses.dice(logits, target, weight, task="binry")
    with pytest.raises(ValueError, match=r"weight \(shape=\(2, 4, 5, 1\)\)"):
        losses.dice(logits, target, weight[..., None])
