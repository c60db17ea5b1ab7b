"""The optimiser: clip, decay, a rule, the learning rate, and who it applies to."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import optax

from minenet.train import choices, paths, plateau, rules, schedules
from minenet.train.choices import require

SCHEDULES = {**schedules.COURSES, "plateau": plateau.observer}


class Optimizer(NamedTuple):
    """A `optax.GradientTransformation`, and what a training loop asks of it.

    Attributes:
        init: `params -> opt_state`.
        update: `(gradient, opt_state, params) -> (updates, opt_state)`.
        rate: Step → learning rate, before `plateau.scale`.
        observe: `(opt_state, *, loss, iou) -> opt_state` to be called after each
            validation; None where the rate does not depend on it.
        freeze: Patterns of the parameters that stay as they are.
    """

    init: optax.TransformInitFn
    update: optax.TransformUpdateFn
    rate: optax.Schedule
    observe: plateau.Observe | None
    freeze: tuple[str, ...]


def build(
    *,
    steps: int,
    name: str = "adamw",
    learning_rate: float = 1e-3,
    warmup: float = 0.05,
    schedule: Mapping[str, Any] | None = None,
    weight_decay: float | None = None,
    decay_all: bool = False,
    clip: float = 1.0,
    rates: Sequence[tuple[str, float]] = (),
    freeze: Sequence[str] = (),
    **options: Any,
) -> Optimizer:
    """Returns the optimiser.

    In order: the gradient is clipped, decay is added to it in the L2 sense of torch
    (`adamw` alone adds it after the rule: decoupled), then come the rule and the rate.

    Args:
        steps: Of the whole training.
        name: One of `rules.RULES`.
        learning_rate: At its highest.
        warmup: Share of the steps in which it rises.
        schedule: `name`, one of `SCHEDULES`, and its options; cosine if None.
        weight_decay: Of kernels; None for 0.05 with `adamw` and 0 otherwise.
        decay_all: Whether biases and the parameters of norms decay too, as in torch.
        clip: Largest global norm of a gradient; 0 to leave it.
        rates: `(pattern, factor)` pairs: parameters that the pattern means (see
            `paths`) learn at `factor` times the rate; the first that fits counts.
        freeze: Patterns of parameters that stay as they are: they do not decay, nor
            count in the norm. Statistics of BatchNorm are no parameters, and move on.
        **options: Of the rule.

    Raises:
        InputError: A name or option is not known, or a value out of its range; from
            `init`, a pattern that means no parameter.

    >>> adam = build(steps=9, name="adam", learning_rate=1e-4, warmup=0.0, clip=0.0,
    ...              schedule={"name": "exponential", "every": 3, "factor": 0.5})
    """
    section = dict(schedule or {})
    course = section.pop("name", "cosine")
    choices.check(schedules.SECTION, course, SCHEDULES, section)
    observe = None
    if course == "plateau":
        observe = plateau.observer(learning_rate, **section)
    rate = schedules.build(
        "constant" if observe else course,
        steps=steps,
        learning_rate=learning_rate,
        warmup=warmup,
        **{} if observe else section,
    )
    if weight_decay is None:
        weight_decay = 0.05 if name == "adamw" else 0.0
    require(weight_decay >= 0, "optimizer.weight_decay", weight_decay, "at least 0")
    pairs = all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in rates)
    require(pairs, "optimizer.rates", rates, "pairs such as (('encoder', 0.1),)")
    require(clip >= 0, "optimizer.clip", clip, "positive, or 0 for none")
    decay = optax.add_decayed_weights(weight_decay, None if decay_all else _kernels)
    rule = rules.build(name, **options)
    parts = [
        optax.clip_by_global_norm(clip) if clip else optax.identity(),
        optax.chain(
            *((rule, decay) if name == "adamw" else (decay, rule)),
            optax.scale_by_learning_rate(rate),
        ),
    ]
    if observe:
        parts.append(plateau.scaling(monitor=section.get("monitor", "loss")))
    if rates:
        parts.append(_by_path(rates))
    whole = optax.chain(*parts)
    if freeze:
        whole = _but(whole, freeze)
    return Optimizer(
        init=functools.partial(_init, whole, rates, freeze),
        update=whole.update,
        rate=rate,
        observe=observe,
        freeze=tuple(freeze),
    )


def _init(
    whole: optax.GradientTransformation,
    rates: Sequence[tuple[str, float]],
    freeze: Sequence[str],
    params: Any,
) -> Any:
    paths.check("optimizer.rates", params, [pattern for pattern, _ in rates])
    paths.check("optimizer.freeze", params, freeze)
    return whole.init(params)


def _kernels(params: Any) -> Any:
    """Returns the tree of whether a parameter is a kernel, not of a norm or a bias."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _by_path(rates: Sequence[tuple[str, float]]) -> optax.GradientTransformation:
    for pattern, factor in rates:
        require(factor >= 0, f"optimizer.rates {pattern!r}", factor, "at least 0")

    def factor(path: str) -> float:
        return next((f for p, f in rates if paths.matches(path, p)), 1.0)

    return optax.stateless(
        lambda updates, params: jax.tree.map(
            lambda update, path: factor(path) * update, updates, paths.of(updates)
        )
    )


def _but(
    whole: optax.GradientTransformation, freeze: Sequence[str]
) -> optax.GradientTransformation:
    """Returns `whole` without the frozen parameters, which it keeps no state of."""
    return optax.partition(
        {"frozen": optax.set_to_zero(), "trained": whole},
        lambda params: jax.tree.map(
            lambda frozen: "frozen" if frozen else "trained",
            paths.among(params, freeze),
        ),
    )
