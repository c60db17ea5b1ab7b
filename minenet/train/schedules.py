"""Learning rates as functions of the step: a linear warm-up, then a named course.

Steps are those of the optimiser: "every 10 epochs" of a publication is 10 times its
samples over its batch size. Courses begin where the warm-up ends, and agree with
torch.optim.lr_scheduler where it has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax

from minenet.train import choices
from minenet.train.choices import require

SECTION = "optimizer.schedule"


def build(
    name: str = "cosine",
    *,
    steps: int,
    learning_rate: float,
    warmup: float = 0.0,
    **options: Any,
) -> optax.Schedule:
    """Returns step → learning rate.

    Args:
        name: One of `COURSES`.
        steps: Of the whole training.
        learning_rate: At its highest.
        warmup: Share of the steps in which it rises linearly from 0, in 0..1. The rise
            of `one_cycle` is a cosine that starts above 0.
        **options: Those of the course.

    Raises:
        InputError: A name or option is not known, or a value out of its range.

    >>> rate = build("step", steps=100, learning_rate=1e-3, every=10, factor=0.8)
    >>> float(rate(9)), round(float(rate(10)), 7)
    (0.0010000000474974513, 0.0008)
    """
    choices.check(SECTION, name, COURSES, options)
    require(learning_rate > 0, "optimizer.learning_rate", learning_rate, "positive")
    require(0 <= warmup < 1, "optimizer.warmup", warmup, "a share in 0..1, below 1")
    require(steps >= 1, "train.steps", steps, "at least 1")
    if name == "one_cycle":
        return one_cycle(learning_rate, steps, warmup, **options)
    rising = round(warmup * steps)
    course = COURSES[name](learning_rate, max(steps - rising, 1), **options)
    if not rising:
        return course
    rise = optax.linear_schedule(0.0, learning_rate, rising)
    return optax.join_schedules([rise, course], [rising])


def constant(peak: float, steps: int) -> optax.Schedule:
    """Returns `peak` at every step."""
    return optax.constant_schedule(peak)


def step(peak: float, steps: int, *, every: int, factor: float) -> optax.Schedule:
    """Returns the rate that falls by `factor` after `every` steps: torch's StepLR."""
    return exponential(peak, steps, every=every, factor=factor, staircase=True)


def exponential(
    peak: float,
    steps: int,
    *,
    every: int = 1,
    factor: float,
    staircase: bool = False,
) -> optax.Schedule:
    """Returns `peak · factor^(step / every)`, the exponent whole for a `staircase`.

    torch's ExponentialLR with `every=1`, Keras's ExponentialDecay otherwise.
    """
    _falls(every, factor)

    def rate(step):
        # Whole numbers are divided as such: 29.999999 would be one stair late.
        exponent = step // every if staircase else step / every
        return peak * jnp.power(jnp.asarray(factor, float), exponent)

    return rate


def inverse_time(
    peak: float, steps: int, *, every: int = 1, factor: float
) -> optax.Schedule:
    """Returns `peak / (1 + factor · step / every)`: Keras 2's `decay` is `factor`."""
    require(every >= 1, f"{SECTION}.every", every, "at least 1 step")
    require(factor >= 0, f"{SECTION}.factor", factor, "at least 0")
    return lambda step: peak / (1 + factor * jnp.asarray(step, float) / every)


def cosine(peak: float, steps: int, *, final: float = 0.01) -> optax.Schedule:
    """Returns half a cosine from `peak` to `final` of it: torch's CosineAnnealingLR."""
    _shares(final=final)
    return optax.cosine_decay_schedule(peak, steps, alpha=final)


def poly(
    peak: float, steps: int, *, power: float = 0.9, final: float = 0.0
) -> optax.Schedule:
    """Returns `(1 - step / steps)^power` from `peak` to `final` of it.

    torch's PolynomialLR; the power is DeepLab's and nnU-Net's.
    """
    _shares(final=final)
    require(power > 0, f"{SECTION}.power", power, "positive")

    def rate(step):
        # optax's own is NaN at the end, where compiled code rounds below 0.
        left = jnp.maximum(1 - step / steps, 0.0)
        return peak * (final + (1 - final) * left**power)

    return rate


def one_cycle(
    peak: float,
    steps: int,
    warmup: float,
    *,
    initial: float = 0.04,
    final: float = 4e-6,
) -> optax.Schedule:
    """Returns a cosine up to `peak` and one down to nearly nothing.

    Smith, Topin, "Super-convergence", 2018, as torch's OneCycleLR with
    `pct_start=warmup` and `cycle_momentum=False`: the momentum does not move.

    Args:
        peak: The highest rate.
        steps: Of the whole training; the last is the lowest.
        warmup: Share of the steps in which the rate rises.
        initial: First rate as a share of the peak.
        final: Last rate as a share of the peak.
    """
    _shares(initial=initial, final=final)
    top, end = warmup * steps - 1, steps - 1

    def between(first, last, share):
        wave = (1 + jnp.cos(jnp.pi * jnp.clip(share, 0, 1))) / 2
        return peak * (last + (first - last) * wave)

    def rate(step):
        up = between(initial, 1.0, step / top if top > 0 else 1.0)
        down = between(1.0, final, (step - top) / max(end - top, 1))
        return jnp.where(step <= top, up, down)

    return rate


COURSES: dict[str, Callable[..., optax.Schedule]] = {
    "constant": constant,
    "step": step,
    "exponential": exponential,
    "inverse_time": inverse_time,
    "cosine": cosine,
    "poly": poly,
    "one_cycle": one_cycle,
}


def _falls(every: int, factor: float) -> None:
    require(every >= 1, f"{SECTION}.every", every, "at least 1 step")
    require(0 < factor <= 1, f"{SECTION}.factor", factor, "above 0, at most 1")


def _shares(**shares: float) -> None:
    for option, value in shares.items():
        require(0 <= value <= 1, f"{SECTION}.{option}", value, "a share in 0..1")
