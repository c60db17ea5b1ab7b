import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet import losses

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


@pytest.mark.parametrize(
    "case", [case for case in CASES if not any(name in case for name in SPATIAL)]
)
def test_pixels_may_come_in_any_order(case):
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
