"""The launcher killed at any moment, on eight devices, and as two real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STEPS = 12


def start(workdir, *more, devices=1):
    """Starts a training of a few steps in a process of its own."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "launch.main",
            "--mode=train",
            "--config=configs/smoke.py",
            f"--workdir={workdir}",
            f"--config.train.steps={STEPS}",
            "--config.train.evaluate_every=2",
            "--config.model.bottom_dropout=0.3",
            *more,
        ],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors


def prepared(workdir):
    finish(start(workdir, "--mode=prepare"))
    return workdir


def weights(workdir):
    return (workdir / "model" / "weights.safetensors").read_bytes()


def losses(workdir):
    """Losses by step, the validation's among them."""
    entries = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [
        (entry["step"], name, entry[name])
        for entry in entries
        for name in ("train_loss", "validation_loss")
        if name in entry
    ]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    workdir = prepared(tmp_path_factory.mktemp("unbroken"))
    finish(start(workdir))
    return workdir


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["first step", "a save", "late"])
def test_a_killed_training_ends_with_the_same_bits(unbroken, tmp_path, moment):
    prepared(tmp_path)
    process = start(tmp_path)
    # A temporary folder of Orbax is a save under way.
    awaited = {"first step": "*", "a save": "*.orbax-checkpoint-tmp*", "late": "8"}
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        if any((tmp_path / "checkpoints").glob(awaited[moment])):
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    finish(start(tmp_path))
    assert weights(tmp_path) == weights(unbroken)
    assert losses(tmp_path) == losses(unbroken)


@pytest.mark.slow
def test_eight_devices_give_the_same_losses(unbroken, tmp_path):
    finish(start(prepared(tmp_path), devices=8))
    agree(losses(tmp_path), losses(unbroken))


@pytest.mark.slow
def test_two_processes_give_the_same_losses(unbroken, tmp_path):
    prepared(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    finish(
        *(
            start(
                tmp_path,
                "--distributed=manual",
                f"--coordinator_address=127.0.0.1:{port}",
                "--num_processes=2",
                f"--process_id={number}",
            )
            for number in range(2)
        )
    )
    agree(losses(tmp_path), losses(unbroken))


def agree(found, expected):
    assert [key[:2] for key in found] == [key[:2] for key in expected]
    assert len(expected) > STEPS // 2
    for (*_, value), (*_, wanted) in zip(found, expected, strict=True):
        assert value == pytest.approx(wanted, rel=1e-4)
