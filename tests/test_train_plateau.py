"""A training whose rate follows validation goes on exactly where it stopped."""

import functools

import jax
import numpy as np
import pytest
from flax import linen as nn

from minenet.train import plateau, report
from tests import trainings


class Net(nn.Module):
    @nn.compact
    def __call__(self, image, *, train=False):
        BATCHES.append(len(image))
        return nn.Dense(1)(nn.relu(nn.Dense(4, name="encoder")(image)))


BATCHES = []
OPTIMIZER = {
    "name": "rmsprop",
    "learning_rate": 1e-3,
    "warmup": 0.0,
    # Nothing is progress enough: the rate falls after each validation but the first.
    "schedule": {"name": "plateau", "factor": 0.5, "patience": 0, "threshold": 0.9},
    "freeze": ("encoder",),
}


@pytest.fixture
def fit(monkeypatch):
    monkeypatch.setattr(trainings.models, "build", lambda name, **options: Net())
    return functools.partial(trainings.fit, optimizer=OPTIMIZER, accumulate=2)


def test_a_training_that_stopped_ends_as_if_it_had_not(tmp_path, fit):
    whole = fit(tmp_path / "whole")
    assert plateau.scale(whole.state.opt_state) == 0.25  # after 2, 4 and 6 steps
    assert trainings.BATCH // 2 in BATCHES  # it was in two parts

    def interrupted(start):
        yield from map(trainings.batch, range(start, 5))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "broken", train_batches=interrupted)
    resumed = fit(tmp_path / "broken")
    assert resumed.losses == whole.losses[4:]
    states = (jax.device_get(each.state) for each in (resumed, whole))
    jax.tree.map(np.testing.assert_array_equal, *states)


def test_the_report_shows_the_lower_rate(tmp_path, fit):
    fit(tmp_path, steps=20, evaluate_every=5)
    rates = [e["train_learning_rate"] for e in report.read(tmp_path / "metrics.jsonl")
             if "train_learning_rate" in e]  # fmt: skip
    # Step 10 comes before its validation, the first that lowers; step 15 follows.
    assert rates == pytest.approx([1e-3, 1e-3 / 4])
