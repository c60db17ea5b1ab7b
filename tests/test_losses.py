import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minenet import losses
from minenet.types import InputError

# (name, task, options) as a configuration builds it; the first of a name goes through
# the laws that compile anew.
ROWS = [
    ("bce", "binary", {}),
    ("bce", "multilabel", {"positive_weight": (1, 2, 5)}),
    ("bce_dice", "binary", {"factors": (0.3, 0.7), "smooth": 1e-6}),
    ("bce_dice", "multilabel", {"over": "sample"}),
    ("bootstrapped", "exclusive", {}),
    ("bootstrapped", "binary", {"mode": "hard"}),
    ("bootstrapped", "exclusive", {"mode": "hard"}),
    ("boundary", "binary", {}),
    ("cldice", "exclusive", {}),
    ("cldice", "binary", {"over": "sample", "iterations": 1}),
    ("cross_entropy", "exclusive", {}),
    ("cross_entropy", "exclusive", {"class_weight": (0.5, 1, 4), "smoothing": 0.1}),
    ("cross_entropy_dice", "exclusive", {"factors": (1.0, 0.5)}),
    ("dice", "binary", {}),
    ("dice", "exclusive", {"squared": True}),
    ("dice", "multilabel", {"over": "sample"}),
    ("focal", "exclusive", {"gamma": 0.5}),
    ("focal", "binary", {}),
    ("focal_tversky", "exclusive", {}),
    ("focal_tversky", "binary", {"over": "sample", "gamma": 0.75}),
    ("generalised_cross_entropy", "exclusive", {}),
    ("generalised_cross_entropy", "binary", {"q": 1.0}),
    ("generalised_dice", "exclusive", {}),
    ("generalised_dice", "binary", {"over": "sample"}),
    ("hausdorff_dt", "binary", {}),
    ("hausdorff_dt", "exclusive", {"alpha": 1.0}),
    ("jaccard", "exclusive", {}),
    ("jaccard", "binary", {"over": "sample"}),
    ("jaccard_distance", "binary", {}),
    ("jaccard_distance", "exclusive", {"smooth": 1.0}),
    ("log_cosh_dice", "binary", {}),
    ("log_cosh_dice", "exclusive", {"over": "sample"}),
    ("log_jaccard_bce", "binary", {}),
    ("lovasz", "binary", {}),
    ("lovasz", "exclusive", {}),
    ("lovasz", "multilabel", {"over": "sample"}),
    ("mcc", "binary", {}),
    ("mcc", "exclusive", {"over": "sample"}),
    ("tversky", "binary", {}),
    ("tversky", "exclusive", {"over": "sample"}),
    ("tversky_dice_hybrid", "exclusive", {"class_weight": (0.4, 2.2, 0.4)}),
    ("tversky_dice_hybrid", "binary", {"offset": 1.0}),
    ("unified_focal", "binary", {}),
    ("unified_focal", "exclusive", {}),
    ("dice+boundary", "exclusive", {"factors": (1.0, 0.01)}),
]
# The laws need right numbers, not fast ones.
QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
jit = functools.partial(jax.jit, compiler_options=QUICK)
SPATIAL = ("boundary", "cldice", "hausdorff_dt")
SHAPE = (8, 6, 5)


def label(row):
    return f"{row[0]} {row[1]} {' '.join(map(str, row[2].values()))}".strip()


CASES = {label(row): row for row in ROWS}
first = {row[0]: key for key, row in reversed(CASES.items())}
each = pytest.mark.parametrize("case", CASES)
each_name = pytest.mark.parametrize("case", first.values())


def built(case):
    name, task, options = CASES[case]
    return losses.build(name, task=task, **options)


@functools.cache
def compiled(case):
    """One compilation a case: the laws share it, and with it the shape."""
    return jit(jax.value_and_grad(built(case)))


def run(name, *inputs, **options):
    return jit(functools.partial(getattr(losses, name), **options))(*inputs)


