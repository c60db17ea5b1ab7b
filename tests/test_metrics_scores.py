import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import peers
from minenet import metrics
from tests.test_metrics import data, drawn

quick = settings(max_examples=40)
weighted = functools.partial(metrics.histogram, weighted=True, bins=64)


def sklearn():
    return pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn absent: install oracles"
    )


def continuous(seed, *, pixels=400, spread=0.49):
    """Scores without ties, as crowded as one likes, their label and what counts."""
    rng = np.random.default_rng(seed)
    label = (rng.random(pixels) < 0.3).astype(np.float32)
    p = 0.5 + spread * np.tanh(rng.normal(label - 0.5, 0.7))
    return p.astype(np.float32), label, np.ones(pixels, np.float32)


@pytest.mark.parametrize("threshold", [0.25, 0.5])
def test_scores_beyond_overlap_are_those_of_scikit_learn(threshold):
    oracle = sklearn()
    probability, target, weight = data(1, seed=7)
    histogram = metrics.histogram(probability, target, weight)
    kept = weight > 0
    label, found = target[kept][:, 0], probability[kept][:, 0] >= threshold
    two = functools.partial(oracle.fbeta_score, beta=2)
    for score, expected in {
        metrics.mcc: oracle.matthews_corrcoef,
        metrics.kappa: oracle.cohen_kappa_score,
        metrics.balanced_accuracy: oracle.balanced_accuracy_score,
        functools.partial(metrics.f_beta, beta=2): two,
        metrics.specificity: functools.partial(oracle.recall_score, pos_label=0),
    }.items():
        value = score(histogram, threshold)
        np.testing.assert_allclose(value, [expected(label, found)], rtol=1e-12)


def test_averages_are_those_of_scikit_learn():
    oracle = sklearn()
    probability, target, weight = data(3, seed=8)
    histogram = metrics.histogram(probability, target, weight)
    kept = weight > 0
    label, p = target[kept], probability[kept]
    binned = np.minimum(np.floor(p * 1024), 1023)
    for average in ("micro", "macro"):
        for score, expected, found in (
            (metrics.iou, oracle.jaccard_score, p >= 0.5),
            (metrics.f1, oracle.f1_score, p >= 0.5),
            (metrics.precision, oracle.precision_score, p >= 0.5),
            (metrics.recall, oracle.recall_score, p >= 0.5),
            (metrics.average_precision, oracle.average_precision_score, binned),
            (metrics.auroc, oracle.roc_auc_score, binned),
        ):
            value = score(histogram, average=average)
            np.testing.assert_allclose(value, expected(label, found, average=average))


def test_scores_of_exclusive_classes_are_those_of_scikit_learn():
    oracle = sklearn()
    probability, _, weight = data(4)
    label = np.random.default_rng(5).integers(0, 4, weight.shape)
    matrix = metrics.confusion(probability, np.eye(4)[label], weight)
    pair = label[weight > 0], probability.argmax(-1)[weight > 0]
    for score, expected in {
        metrics.multiclass_mcc: oracle.matthews_corrcoef,
        metrics.multiclass_kappa: oracle.cohen_kappa_score,
    }.items():
        np.testing.assert_allclose(score(matrix), expected(*pair))
    against_all = metrics.one_vs_rest(matrix)
    np.testing.assert_allclose(
        metrics.recall(against_all, average="macro"),
        oracle.balanced_accuracy_score(*pair),
    )
    np.testing.assert_allclose(
        metrics.recall(against_all, average="micro"), oracle.accuracy_score(*pair)
    )


