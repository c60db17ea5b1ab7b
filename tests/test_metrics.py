import functools
import json
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minenet import metrics

AT_THRESHOLD = (
    metrics.iou,
    metrics.f1,
    metrics.precision,
    metrics.recall,
    metrics.accuracy,
)
SCORES = (*AT_THRESHOLD, metrics.average_precision, metrics.auroc)
quick = settings(max_examples=40)


def data(classes=2, *, seed=0, shape=(3, 8, 9)):
    """Probabilities that know something of the target, at the edges of bins too."""
    rng = np.random.default_rng(seed)
    target = (rng.random((*shape, classes)) < 0.3).astype(np.float32)
    probability = np.clip(rng.normal(0.3 + 0.3 * target, 0.25), 0, 1)
    probability = np.where(
        rng.random(probability.shape) < 0.3,
        np.round(probability * 16) / 16,
        probability,
    ).astype(np.float32)
    weight = (rng.random(shape) < 0.8).astype(np.float32)
    return probability, target, weight


drawn = st.builds(
    data,
    st.integers(1, 3),
    seed=st.integers(0, 1000),
    shape=st.sampled_from([(1, 1, 1), (2, 3, 4), (3, 8, 9)]),
)


@quick
@given(drawn, st.sampled_from([2, 16, 1024]), st.data())
def test_counts_are_exact_at_every_edge(inputs, bins, draw):
    probability, target, weight = inputs
    edge = draw.draw(st.integers(0, bins - 1)) / bins
    found = metrics.counts(metrics.histogram(*inputs, bins=bins), edge)
    predicted, labelled = probability >= edge, target > 0.5
    counted = weight[..., None] > 0
    axes = (0, 1, 2)
    expected = metrics.Counts(
        tp=(predicted & labelled & counted).sum(axes),
        fp=(predicted & ~labelled & counted).sum(axes),
        fn=(~predicted & labelled & counted).sum(axes),
        tn=(~predicted & ~labelled & counted).sum(axes),
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@quick
@given(hnp.arrays(np.float32, 50, elements=st.floats(0, 1, width=32)))
def test_a_bin_is_what_a_comparison_with_its_edge_says(probability):
    for bins in (2, 1024):
        histogram = metrics.histogram(
            probability[:, None], np.ones((50, 1)), np.ones(50), bins=bins
        )
        above = np.cumsum(histogram[0, 1, ::-1])[::-1]
        expected = (probability[:, None] >= np.float32(metrics.edges(bins))).sum(0)
        np.testing.assert_array_equal(above, expected)


@pytest.mark.parametrize("count", ["histogram", "confusion"])
@pytest.mark.parametrize("seed", range(3))
def test_numpy_is_jax_is_jit_is_vmap(count, seed):
    inputs = data(3, seed=seed)
    count = getattr(metrics, count)
    host = count(*inputs)
    with jax.numpy_rank_promotion("raise"):
        eager = count(*map(jnp.asarray, inputs))
        jitted = jax.jit(count)(*inputs)
        mapped = jax.vmap(count)(*map(jnp.asarray, inputs)).sum(0)
    assert host.dtype == np.int64 and eager.dtype == jitted.dtype == np.int32
    for other in (eager, jitted, mapped):
        np.testing.assert_array_equal(host, other)


@pytest.mark.parametrize("count", [metrics.histogram, metrics.confusion])
def test_sharded_over_devices_is_the_same(count):
    inputs = data(3, shape=(8, 4, 5))
    mesh = jax.make_mesh((8,), ("data",), (jax.sharding.AxisType.Auto,))
    shard = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    spread = jax.jit(count)(*(jax.device_put(x, shard) for x in inputs))
    np.testing.assert_array_equal(spread, count(*inputs))


@quick
@given(drawn, st.data())
def test_any_partition_merges_to_the_whole(inputs, draw):
    flat = [x.reshape(-1, *x.shape[3:]) for x in inputs]
    part = np.array(
        draw.draw(
            st.lists(st.integers(0, 3), min_size=len(flat[0]), max_size=len(flat[0]))
        )
    )
    for count in (metrics.histogram, metrics.confusion):
        merged = functools.reduce(
            operator.add, (count(*(x[part == i] for x in flat)) for i in range(4))
        )
        np.testing.assert_array_equal(merged, count(*inputs))


@quick
@given(drawn)
def test_masked_pixels_are_as_good_as_not_there(inputs):
    probability, target, weight = inputs
    kept = weight > 0
    hole = kept[..., None]
    poisoned = np.where(hole, probability, np.nan), np.where(hole, target, np.nan)
    for count in (metrics.histogram, metrics.confusion):
        subset = count(probability[kept], target[kept], weight[kept])
        np.testing.assert_array_equal(subset, count(*poisoned, weight))


def test_weights_above_zero_count_one():
    probability, target, weight = data()
    one = metrics.histogram(probability, target, weight)
    np.testing.assert_array_equal(
        one, metrics.histogram(probability, target, weight * 0.3)
    )
    assert one.sum() == 2 * weight.sum()


def test_no_prediction_at_a_pixel_that_counts_is_none_of_a_mine():
    histogram = metrics.histogram(np.full((4, 1), np.nan), np.ones((4, 1)), np.ones(4))
    assert metrics.counts(histogram).fn == [4]


@quick
@given(drawn)
def test_scores_lie_in_their_range_and_in_their_relations(inputs):
    histogram = metrics.histogram(*inputs, bins=16)
    for threshold in (0.25, 0.5):
        iou, f1, precision, recall, _ = (s(histogram, threshold) for s in AT_THRESHOLD)
        np.testing.assert_allclose(f1, 2 * iou / (1 + iou))
        # Where a recall is defined, F1 is the harmonic mean.
        with np.errstate(invalid="ignore"):
            mean = 2 * precision * recall / (precision + recall)
        defined = ~np.isnan(mean)
        np.testing.assert_allclose(f1[defined], mean[defined])
    for score in SCORES:
        value = score(histogram)
        assert value.shape == (len(histogram),) and value.dtype == np.float64
        assert ((value >= 0) & (value <= 1) | np.isnan(value)).all()


def test_the_mean_leaves_out_what_is_undefined():
    assert metrics.mean(np.array([0.5, np.nan, 0.0])) == 0.25
    assert np.isnan(metrics.mean(np.array([np.nan])))


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_scikit_learn(seed):
    oracle = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn absent: install oracles"
    )
    probability, target, weight = data(1, seed=seed)
    histogram = metrics.histogram(probability, target, weight)
    kept = weight > 0
    label, p = target[kept][:, 0], probability[kept][:, 0]
    for threshold in (0.25, 0.5, 613 / 1024):
        found = p >= threshold
        for score, expected in {
            metrics.iou: oracle.jaccard_score,
            metrics.f1: oracle.f1_score,
            metrics.dice: oracle.f1_score,
            metrics.precision: oracle.precision_score,
            metrics.recall: oracle.recall_score,
            metrics.accuracy: oracle.accuracy_score,
        }.items():
            value = score(histogram, threshold)
            np.testing.assert_allclose(value, [expected(label, found)], rtol=1e-12)
    binned = np.minimum(np.floor(p * 1024), 1023)
    for score, expected in {
        metrics.average_precision: oracle.average_precision_score,
        metrics.auroc: oracle.roc_auc_score,
    }.items():
        np.testing.assert_allclose(score(histogram), [expected(label, binned)], 1e-12)
        np.testing.assert_allclose(score(histogram), [expected(label, p)], atol=1e-3)


