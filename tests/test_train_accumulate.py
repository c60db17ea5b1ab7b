"""A batch in parts trains as the whole batch does, and takes less memory."""

import functools

import jax
import numpy as np
import pytest
from flax import linen as nn

from minenet import losses
from minenet.ops import normalize
from minenet.train import optimizer, sharding, step
from minenet.train import state as state_
from minenet.types import InputError
from tests import trainings


class Net(nn.Module):
    """As small as shows the law: an encoder, a norm, dropout and a head."""

    norm: bool = False
    dropout: float = 0.0

    @nn.compact
    def __call__(self, image, *, train=False):
        x = nn.relu(nn.Dense(32, name="encoder")(image))
        if self.norm:
            x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(1, name="head")(nn.gelu(nn.Dense(32)(x)))


PLAIN = {"name": "sgd", "clip": 0.0, "warmup": 0.0, "learning_rate": 1.0}


@functools.cache
def job(parts, *, loss="bce_dice", freeze=(), **options):
    model = Net(**options)
    built = optimizer.build(steps=10, freeze=freeze, **PLAIN)
    shape = (trainings.CHIP, trainings.CHIP, trainings.BANDS)
    create = functools.partial(
        state_.create, model, built, shape=shape, seed=0, ema=False
    )
    train = functools.partial(
        step.train_step,
        apply=model.apply,
        loss=losses.build(loss, task="binary"),
        normalizer=normalize.zscore([0.0] * 2, [1.0] * 2),
        optimizer=built,
        augment=None,
        seed=0,
        ema_decay=0.0,
        accumulate=parts,
        freeze=freeze,
    )
    return jax.jit(create)(), jax.jit(train)


def unequal(size=trainings.BATCH):
    """A batch in whose samples unequal numbers of pixels count, down to none."""
    batch = trainings.batch(0, size=size)
    rows = np.linspace(0, trainings.CHIP, size).astype(int)
    weight = np.arange(trainings.CHIP)[None, :, None] < rows[:, None, None]
    return {**batch, "weight": batch["weight"] * weight.astype(np.float32)}


def near(one, other, tolerance=2e-6):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=tolerance),
        one,
        other,
    )


@pytest.mark.parametrize("loss", ["bce", "bce_dice"])
def test_parts_are_the_whole_for_any_loss_and_weight(loss):
    begin, whole = job(1, loss=loss)
    expected, measured = whole(begin, unequal())
    for parts in (2, 8):
        found, also = job(parts, loss=loss)[1](begin, unequal())
        near(found.params, expected.params)
        near(also, measured)


def test_equal_means_of_parts_would_not_be():
    # What micro-steps that are averaged give: the law above is not for free.
    begin, whole = job(1, loss="bce_dice")
    batch = unequal()
    halves = [{k: v[i::2] for k, v in batch.items()} for i in (0, 1)]
    expected, _ = whole(begin, batch)
    ends = [whole(begin, half)[0].params for half in halves]
    mean = jax.tree.map(lambda a, b: (a + b) / 2, *ends)
    with pytest.raises(AssertionError):
        near(mean, expected.params, 1e-4)


def test_statistics_move_on_with_each_part():
    begin, train = job(2, norm=True)
    after, _ = train(begin, unequal())
    _, whole = job(1, norm=True)
    halves = [{k: v[i::2] for k, v in unequal().items()} for i in (0, 1)]
    # The statistics of the first layer depend on no parameter that moved in between.
    middle, _ = whole(begin, halves[0])
    last, _ = whole(begin.replace(batch_stats=middle.batch_stats), halves[1])
    near(after.batch_stats, last.batch_stats)


def test_parts_drop_different_units():
    begin, train = job(2, dropout=0.5)
    batch = {k: np.repeat(v[:4], 2, axis=0) for k, v in unequal().items()}
    _, twice = train(begin, batch)
    half = {k: v[::2] for k, v in batch.items()}
    _, once = job(1, dropout=0.5)[1](begin, half)
    assert abs(float(twice["loss"]) - float(once["loss"])) > 1e-4


def test_parts_take_less_memory():
    sizes = []
    for parts in (1, 8):
        begin, train = job(parts)
        compiled = train.lower(begin, trainings.batch(0, size=32)).compile()
        sizes.append(compiled.memory_analysis().temp_size_in_bytes)
    assert sizes[1] < sizes[0] / 3


def test_devices_cut_their_own_samples():
    mesh = sharding.mesh(devices=jax.devices()[:4])
    begin, train = job(2)
    expected, _ = train(begin, unequal())
    held = jax.device_put(begin, sharding.replicated(mesh))
    batch = sharding.to_global(unequal(), mesh)
    near(train(held, batch)[0].params, expected.params)
    moved = train.lower(held, batch).compile().as_text()
    assert "all-to-all" not in moved and "all-gather" not in moved


def test_what_is_frozen_gets_no_gradient():
    begin, train = job(1)
    _, every = train(begin, unequal())
    begin, train = job(1, freeze=("encoder",))
    after, measured = train(begin, unequal())
    jax.tree.map(
        np.testing.assert_array_equal, after.params["encoder"], begin.params["encoder"]
    )
    assert (after.params["head"]["kernel"] != begin.params["head"]["kernel"]).all()
    assert 0 < float(measured["gradient_norm"]) < float(every["gradient_norm"])


@pytest.mark.parametrize("parts", [0, 3, 16])
def test_parts_that_devices_cannot_share_are_refused(parts, tmp_path):
    with pytest.raises(InputError, match=f"optimizer.accumulate={parts}: must divide"):
        trainings.fit(tmp_path, accumulate=parts)