@quick
@given(st.integers(0, 10**6), st.floats(0.001, 0.3), st.sampled_from([2, 16, 1024]))
def test_what_binning_loses_is_within_its_bounds(seed, spread, bins):
    oracle = sklearn()
    p, label, weight = continuous(seed, pixels=60, spread=spread)
    if not 0 < label.sum() < len(label):
        return
    histogram = metrics.histogram(p[:, None], label[:, None], weight, bins=bins)
    for bounds, score, exact in (
        (metrics.auroc_bounds, metrics.auroc, oracle.roc_auc_score),
        (
            metrics.average_precision_bounds,
            metrics.average_precision,
            oracle.average_precision_score,
        ),
    ):
        low, high = bounds(histogram)
        for value in (exact(label, p), score(histogram)[0]):
            assert low[0] - 1e-9 <= value <= high[0] + 1e-9


def test_the_bounds_are_narrow_where_scores_are_spread():
    p, label, weight = continuous(0, pixels=20_000)
    histogram = metrics.histogram(p[:, None], label[:, None], weight)
    for bounds in (metrics.auroc_bounds, metrics.average_precision_bounds):
        low, high = bounds(histogram)
        assert 0 < high[0] - low[0] < 0.005


def test_bounds_of_whole_bins_are_those_of_the_best_and_the_worst_order():
    histogram = np.array([[[1, 0], [1, 0]]])
    assert metrics.auroc_bounds(histogram) == ([0.0], [1.0])
    low, high = metrics.average_precision_bounds(histogram)
    assert high == [1.0] and 0.3 < low[0] <= 0.5


@quick
@given(drawn, st.integers(0, 15), st.sampled_from(["f1", "iou", "accuracy"]))
def test_the_confidence_filter_keeps_what_a_comparison_keeps(inputs, tau, name):
    probability, target, weight = inputs
    found = metrics.confidence_filter(metrics.histogram(*inputs, bins=16), 0.375, name)
    for k in range(target.shape[-1]):
        kept = (probability[..., k] >= tau / 16) & (weight > 0)
        rest = metrics.histogram(
            probability[..., k : k + 1], target[..., k : k + 1], kept * 1.0, bins=16
        )
        expected = getattr(metrics, name)(rest, 0.375)[0]
        np.testing.assert_allclose(found.score[k, tau], expected)
        share = kept.sum() / (weight > 0).sum() if weight.any() else np.nan
        np.testing.assert_allclose(found.kept[k, tau], share)


@pytest.mark.filterwarnings("ignore")  # of torch, at its import
@pytest.mark.skipif(
    importlib.util.find_spec("torchmetrics") is None,
    reason="torchmetrics absent: install peers",
)
@pytest.mark.parametrize("bins", [8, 16])
def test_calibration_errors_are_those_of_torchmetrics(bins):
    torch, oracle = peers.torch(), peers.torchmetrics()
    p, label, weight = continuous(3, pixels=3000)
    histogram = metrics.histogram(p[:, None], label[:, None], weight)
    pair = torch.from_numpy(p), torch.from_numpy(label.astype(int))
    for score, norm in ((metrics.ece, "l1"), (metrics.mce, "max")):
        expected = oracle.binary_calibration_error(*pair, n_bins=bins, norm=norm)
        value = score(histogram, bins=bins)
        np.testing.assert_allclose(value, expected, atol=1 / 2048 + 1e-6)
    diagram = metrics.reliability(histogram, bins=bins)
    assert diagram.pixels.sum() == 3000
    which = np.floor(p * bins).astype(int)
    for each in np.unique(which):
        members = which == each
        np.testing.assert_allclose(diagram.frequency[0, each], label[members].mean())
        promised = p[members].mean()
        np.testing.assert_allclose(diagram.confidence[0, each], promised, atol=1 / 2048)


@quick
@given(drawn)
def test_soft_sums_of_jax_are_those_of_numpy_and_merge(inputs):
    whole = metrics.soft_sums(*inputs)
    parts = sum(metrics.soft_sums(*(x[i : i + 1] for x in inputs)) for i in range(3))
    np.testing.assert_allclose(whole, parts, rtol=1e-9)
    kept = inputs[2] > 0
    subset = metrics.soft_sums(*(x[kept] for x in inputs))
    np.testing.assert_allclose(whole, subset, rtol=1e-9)