def data(case, *, seed=0, shape=SHAPE):
    task = CASES[case][1] if case in CASES else case
    classes = 1 if task == "binary" else 3
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (*shape, classes)).astype(np.float32)
    # Nothing so near a threshold that a difference quotient steps over it.
    logits += 0.1 * np.sign(logits)
    hard = np.eye(max(classes, 2), dtype=np.float32)[
        rng.integers(0, max(classes, 2), shape)
    ]
    weight = (rng.random(shape) < 0.8).astype(np.float32)
    return logits, hard if classes > 1 else hard[..., 1:], weight


def same(result, expected, **tolerance):
    for a, b in zip(result, expected, strict=True):
        np.testing.assert_allclose(a, b, **({"rtol": 2e-5, "atol": 1e-6} | tolerance))


def test_the_table_has_every_name():
    assert set(losses.names()) <= set(first)
    assert set(losses.names()) < set(losses.__all__) | {"cross_entropy_dice"}


@each
def test_masked_pixels_are_as_good_as_not_there(case):
    logits, target, weight = data(case)
    expected, gradient = compiled(case)(logits, target, weight)
    for poison in (np.nan, np.inf, 1e30):
        worse = np.where(weight[..., None] > 0, logits, np.float32(poison))
        wrong = np.where(weight[..., None] > 0, target, np.float32(poison))
        value, slope = compiled(case)(worse, wrong, weight)
        assert value == expected
        np.testing.assert_array_equal(slope, gradient)
    assert (np.asarray(gradient)[weight == 0] == 0).all()
    assert np.abs(gradient).max() > 0


@each
def test_all_masked_is_zero_with_zero_gradients(case):
    logits, target, weight = data(case)
    value, gradient = compiled(case)(logits * np.nan, target, weight * 0)
    assert value == 0
    assert (np.asarray(gradient) == 0).all()


@each
@pytest.mark.parametrize("scale", [1.0, 40.0, 1e4])
def test_finite_where_a_class_the_target_or_a_sample_is_empty(case, scale):
    logits, target, weight = data(case)
    absent = target.copy()
    absent[..., -1] = 0
    only = np.zeros_like(target)
    only[..., 0] = 1
    weight[3] = 0
    for truth in (target, absent, only, target * 0, target * 0 + 1):
        for guess in (logits, truth * 2 - 1, 1 - truth * 2):
            for found in compiled(case)(guess * np.float32(scale), truth, weight):
                assert np.isfinite(found).all()


@each
def test_perfect_logits_score_no_worse_than_random_ones(case):
    logits, target, weight = data(case)
    smoothed = "smoothing" in CASES[case][2]  # It wants to be less than sure.
    scale = np.float32(3 if smoothed else 30)
    perfect, slope = compiled(case)(scale * (2 * target - 1), target, weight)
    assert perfect < compiled(case)(logits, target, weight)[0]
    assert perfect < compiled(case)(logits * 0, target, weight)[0]
    assert smoothed or np.abs(slope).max() < 1e-3


@each
def test_the_gradient_is_the_slope(case):
    logits, target, weight = data(case)
    _, gradient = compiled(case)(logits, target, weight)
    direction = np.random.default_rng(5).normal(size=logits.shape).astype(np.float32)
    ahead, behind = (
        np.float64(compiled(case)(logits + step * direction, target, weight)[0])
        for step in (4e-3, -4e-3)
    )
    np.testing.assert_allclose(
        (gradient * direction).sum(), (ahead - behind) / 8e-3, rtol=5e-3, atol=2e-4
    )


@each
def test_mirrored_samples_in_another_order_have_mirrored_gradients(case):
    inputs = data(case)
    value, gradient = compiled(case)(*inputs)
    mirrored = compiled(case)(*(x[::-1, ::-1, ::-1] for x in inputs))
    same(mirrored, (value, gradient[::-1, ::-1, ::-1]))


