"""Losses by the name that a configuration gives them."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax

from minenet.losses.entropy import binary_cross_entropy, cross_entropy
from minenet.losses.overlap import dice
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array, Task

Loss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""`(logits, target, weight) -> scalar`."""

_TERMS: dict[str, Callable[..., jax.Array]] = {
    "bce": binary_cross_entropy,
    "cross_entropy": cross_entropy,
    "dice": dice,
}
_SUMS = {
    "bce_dice": ("bce", "dice"),
    "cross_entropy_dice": ("cross_entropy", "dice"),
}
_TASKS: dict[str, tuple[Task, ...]] = {
    "bce": ("binary", "multilabel"),
    "cross_entropy": ("exclusive",),
    "dice": ("binary", "exclusive", "multilabel"),
}


def names() -> tuple[str, ...]:
    """Returns the names that `build` knows."""
    return (*_TERMS, *_SUMS)


def combine(*terms: tuple[float, Loss]) -> Loss:
    """Returns the sum of losses, each times its factor."""

    def total(logits: Array, target: Array, weight: Array) -> jax.Array:
        return sum(factor * loss(logits, target, weight) for factor, loss in terms)

    return total


def build(
    name: str, *, task: Task, factors: Sequence[float] | None = None, **options: Any
) -> Loss:
    """Returns the loss `(logits, target, weight) -> scalar` of that name.

    Args:
        name: One of `names()`; "a_b" is the sum of two.
        task: What K means; decides between sigmoid and softmax.
        factors: What the terms of a sum are multiplied with; None for 1 each.
        **options: Keyword-only arguments of the losses that `name` is made of.

    Raises:
        InputError: If there is no such name or option, or it does not fit the task.

    >>> loss = build("bce_dice", task="binary", positive_weight=2.0)
    """
    if name not in names():
        raise InputError(
            f"loss.name={name!r}: no such loss; the nearest is "
            f"{_nearest(name, names())!r} of {', '.join(names())}"
        )
    parts = _SUMS.get(name, (name,))
    factors = (1.0,) * len(parts) if factors is None else tuple(factors)
    if len(factors) != len(parts):
        raise InputError(
            f"loss.factors={factors}: {name} has {len(parts)} term(s); give one each"
        )
    known = {part: _options(_TERMS[part]) for part in parts}
    for option in options:
        if not any(option in own for own in known.values()):
            choice = ["factors", *(each for own in known.values() for each in own)]
            raise InputError(
                f"loss.{option}: {name} has no such option; the nearest is "
                f"loss.{_nearest(option, choice)}"
            )
    terms = []
    for factor, part in zip(factors, parts, strict=True):
        if task not in _TASKS[part]:
            fitting = [n for n in names() if task in _TASKS[_SUMS.get(n, (n,))[0]]]
            raise InputError(
                f"loss.name={name!r}: {part} does not fit data.task={task!r}; choose "
                f"{', '.join(fitting)}"
            )
        own = {key: value for key, value in options.items() if key in known[part]}
        if part == "dice":
            own["task"] = task
        terms.append((factor, functools.partial(_TERMS[part], **own)))
    return combine(*terms)


def _options(loss: Callable[..., jax.Array]) -> list[str]:
    parameters = inspect.signature(loss).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "task"]


def _nearest(word: str, choice: Sequence[str]) -> str:
    return difflib.get_close_matches(word, choice, n=1, cutoff=0.0)[0]