def test_soft_sums_in_jit_vmap_shards_and_rows():
    inputs = data(3, shape=(8, 4, 5))
    expected = metrics.soft_sums(*inputs)
    mesh = jax.make_mesh((8,), ("data",), (jax.sharding.AxisType.Auto,))
    shard = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    jitted = jax.jit(metrics.soft_sums)
    for found in (
        metrics.soft_sums(*map(jnp.asarray, inputs)),
        jitted(*(jax.device_put(x, shard) for x in inputs)),
        jax.vmap(metrics.soft_sums)(*map(jnp.asarray, inputs)).sum(0),
        jitted(*(x.reshape(-1, *x.shape[3:]) for x in inputs)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_brier_and_log_loss_are_those_of_scikit_learn():
    oracle = sklearn()
    probability, target, weight = data(1)
    sums = metrics.soft_sums(probability, target, weight)
    kept = weight > 0
    label, p = target[kept][:, 0], probability[kept][:, 0]
    np.testing.assert_allclose(metrics.brier(sums), [oracle.brier_score_loss(label, p)])
    np.testing.assert_allclose(
        metrics.log_loss(sums), [oracle.log_loss(label, p)], rtol=1e-6
    )
    probability, _, weight = data(3)
    probability = (probability + 0.1) / (probability + 0.1).sum(-1, keepdims=True)
    label = np.random.default_rng(0).integers(0, 3, weight.shape)
    sums = metrics.soft_sums(probability, np.eye(3)[label], weight)
    expected = oracle.log_loss(label[weight > 0], probability[weight > 0])
    value = metrics.log_loss(sums, exclusive=True)
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_soft_overlaps_are_those_of_their_formulas():
    probability, target, weight = data(3)
    sums = metrics.soft_sums(probability, target, weight)
    p, t = probability[weight > 0], target[weight > 0]
    both, each = (p * t).sum(0), (p + t).sum(0)
    np.testing.assert_allclose(metrics.soft_f1(sums), 2 * both / each, rtol=1e-5)
    np.testing.assert_allclose(
        metrics.soft_iou(sums, average="macro"),
        np.mean((both + 1e-16) / (each - both + 1e-16)),
        rtol=1e-5,
    )
    hard = metrics.soft_sums((probability >= 0.5) * 1.0, target, weight)
    histogram = metrics.histogram(probability, target, weight)
    np.testing.assert_allclose(metrics.soft_iou(hard), metrics.iou(histogram))


@pytest.mark.parametrize("name", ["histogram", "confusion", "soft_sums"])
def test_weighted_counts_repeat_pixels(name):
    probability, target, weight = data(2)
    times = np.random.default_rng(1).integers(0, 4, weight.shape)
    count = getattr(metrics, name)
    flat = [x.reshape(-1, *x.shape[3:]) for x in (probability, target, weight)]
    again = count(*(np.repeat(x, times.ravel(), axis=0) for x in flat))
    host = count(probability, target, weight * times, weighted=True)
    np.testing.assert_allclose(host, again)
    device = functools.partial(count, weighted=True)
    inputs = [jnp.asarray(x) for x in (probability, target, weight * times)]
    np.testing.assert_allclose(jax.jit(device)(*inputs), again, rtol=1e-5)


def test_weighted_sums_are_alike_on_any_devices_and_swallow_nothing():
    probability, target, weight = data(2, shape=(8, 4, 5))
    weight = weight * np.random.default_rng(0).uniform(0.1, 9, weight.shape)
    inputs = [jnp.asarray(x, jnp.float32) for x in (probability, target, weight)]
    mesh = jax.make_mesh((8,), ("data",), (jax.sharding.AxisType.Auto,))
    shard = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    one = jax.jit(weighted)(*inputs)
    spread = jax.jit(weighted)(*(jax.device_put(x, shard) for x in inputs))
    np.testing.assert_array_equal(one, spread)
    np.testing.assert_allclose(
        one, weighted(probability, target, weight), rtol=1e-5, atol=1e-5
    )
    # In float32, 2²⁰ additions of 1.7 to one cell would be off by a percent.
    many = jnp.full((1 << 20,), 1.7)
    total = weighted(jnp.zeros((1 << 20, 1)), jnp.zeros((1 << 20, 1)), many)
    np.testing.assert_allclose(total.sum(), 1.7 * 2**20, rtol=1e-6)


@quick
@given(drawn)
def test_scores_of_weighted_counts_are_those_of_counts(inputs):
    counted = metrics.histogram(*inputs, bins=16)
    for threshold in (0.25, 0.5):
        one, other = (metrics.summary(h, threshold) for h in (counted, counted * 0.1))
        for name in set(one) - {"pixels", "positives"}:
            for a, b in zip(one[name], other[name], strict=True):
                assert (a is None) == (b is None)
                assert a is None or abs(a - b) < 1e-9


def test_intervals_repeat_and_cover():
    blocks = np.random.default_rng(0).integers(0, 50, (40, 1, 2, 2))
    found = metrics.interval(3, blocks, metrics.iou, draws=400)
    again = metrics.interval(np.random.default_rng(3), blocks, metrics.iou, draws=400)
    np.testing.assert_array_equal(found, again)
    np.testing.assert_array_equal(found.score, metrics.iou(blocks.sum(0)))
    assert found.low < found.score < found.high
    wider = metrics.interval(3, blocks, metrics.iou, draws=400, level=0.99)
    assert wider.low <= found.low and found.high <= wider.high


def test_the_interval_of_a_mean_has_its_width():
    values = np.random.default_rng(0).normal(5, 2, 400)
    sums = np.stack([values, np.ones(400)], axis=-1)
    found = metrics.interval(0, sums, lambda s: s[0] / s[1], draws=2000)
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose(found.high - found.low, 2 * half, rtol=0.1)


def test_intervals_of_alike_blocks_are_points_and_of_nothing_undefined():
    alike = np.tile(np.array([[[3, 1], [1, 2]]]), (5, 1, 1, 1))
    assert metrics.interval(0, alike, metrics.iou, draws=20)[1:] == ([0.5], [0.5])
    nothing = np.zeros((5, 1, 2, 2), int)
    assert np.isnan(metrics.interval(0, nothing, metrics.iou, draws=20)).all()


def test_blocks_add_up_to_the_map():
    inputs = [x[0] for x in data(2)]
    blocks = metrics.by_block(metrics.histogram, *inputs, side=4)
    assert len(blocks) == 2 * 3
    np.testing.assert_array_equal(blocks.sum(0), metrics.histogram(*inputs))


def test_errors_name_what_is_wrong():
    histogram = metrics.histogram(*data(), bins=8)
    with pytest.raises(ValueError, match="average='weighted': must be 'micro'"):
        metrics.iou(histogram, average="weighted")
    for score in (
        metrics.f_beta,
        functools.partial(metrics.best_threshold, metric="f_beta"),
    ):
        with pytest.raises(ValueError, match="beta=0: must be above 0"):
            score(histogram, beta=0)
    with pytest.raises(ValueError, match="bins=16: must divide the 8 bins"):
        metrics.ece(histogram)
    with pytest.raises(
        ValueError, match=r"blocks \(shape=\(0, 2\)\): must be at least"
    ):
        metrics.interval(0, np.zeros((0, 2)), metrics.iou)
    with pytest.raises(ValueError, match="draws=5, level=95: must be"):
        metrics.interval(0, histogram[None], metrics.iou, draws=5, level=95)
    with pytest.raises(ValueError, match="side=0: must be at least 1 pixel"):
        metrics.by_block(metrics.histogram, *data(), side=0)
    with pytest.raises(ValueError, match="must be alike"):
        metrics.soft_sums(*data()[:2], np.ones(3))