@each
def test_pixels_may_come_in_any_order(case):
    if any(name in case for name in SPATIAL):
        pytest.skip("it measures where pixels lie")
    inputs = data(case)
    order = np.random.default_rng(1).permutation(30)

    def shuffled(x):
        return x.reshape(8, 30, *x.shape[3:])[:, order].reshape(x.shape)

    value, gradient = compiled(case)(*inputs)
    same(compiled(case)(*map(shuffled, inputs)), (value, shuffled(gradient)))


@each_name
def test_jit_is_eager_is_vmap(case):
    inputs = data(case)
    value, gradient = compiled(case)(*inputs)
    with jax.numpy_rank_promotion("raise"):
        eager = built(case)(*inputs)
        mapped = jit(jax.vmap(jax.value_and_grad(built(case))))(
            *(np.stack([x, x[::-1]]) for x in inputs)
        )
    assert eager.dtype == np.float32 and eager.shape == ()
    same([eager], [value])
    same(mapped, ([value, value], np.stack([gradient, gradient[::-1]])))


@each_name
def test_sharded_over_devices_is_the_same(case):
    inputs = data(case)
    mesh = jax.make_mesh((8,), ("data",), (jax.sharding.AxisType.Auto,))
    shard = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    spread = compiled(case)(*(jax.device_put(x, shard) for x in inputs))
    same(spread, compiled(case)(*inputs))


@each_name
def test_bfloat16_is_computed_in_float32(case):
    logits, target, weight = data(case)
    half = jnp.asarray(logits, jnp.bfloat16)
    low = jit(built(case))(half, target, weight)
    assert low.dtype == np.float32
    full = compiled(case)(np.asarray(half, np.float32), target, weight)[0]
    np.testing.assert_allclose(low, full, rtol=2e-5, atol=1e-6)


@each_name
def test_no_weight_is_ones(case):
    logits, target, weight = data(case)
    value, _ = compiled(case)(logits, target, np.ones_like(weight))
    same([jit(built(case))(logits, target)], [value])


PIXELS = {
    "bce": {},
    "bootstrapped": {"activation": "softmax"},
    "boundary": {"activation": "sigmoid"},
    "cross_entropy": {},
    "focal": {"activation": "sigmoid"},
    "generalised_cross_entropy": {"activation": "softmax"},
    "hausdorff_dt": {"activation": "softmax"},
    "jaccard_distance": {"activation": "sigmoid"},
}
SAMPLES = (
    *("cldice", "dice", "focal_tversky", "generalised_dice", "jaccard"),
    *("log_cosh_dice", "lovasz", "mcc", "tversky", "tversky_dice_hybrid"),
)


@pytest.mark.parametrize("name", PIXELS)
def test_the_mean_is_that_of_the_pixels(name):
    logits, target, weight = data("exclusive")
    weight *= 1 + np.arange(5, dtype=np.float32)
    loss = functools.partial(getattr(losses, name), **PIXELS[name])
    value, pixels = jit(lambda *x: (loss(*x), loss(*x, reduction="none")))(
        logits, target, weight
    )
    assert pixels.shape == SHAPE and (np.asarray(pixels)[weight == 0] == 0).all()
    expected = (pixels * weight).sum() / weight.sum()
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_mean_is_that_of_the_samples_and_each_is_a_batch_of_one(name):
    logits, target, weight = data("exclusive")
    weight[2] = 0
    over = {} if name == "tversky_dice_hybrid" else {"over": "sample"}
    loss = functools.partial(getattr(losses, name), activation="softmax")

    @jit
    def every(*inputs):
        return (
            loss(*inputs, **over),
            loss(*inputs, **over, reduction="none"),
            loss(*(x[4:5] for x in inputs)),
        )

    value, samples, alone = every(logits, target, weight)
    assert samples.shape == (8,) and samples[2] == 0
    np.testing.assert_allclose(value, samples.sum() / 7, rtol=1e-5)
    np.testing.assert_allclose(samples[4], alone, rtol=1e-5)


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
