"""Each course is torch's where torch has it, and each begins with the warm-up."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minenet.train import optimizer, plateau, schedules
from minenet.types import InputError

STEPS, PEAK = 60, 2e-3
OPTIONS = {
    "constant": {},
    "step": {"every": 10, "factor": 0.8},
    "exponential": {"factor": 0.95},
    "inverse_time": {"factor": 0.1},
    "cosine": {"final": 0.1},
    "poly": {"power": 0.9},
    "one_cycle": {},
}


def values(name, *, warmup=0.0, **options):
    rate = schedules.build(
        name, steps=STEPS, learning_rate=PEAK, warmup=warmup, **options
    )
    return np.array(jax.jit(jax.vmap(rate))(jnp.arange(STEPS)))


def torchs(make):
    torch = pytest.importorskip("torch", reason="the oracle of schedules")
    stepper = torch.optim.SGD([torch.zeros(1)], lr=PEAK)
    scheduler = make(torch.optim.lr_scheduler)(stepper)
    found = [stepper.param_groups[0]["lr"]]
    for _ in range(STEPS - 1):
        stepper.step()
        scheduler.step()
        found.append(stepper.param_groups[0]["lr"])
    return np.array(found)


@pytest.mark.parametrize(
    ("name", "options", "make"),
    [
        ("step", {}, lambda s: lambda o: s.StepLR(o, 10, 0.8)),
        ("exponential", {}, lambda s: lambda o: s.ExponentialLR(o, 0.95)),
        (
            "cosine",
            {},
            lambda s: lambda o: s.CosineAnnealingLR(o, STEPS, eta_min=0.1 * PEAK),
        ),
        ("poly", {}, lambda s: lambda o: s.PolynomialLR(o, STEPS, power=0.9)),
        (
            "one_cycle",
            {"warmup": 0.3},
            lambda s: (
                lambda o: s.OneCycleLR(o, PEAK, total_steps=STEPS, cycle_momentum=False)
            ),
        ),
        (
            "constant",
            {"warmup": 0.5},
            lambda s: lambda o: s.LinearLR(o, 1e-12, total_iters=STEPS // 2),
        ),
    ],
)
def test_courses_are_those_of_torch(name, options, make):
    found = values(name, **OPTIONS[name] | options)
    np.testing.assert_allclose(found, torchs(make), rtol=2e-5, atol=PEAK * 1e-7)


def test_the_staircase_is_that_of_keras():
    rate = schedules.build(
        "exponential",
        steps=9000,
        learning_rate=1e-4,
        every=1000,
        factor=0.95,
        staircase=True,
    )
    for step in (0, 999, 1000, 4999, 5000, 8999):
        assert float(rate(step)) == pytest.approx(
            1e-4 * 0.95 ** (step // 1000), rel=1e-6
        )


def test_inverse_time_is_the_decay_of_keras_2():
    expected = PEAK / (1 + 1e-1 * np.arange(STEPS))
    np.testing.assert_allclose(values("inverse_time", factor=0.1), expected, rtol=1e-6)


@pytest.mark.parametrize("name", schedules.COURSES)
def test_each_rises_and_then_runs_its_course(name):
    found = values(name, warmup=0.25, **OPTIONS[name])
    assert found.argmax() in (14, 15) and found.max() == pytest.approx(PEAK)
    assert (np.diff(found[:15]) > 0).all() and (np.diff(found[15:]) <= 0).all()
    if name != "one_cycle":
        np.testing.assert_allclose(found[:16], PEAK * np.arange(16) / 15, rtol=1e-6)
        short = schedules.build(
            name, steps=STEPS - 15, learning_rate=PEAK, **OPTIONS[name]
        )
        np.testing.assert_allclose(
            found[15:], [float(short(step)) for step in range(STEPS - 15)], rtol=1e-5
        )


def test_the_default_falls_to_one_percent():
    rate = schedules.build(steps=100, learning_rate=2.0, warmup=0.1)
    found = np.array([rate(step) for step in range(101)])
    assert found[0] == 0 and found.argmax() == 10 and found[10] == 2
    assert (np.diff(found[10:]) < 0).all() and found[-1] == pytest.approx(0.02)


@pytest.mark.parametrize("name", schedules.COURSES)
def test_a_python_number_and_a_traced_step_give_the_same_rate(name):
    rate = schedules.build(name, steps=STEPS, learning_rate=PEAK, **OPTIONS[name])
    for step in (0, 7, STEPS - 1, STEPS + 100):
        traced = jax.jit(rate)(jnp.int32(step))
        assert np.isfinite(traced) and float(traced) >= 0
        np.testing.assert_allclose(rate(step), traced, rtol=1e-5, atol=1e-12)


LOSSES = [5, 4, 4, 4, 4.5, 3.9997, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]


def observed(series, **options):
    """The rates after each of a series of validations."""
    built = optimizer.build(
        steps=10,
        learning_rate=1.0,
        warmup=0.0,
        schedule={"name": "plateau", **options},
    )
    state = built.init({"kernel": jnp.ones((2, 2))})
    found, observe = [], jax.jit(built.observe)
    for value in series:
        state = observe(state, loss=value, iou=1 - value / 10)
        found.append(plateau.scale(state))
    return np.array(found)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"factor": 0.5, "patience": 2}, {}),
        ({"factor": 0.5, "patience": 2, "cooldown": 2}, {}),
        ({"factor": 0.1, "patience": 0, "minimum": 5e-3}, {"min_lr": 5e-3}),
        ({"factor": 0.5, "patience": 1, "threshold": 0.3}, {}),
        (
            {"factor": 0.5, "patience": 1, "threshold": 0.3, "absolute": True},
            {"threshold_mode": "abs"},
        ),
        ({"factor": 0.5, "patience": 1, "monitor": "iou"}, {"mode": "max"}),
        (
            {"factor": 0.5, "patience": 1, "monitor": "iou", "threshold": 0.2,
             "absolute": True},
            {"mode": "max", "threshold_mode": "abs"},
        ),
    ],
)  # fmt: skip
def test_the_plateau_is_that_of_torch(ours, theirs):
    torch = pytest.importorskip("torch", reason="the oracle of schedules")
    stepper = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    own = ("factor", "patience", "threshold", "cooldown")
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        stepper, **{k: ours[k] for k in own if k in ours}, **theirs
    )
    expected = []
    for value in LOSSES:
        scheduler.step(1 - value / 10 if "mode" in theirs else value)
        expected.append(stepper.param_groups[0]["lr"])
    assert len(set(expected)) > 1
    np.testing.assert_allclose(observed(LOSSES, **ours), expected, rtol=1e-6)


def keras_plateau(series, *, factor, patience, cooldown, min_delta):
    """Rates by Keras's ReduceLROnPlateau, from its definition."""
    rate, best, wait, rest = 1.0, np.inf, 0, 0
    for value in series:
        if rest:
            rest, wait = rest - 1, 0
        if value < best - min_delta:
            best, wait = value, 0
        elif not rest:
            wait += 1
            if wait >= patience:
                rate, wait, rest = rate * factor, 0, cooldown
        yield rate


