"""The loop: goes on where it stopped, compiles once, ends with a reason."""

import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from minenet import losses
from minenet.train import report, sharding
from minenet.types import InputError
from tests import trainings


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def bits(result):
    return jax.device_get(result.state)


def test_a_training_that_stopped_ends_as_if_it_had_not(tmp_path):
    whole = trainings.fit(tmp_path / "whole")
    assert whole.losses[-1] < whole.losses[0]
    stopped = []

    def interrupted(start):
        for step, batch in enumerate(
            map(trainings.batch, range(start, start + 99)), start=start
        ):
            if step == 5 and not stopped:
                stopped.append(step)
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        trainings.fit(tmp_path / "broken", train_batches=interrupted)
    resumed = trainings.fit(tmp_path / "broken", train_batches=interrupted)
    assert resumed.losses == whole.losses[4:]  # from the checkpoint of step 4
    same(bits(resumed), bits(whole))
    same(resumed.variables, whole.variables)
    entries = [report.read(tmp_path / n / "metrics.jsonl") for n in ("whole", "broken")]
    assert entries[0] == entries[1]


def test_a_finished_training_is_not_taken_up_again(tmp_path):
    first = trainings.fit(tmp_path)

    def none(start):
        raise AssertionError("no batch is needed")

    again = trainings.fit(tmp_path, train_batches=none)
    assert (again.step, again.losses) == (first.step, [])
    same(again.variables, first.variables)


def test_the_step_is_traced_once(tmp_path):
    traces = []
    loss = losses.build("bce", task="binary")

    def counted(*arguments):
        traces.append(1)
        return loss(*arguments)

    trainings.fit(tmp_path, loss=counted, steps=7)
    assert len(traces) == 2  # the training step, and the validation step


def test_it_stops_early_and_remembers_that_it_did(tmp_path):
    frozen = {"learning_rate": 1e-12}
    options = {"optimizer": frozen, "steps": 20, "patience": 2, "ema_decay": 0.0}
    result = trainings.fit(tmp_path, **options)
    assert result.last_step == 6  # best at 2, and 2 validations without progress
    assert trainings.fit(tmp_path, **options).last_step == 6


def test_the_best_step_is_kept_beside_the_newest(tmp_path):
    scores = iter([0.0, 1.0, 0.0])
    worst = {**trainings.batch(900)}

    def validation():
        batch = trainings.batch(900)
        if next(scores) == 0.0:  # labels that no model could know
            batch = {**worst, "target": np.roll(worst["target"], 8, axis=1)}
        return [batch]

    result = trainings.fit(tmp_path, validation=validation)
    assert result.step == 4 and result.last_step == 6
    kept = {p.name for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()}
    assert kept == {"4", "6"}


def test_a_loss_that_is_no_number_names_its_step(tmp_path):
    loss = losses.build("bce", task="binary")

    def poisoned(logits, target, weight):
        return loss(logits, target, weight) / (target.sum() - 8 * 36)

    with pytest.raises(InputError, match="loss is .* at step 1;.*learning_rate"):
        trainings.fit(tmp_path, loss=poisoned)
    assert not list((tmp_path / "checkpoints").glob("[0-9]*"))


def test_a_workdir_of_another_model_is_refused_and_kept(tmp_path):
    first = trainings.fit(tmp_path)
    with pytest.raises(InputError, match="not of this model") as refusal:
        trainings.fit(tmp_path, model={"widths": (4, 12)}, steps=8)
    assert "\n" not in str(refusal.value)
    same(trainings.fit(tmp_path).variables, first.variables)


def test_tensorboard_shows_what_the_file_holds(tmp_path):
    trainings.fit(tmp_path, steps=20, evaluate_every=10)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    for tag, name in (
        ("train/loss", "train_loss"),
        ("train/learning_rate", "train_learning_rate"),
        ("validation/iou", "validation_iou"),
    ):
        written = [(e["step"], e[name]) for e in entries if name in e]
        shown = [(e.step, e.value) for e in events.Scalars(tag)]
        assert len(written) == 2
        np.testing.assert_allclose(shown, written, rtol=1e-6)


FULL_DISK = """
import pathlib, resource, signal, sys
from tests import trainings
folder = pathlib.Path(sys.argv[1])
trainings.fit(folder, steps=2)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
try:
    trainings.fit(folder, steps=4)
except ValueError as error:
    print("TOLD", error)
"""


def test_a_full_disk_is_told_and_older_checkpoints_stay(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=200,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("TOLD")]
    assert len(told) == 1 and "cannot be written" in told[0], done.stderr[-2000:]
    assert trainings.fit(tmp_path, steps=2).step == 2


def test_a_checkpoint_that_cannot_fit_is_not_begun(tmp_path, monkeypatch):
    first = trainings.fit(tmp_path, steps=2)
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(InputError, match="needs up to .* MiB are free"):
            trainings.fit(tmp_path, steps=4)
    same(trainings.fit(tmp_path, steps=2).variables, first.variables)


def test_it_begins_where_it_is_told_to_also_cut_over_devices(tmp_path):
    still = {"learning_rate": 1e-30, "weight_decay": 0.0, "warmup": 0.0}
    first = trainings.fit(tmp_path / "first", steps=2)
    seen = []

    def begin(variables):
        seen.append(jax.tree.map(np.shape, variables))
        return first.variables

    options = {"optimizer": still, "steps": 2, "ema_decay": 0.5}
    options["mesh"] = sharding.mesh(fsdp=2, devices=jax.devices()[:2])
    found = trainings.fit(tmp_path / "cut", begin=begin, **options)
    same(found.variables, first.variables)
    assert seen == [jax.tree.map(np.shape, first.variables)]
    # What was begun goes on where it is, not where it should begin.
    trainings.fit(tmp_path / "cut", begin=begin, **options | {"steps": 4})
    assert len(seen) == 1