def test_the_curve_holds_the_scores_at_each_edge():
    histogram = metrics.histogram(*data(), bins=16)
    curve = metrics.curve(histogram)
    for i, threshold in enumerate(curve.threshold):
        for name in ("precision", "recall", "f1", "iou"):
            one = getattr(metrics, name)(histogram, threshold)
            np.testing.assert_array_equal(getattr(curve, name)[:, i], one)
    assert (np.diff(curve.recall) <= 0).all() and (curve.recall[:, 0] == 1).all()


@quick
@given(drawn, st.sampled_from(["iou", "f1", "accuracy"]))
def test_no_threshold_is_better_than_the_best(inputs, name):
    histogram = metrics.histogram(*inputs, bins=16)
    score = getattr(metrics, name)
    best = score(histogram, metrics.best_threshold(histogram, name))
    for edge in metrics.edges(16)[1:]:
        other = score(histogram, edge)
        assert (
            np.isnan(other) | (histogram[:, 1].sum(-1) == 0) | (other <= best)
        ).all()


def test_the_best_threshold_lies_in_the_middle_of_the_gap():
    p = np.array([0.125, 0.25, 0.75, 0.875])[:, None]
    histogram = metrics.histogram(p, (p > 0.5) * 1.0, np.ones(4))
    np.testing.assert_allclose(metrics.best_threshold(histogram), [0.5], atol=1e-3)
    empty = metrics.histogram(p, p * 0, np.ones(4))
    assert metrics.best_threshold(empty) == [0.5]