@pytest.mark.parametrize("cooldown", [0, 1, 2, 3])
def test_the_plateau_of_keras_can_be_written_down(cooldown):
    series = [4 + v % 3 for v in LOSSES] + LOSSES
    expected = keras_plateau(
        series, factor=0.5, patience=3, cooldown=cooldown, min_delta=1e-4
    )
    found = observed(
        series,
        factor=0.5,
        patience=3 - 1,
        cooldown=max(cooldown - 1, 0),
        threshold=1e-4,
        absolute=True,
    )
    np.testing.assert_allclose(found, list(expected), rtol=1e-6)


def test_after_a_fall_steps_are_smaller_and_the_rest_is_as_before():
    built = optimizer.build(
        steps=10,
        learning_rate=0.1,
        warmup=0.0,
        schedule={"name": "plateau", "factor": 0.5, "patience": 0},
        freeze=("still",),
    )
    params = {"kernel": jnp.ones((2, 2)), "still": jnp.ones(2)}
    before = built.init(params)
    after = before
    for _ in range(2):
        after = built.observe(after, loss=1.0, iou=0.0)
    steps = [
        optax.apply_updates(params, built.update(params, state, params)[0])
        for state in (before, after)
    ]
    moved = [1 - np.asarray(each["kernel"]) for each in steps]
    np.testing.assert_allclose(moved[1], moved[0] / 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "linear"}, "name='linear': choose one of .* plateau"),
        ({"name": "cosine", "every": 3}, "every: cosine has no such option; .* final"),
        (
            {"name": "constant", "final": 0.1},
            "final: constant .* takes none",
        ),
        ({"name": "step", "factor": 0.5}, "every: step needs it"),
        ({"name": "step", "every": 0, "factor": 0.5}, "every=0: must be at least 1"),
        ({"name": "exponential", "factor": 2.0}, "factor=2.0: must be above 0"),
        ({"name": "inverse_time", "factor": -1.0}, "factor=-1.0: must be at least 0"),
        ({"final": 2.0}, "final=2.0: must be a share in 0..1"),
        ({"name": "poly", "power": 0.0}, "power=0.0: must be positive"),
        ({"name": "plateau", "patience": -1}, "patience=-1: must be at least 0"),
        ({"name": "plateau", "factor": 1.0}, "factor=1.0: must be above 0"),
        ({"name": "plateau", "cooldown": -1}, "cooldown=-1: must be at least 0"),
        ({"name": "plateau", "threshold": -1}, "threshold=-1: must be at least 0"),
        ({"name": "plateau", "minimum": 1.0}, "minimum=1.0: must be in 0..0.001"),
        ({"name": "plateau", "monitor": "f1"}, "monitor='f1': must be 'loss' or"),
    ],
)
def test_errors_name_the_key_and_the_choices(options, message):
    with pytest.raises(InputError, match=r"config.optimizer.schedule\." + message):
        optimizer.build(steps=10, schedule=options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, "config.optimizer.learning_rate=0.0: must be pos"),
        ({"warmup": 1.0}, "config.optimizer.warmup=1.0: must be a share"),
        ({"steps": 0}, "config.train.steps=0: must be at least 1"),
    ],
)
def test_errors_of_what_all_courses_take(options, message):
    with pytest.raises(InputError, match=message):
        optimizer.build(**{"steps": 10} | options)
