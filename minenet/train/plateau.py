"""A lower rate where validation no longer gets better.

What is remembered lies in the optimiser's state, so a checkpoint holds it and the
training step stays a pure function: only `observe`, after a validation, changes it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from minenet.train.choices import require

MONITORS = ("loss", "iou")

Observe = Callable[..., Any]
"""`(opt_state, *, loss, iou) -> opt_state`."""


class PlateauState(NamedTuple):
    """What the validations so far have shown, scalars all.

    Attributes:
        scale: What updates are multiplied with.
        best: The best value; infinitely bad before the first.
        bad: Validations since then.
        rest: Validations that do not count, after the rate fell.
    """

    scale: jax.Array
    best: jax.Array
    bad: jax.Array
    rest: jax.Array


def scaling(*, monitor: str = "loss") -> optax.GradientTransformation:
    """Returns the transformation that multiplies updates with the state's scale."""
    worst = -jnp.inf if monitor == "iou" else jnp.inf

    def init(params: Any) -> PlateauState:
        return PlateauState(
            scale=jnp.ones((), jnp.float32),
            best=jnp.full((), worst, jnp.float32),
            bad=jnp.zeros((), jnp.int32),
            rest=jnp.zeros((), jnp.int32),
        )

    def update(updates: Any, state: PlateauState, params: Any = None) -> Any:
        return optax.tree.scale(state.scale, updates), state

    return optax.GradientTransformation(init, update)


def observer(
    peak: float,
    *,
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    absolute: bool = False,
    cooldown: int = 0,
    minimum: float = 0.0,
    monitor: str = "loss",
) -> Observe:
    """Returns `(opt_state, *, loss, iou) -> opt_state`, to be told each validation.

    The rule and the defaults of torch's ReduceLROnPlateau. Keras counts otherwise: its
    `patience=p` and `cooldown=c` are p - 1 and max(c - 1, 0) here, its `min_delta` an
    absolute threshold.

    Args:
        peak: The rate at a scale of 1.
        factor: Of the fall.
        patience: Validations without progress that are borne; the next one lowers.
        threshold: What progress is, as a share of the best value.
        absolute: Whether the threshold is in units of the value instead.
        cooldown: Validations after a fall that do not count.
        minimum: The rate does not fall below.
        monitor: `"loss"`, lower is better, or `"iou"`, higher is better.

    Raises:
        InputError: A value is out of its range.
    """
    key = "optimizer.schedule"
    require(0 < factor < 1, f"{key}.factor", factor, "above 0 and below 1")
    require(patience >= 0, f"{key}.patience", patience, "at least 0")
    require(threshold >= 0, f"{key}.threshold", threshold, "at least 0")
    require(cooldown >= 0, f"{key}.cooldown", cooldown, "at least 0")
    require(0 <= minimum <= peak, f"{key}.minimum", minimum, f"in 0..{peak}, the rate")
    require(monitor in MONITORS, f"{key}.monitor", monitor, "'loss' or 'iou'")
    sign = 1.0 if monitor == "iou" else -1.0

    def judge(state: PlateauState, value: jax.Array) -> PlateauState:
        share = 0.0 if absolute else sign * threshold
        bound = state.best * (1 + share) + (sign * threshold if absolute else 0.0)
        better = sign * value > sign * bound
        resting = state.rest > 0
        bad = jnp.where(better | resting, 0, state.bad + 1)
        fall = bad > patience
        lower = jnp.maximum(state.scale * factor, minimum / peak)
        return PlateauState(
            scale=jnp.where(fall, lower, state.scale),
            best=jnp.where(better, value, state.best),
            bad=jnp.where(fall, 0, bad),
            rest=jnp.where(fall, cooldown, jnp.maximum(state.rest - 1, 0)),
        )

    def observe(opt_state: Any, *, loss: float, iou: float) -> Any:
        value = jnp.asarray(iou if monitor == "iou" else loss, jnp.float32)
        change = functools.partial(judge, value=value)
        return jax.tree.map(
            lambda node: change(node) if _is_plateau(node) else node,
            opt_state,
            is_leaf=_is_plateau,
        )

    return observe


def scale(opt_state: Any) -> float:
    """Returns what an optimiser's state multiplies its rate with; 1 without plateau."""
    nodes = jax.tree.leaves(opt_state, is_leaf=_is_plateau)
    scales = [jax.device_get(node.scale) for node in nodes if _is_plateau(node)]
    return float(scales[0]) if scales else 1.0


def _is_plateau(node: Any) -> bool:
    return isinstance(node, PlateauState)