def test_each_class_may_have_its_own_threshold():
    histogram = metrics.histogram(*data(3))
    both = metrics.iou(histogram, np.array([0.25, 0.5, 0.75]))
    alone = [metrics.iou(histogram, t)[k] for k, t in enumerate((0.25, 0.5, 0.75))]
    np.testing.assert_array_equal(both, alone)


def test_confusion_is_that_of_scikit_learn():
    oracle = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn absent: install oracles"
    )
    probability, _, weight = data(4)
    label = np.random.default_rng(5).integers(0, 4, weight.shape)
    matrix = metrics.confusion(probability, np.eye(4)[label], weight)
    found = probability.argmax(-1)
    kept = weight > 0
    np.testing.assert_array_equal(
        matrix, oracle.confusion_matrix(label[kept], found[kept], labels=range(4))
    )
    against_all = metrics.one_vs_rest(matrix)
    np.testing.assert_allclose(
        metrics.iou(against_all),
        oracle.jaccard_score(label[kept], found[kept], average=None),
    )
    np.testing.assert_allclose(
        metrics.recall(against_all),
        oracle.recall_score(label[kept], found[kept], average=None),
    )
    assert (against_all.sum((1, 2)) == kept.sum()).all()


def test_classes_permute():
    probability, target, weight = data(3)
    order = np.array([2, 0, 1])
    histogram = metrics.histogram(probability, target, weight)
    permuted = metrics.histogram(probability[..., order], target[..., order], weight)
    np.testing.assert_array_equal(histogram[order], permuted)


def test_counts_past_31_bits_add_up_on_the_host():
    histogram = np.array([[[2**40, 0], [0, 2**40]]])
    assert metrics.iou(histogram) == [1.0]
    assert metrics.auroc(histogram) == [1.0]
    assert metrics.average_precision(histogram) == [1.0]


def test_the_summary_is_json_with_null_where_undefined():
    probability, target, weight = data(2)
    histogram = metrics.histogram(probability, target * [1, 0], weight)
    summary = json.loads(json.dumps(metrics.summary(histogram, 0.4), allow_nan=False))
    assert summary["pixels"] == [int(weight.sum())] * 2
    assert summary["positives"][1] == 0
    assert summary["recall"][1] is None and summary["auroc"][1] is None
    np.testing.assert_allclose(summary["iou"], metrics.iou(histogram, 0.4))
    assert set(summary) == {
        *metrics.AT_THRESHOLD,
        *("average_precision", "auroc", "ece", "mce", "pixels", "positives"),
    }


def test_errors_name_what_is_wrong():
    probability, target, weight = data()
    with pytest.raises(ValueError, match="bins=1000: must be a power of two"):
        metrics.histogram(probability, target, weight, bins=1000)
    for count in (metrics.histogram, metrics.confusion):
        with pytest.raises(ValueError, match=r"weight \(shape=\(3, 8, 9, 2\)\)"):
            count(probability, target, target)
    histogram = metrics.histogram(probability, target, weight)
    with pytest.raises(ValueError, match="threshold=50.0: must lie in 0..1"):
        metrics.iou(histogram, 50)
    with pytest.raises(ValueError, match="metric='recall': must be one of iou, f1"):
        metrics.best_threshold(histogram, "recall")
