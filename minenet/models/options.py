"""Checks of what a user may set: each error names the option and what it may be."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import Any

from minenet.types import InputError

DTYPES = ("float32", "bfloat16")


def check_known(what: str, word: str, known: Sequence[str]) -> None:
    """Raises InputError, naming the nearest, if `word` is not one of `known`."""
    if word not in known:
        near = difflib.get_close_matches(word, known, n=1, cutoff=0.0)[0]
        listed = ", ".join(known)
        raise InputError(f"{what}; the nearest is {near!r} of {listed}")


def check_choice(option: str, value: Any, choices: Sequence[Any]) -> None:
    """Raises InputError if `value` is not one of `choices`."""
    listed = ", ".join(map(str, choices))
    _check(option, value, value in choices, f"one of {listed}")


def check_count(option: str, value: Any, *, least: int = 0) -> None:
    """Raises InputError if `value` is not a whole number, `least` or more."""
    _check(option, value, _whole(value, least), f"a whole number, {least} or more")


def check_counts(option: str, value: Any, *, lengths: Collection[int]) -> None:
    """Raises InputError if `value` is not so many positive whole numbers."""
    fits = isinstance(value, list | tuple) and len(value) in lengths
    listed = f"{min(lengths)} to {max(lengths)}"
    if len(lengths) == 2:
        listed = " or ".join(map(str, lengths))
    _check(
        option,
        value,
        fits and all(_whole(number, 1) for number in value),
        f"a tuple of {listed} positive whole numbers",
    )


def check_heads(option: str, value: Any) -> None:
    """Raises InputError if `value` is not a tuple of `(name, channels)`."""
    fits = isinstance(value, tuple) and all(
        isinstance(head, tuple)
        and len(head) == 2
        and isinstance(head[0], str)
        and _whole(head[1], 1)
        for head in value
    )
    fits = fits and len({name for name, _ in value}) == len(value)
    expected = "a tuple of (name, channels), each name once"
    _check(option, value, fits, expected)


def check_probability(option: str, value: Any) -> None:
    """Raises InputError if `value` is not a number from 0 to below 1."""
    fits = isinstance(value, int | float) and 0 <= value < 1
    _check(option, value, fits, "a number from 0 to below 1")


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _check(option: str, value: Any, fits: bool, expected: str) -> None:
    if not fits:
        raise InputError(f"model.{option}={value!r}: expected {expected}")
