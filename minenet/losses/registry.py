"""Losses by the name that a configuration gives them."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax

from minenet.losses import distance, entropy, overlap, robust, sums, tversky
from minenet.losses.lovasz import lovasz
from minenet.losses.skeleton import cldice
from minenet.losses.sums import Loss, combine
from minenet.losses.unified import unified_focal
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.losses.masking import Activation
    from minenet.types import Array, Task


def _boundary(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    activation: Activation,
) -> jax.Array:
    """Returns `boundary` with the signed distances of a target of classes."""
    target = distance.signed_distance(target, weight)
    return distance.boundary(logits, target, weight, activation=activation)


_TERMS: dict[str, Callable[..., jax.Array]] = {
    "bce": entropy.bce,
    "bce_dice": sums.bce_dice,
    "bootstrapped": robust.bootstrapped,
    "boundary": _boundary,
    "cldice": cldice,
    "cross_entropy": entropy.cross_entropy,
    "dice": overlap.dice,
    "focal": entropy.focal,
    "focal_tversky": tversky.focal_tversky,
    "generalised_cross_entropy": robust.generalised_cross_entropy,
    "generalised_dice": overlap.generalised_dice,
    "hausdorff_dt": distance.hausdorff_dt,
    "jaccard": overlap.jaccard,
    "jaccard_distance": overlap.jaccard_distance,
    "log_cosh_dice": overlap.log_cosh_dice,
    "log_jaccard_bce": sums.log_jaccard_bce,
    "lovasz": lovasz,
    "mcc": overlap.mcc,
    "tversky": tversky.tversky,
    "tversky_dice_hybrid": tversky.tversky_dice_hybrid,
    "unified_focal": unified_focal,
}
_SUMS = {"cross_entropy_dice": "cross_entropy+dice"}
# Those that take no activation have one.
_TASKS: dict[str, tuple[Task, ...]] = {
    "bce": ("binary", "multilabel"),
    "bce_dice": ("binary", "multilabel"),
    "log_jaccard_bce": ("binary", "multilabel"),
    "cross_entropy": ("exclusive",),
}
_FIXED = ("activation", "reduction")
"""What the task and the training decide."""


def names() -> tuple[str, ...]:
    """Returns the names that `build` knows, beside sums of them."""
    return (*_TERMS, *_SUMS)


def defaults(name: str) -> dict[str, Any]:
    """Returns the options of the loss `name`, with their defaults.

    Raises:
        InputError: If there is no such loss.

    >>> defaults("bce+focal")
    {'factors': (1.0, 1.0), 'positive_weight': 1.0, 'alpha': 0.25, 'gamma': 2.0}
    """
    parts = _parts(name)
    found = {"factors": (1.0,) * len(parts)} if len(parts) > 1 else {}
    for part in parts:
        parameters = inspect.signature(_TERMS[part]).parameters
        found |= {
            option: parameters[option].default for option in _options(_TERMS[part])
        }
    return found


def build(
    name: str, *, task: Task, factors: Sequence[float] | None = None, **options: Any
) -> Loss:
    """Returns the loss `(logits, target, weight=None) -> scalar` of that name.

    Its target is that of the task, also for "boundary", which measures it.

    Args:
        name: One of `names()`, or a sum of them such as "dice+boundary".
        task: What K means; decides between sigmoid and softmax.
        factors: What the terms of a sum are multiplied with; None for 1 each.
        **options: Keyword-only arguments of the losses that `name` is made of.

    Raises:
        InputError: If there is no such name or option, or it does not fit the task.

    >>> loss = build("bce_dice", task="binary", positive_weight=2.0)
    """
    if task not in ("binary", "exclusive", "multilabel"):
        raise ValueError(f"task={task!r}: must be binary, exclusive or multilabel")
    parts = _parts(name)
    if len(parts) == 1:
        options |= {} if factors is None else {"factors": tuple(factors)}
        factors = (1.0,)
    elif factors is None:
        factors = (1.0,) * len(parts)
    elif len(factors) != len(parts):
        raise InputError(
            f"loss.factors={tuple(factors)}: {name} has {len(parts)} terms; give one "
            "each"
        )
    known = {part: _options(_TERMS[part]) for part in parts}
    for option in options:
        if not any(option in own for own in known.values()):
            choice = ["factors"] * (len(parts) > 1)
            choice += [each for own in known.values() for each in own]
            near = f"loss.{_nearest(option, choice)}" if choice else "none"
            raise InputError(
                f"loss.{option}: {name} has no such option; the nearest is {near}"
            )
    terms = []
    for factor, part in zip(factors, parts, strict=True):
        if task not in _TASKS.get(part, (task,)):
            fitting = [n for n in names() if task in _TASKS.get(_first(n), (task,))]
            raise InputError(
                f"loss.name={name!r}: {part} does not fit data.task={task!r}; choose "
                f"{', '.join(fitting)}"
            )
        own = {key: value for key, value in options.items() if key in known[part]}
        if "activation" in inspect.signature(_TERMS[part]).parameters:
            own["activation"] = "softmax" if task == "exclusive" else "sigmoid"
        terms.append((factor, functools.partial(_TERMS[part], **own)))
    return combine(*terms) if len(terms) > 1 else terms[0][1]


def _parts(name: str) -> list[str]:
    parts = _SUMS.get(name, name).split("+")
    for part in parts:
        if part not in _TERMS:
            raise InputError(
                f"loss.name={name!r}: no such loss; the nearest is "
                f"{_nearest(part, names())!r} of {', '.join(names())}"
            )
    return parts


def _first(name: str) -> str:
    return _SUMS.get(name, name).split("+")[0]


def _options(loss: Callable[..., jax.Array]) -> list[str]:
    parameters = inspect.signature(loss).parameters.values()
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    return [name for name in keywords if name not in _FIXED]


def _nearest(word: str, choice: Sequence[str]) -> str:
    return difflib.get_close_matches(word, choice, n=1, cutoff=0.0)[0]
