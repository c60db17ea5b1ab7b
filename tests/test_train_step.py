"""One step: a pure function whose draws follow the sample, not its place."""

import functools

import jax
import numpy as np
import pytest

from minenet import losses, metrics, models
from minenet.ops import augment, normalize
from minenet.train import optimizer, step
from minenet.train import state as state_
from tests import trainings


@pytest.fixture(scope="module")
def job():
    model = models.build("unet", num_classes=1, widths=(4, 8))
    built = optimizer.build(steps=10, learning_rate=1e-2, warmup=0.0)
    shape = (trainings.CHIP, trainings.CHIP, trainings.BANDS)
    begin = state_.create(model, built, shape=shape, seed=0, ema=True)
    shared = {
        "apply": model.apply,
        "loss": losses.build("bce_dice", task="binary"),
        "normalizer": normalize.zscore([0.0] * 2, [1.0] * 2),
    }
    train = functools.partial(
        step.train_step,
        **shared,
        optimizer=built,
        augment=augment.batch(brightness=0.3, contrast=0.3),
        seed=0,
        ema_decay=0.9,
    )
    evaluate = functools.partial(step.eval_step, **shared, task="binary")
    return begin, jax.jit(train), jax.jit(evaluate)


def permuted(batch, order):
    return {name: value[order] for name, value in batch.items()}


def test_the_order_of_samples_does_not_matter(job):
    begin, train, _ = job
    batch = trainings.batch(0)
    order = np.random.default_rng(0).permutation(trainings.BATCH)
    _, one = train(begin, batch)
    _, other = train(begin, permuted(batch, order))
    assert float(one["loss"]) == pytest.approx(float(other["loss"]), rel=1e-5)


def test_draws_follow_step_and_sample(job):
    begin, train, _ = job
    batch = trainings.batch(0)
    first = float(train(begin, batch)[1]["loss"])
    later = begin.replace(step=begin.step + 1)
    assert float(train(later, batch)[1]["loss"]) != first
    renumbered = {**batch, "index": batch["index"] + 100}
    assert float(train(begin, renumbered)[1]["loss"]) != first
    assert float(train(begin, batch)[1]["loss"]) == first


def test_what_does_not_count_changes_nothing(job):
    begin, train, evaluate = job
    batch = trainings.batch(0)
    masked = batch["weight"] == 0
    target = np.where(masked[..., None], 1 - batch["target"], batch["target"])
    changed = {**batch, "target": target}
    jax.tree.map(
        np.testing.assert_array_equal, train(begin, batch), train(begin, changed)
    )
    sums, other = (evaluate(begin.variables, b) for b in (batch, changed))
    jax.tree.map(np.testing.assert_array_equal, sums, other)
    assert int(sums["pixels"]) == batch["weight"].sum()
    assert int(sums["histogram"].sum()) == batch["weight"].sum()


def test_validation_counts_as_numpy_would(job):
    begin, _, evaluate = job
    batch = trainings.batch(3)
    model = models.build("unet", num_classes=1, widths=(4, 8))
    logits = model.apply(begin.variables, np.nan_to_num(batch["image"]))
    probability = np.asarray(jax.nn.sigmoid(logits))
    expected = metrics.histogram(probability, batch["target"], batch["weight"])
    found = np.asarray(evaluate(begin.variables, batch)["histogram"])
    # A probability on a bin's edge may fall to either side.
    assert np.abs(np.cumsum(found - expected, -1)).max() <= 2


def test_the_average_follows_the_parameters(job):
    begin, train, _ = job
    after, _ = train(begin, trainings.batch(0))
    decay = (1 + 0) / (10 + 0)  # in the first steps it is shorter than asked for
    expected = jax.tree.map(
        lambda old, new: decay * old + (1 - decay) * new, begin.params, after.params
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        after.ema,
        expected,
    )
    assert after.variables["params"] is after.ema
