"""Classes: how the values that users have become the ids that training counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from minenet.types import IGNORE, InputError, Task


def count(task: Task, classes: Sequence[str]) -> int:
    """Returns how many ids there are: background and mine, or all exclusive classes."""
    return 2 if task == "binary" else len(classes)


def ids(names: Sequence[str], task: Task, classes: Sequence[str]) -> tuple[int, ...]:
    """Returns the ids of classes.

    Raises:
        InputError: a name that is none of them.
    """
    known = ("background", *classes) if task == "binary" else tuple(classes)
    for name in names:
        if name not in known:
            raise InputError(
                f"priority: no class {name!r}; there are {', '.join(known)}"
            )
    return tuple(known.index(name) for name in names)


@dataclasses.dataclass(frozen=True)
class Rule:
    """How values become class ids.

    Attributes:
        ids: value of a mask, or of the polygons' attribute, → id.
        attribute: column of the polygons, None where every polygon is a mine.
        all_touched: whether every pixel that a polygon touches belongs to it.
        ignore_empty: whether a scene without any class was looked at by nobody.
        ignore_m: distance in metres from an outline within which nothing counts.
        year_column: column of the polygons' years, None where they hold for all.
        until: whether a mine is there from its year on, not in that year alone.
        channels: 0, or the number of classes where they may overlap: ids are channels
            then, and there is no background.
    """

    ids: Mapping[object, int]
    attribute: str | None = None
    all_touched: bool = False
    ignore_empty: bool = False
    ignore_m: float = 0.0
    year_column: str | None = None
    until: bool = False
    channels: int = 0


def rule(
    task: Task,
    classes: Sequence[str],
    values: Mapping[object, int] | None = None,
    *,
    attribute: str | None = None,
    all_touched: bool = False,
    empty: str = "negative",
    ignore_m: float = 0.0,
    year_column: str | None = None,
    until: bool = False,
) -> Rule:
    """Returns the rule that the configuration asks for, checked.

    Args:
        task: "binary" or "exclusive".
        classes: names; the first exclusive one is the background.
        values: value of a mask, or of the polygons' attribute, → id, 255 for what does
            not count. Keys that look like numbers are numbers, because configurations
            and JSON make them strings. If None, masks hold ids (binary ones 1 or 255
            for a mine) and attributes the names of classes.
        attribute: see `Rule`.
        all_touched: see `Rule`.
        empty: "negative" or "ignore", what a scene without any class means.
        ignore_m: see `Rule`.
        year_column: see `Rule`.
        until: see `Rule`.

    Raises:
        InputError: a task without labels here; an id that is none; another `empty`; a
            width below 0.
    """
    if not ignore_m >= 0:
        raise InputError(f"ignore_m: {ignore_m}, expected a width of 0 metres or more")
    if empty not in ("negative", "ignore"):
        raise InputError(f"empty: {empty!r}, expected negative or ignore")
    ids = _ids(task, classes, values)
    return Rule(
        ids,
        attribute,
        all_touched,
        ignore_empty=empty == "ignore",
        ignore_m=ignore_m,
        year_column=year_column,
        until=until,
    )


def overlapping(
    classes: Sequence[str],
    values: Mapping[object, int] | None = None,
    **options,
) -> Rule:
    """Returns the rule for classes that may overlap, each a channel of its own.

    Args:
        classes: names of the channels.
        values: value of the attribute → channel from 0, or 255 for what does not count;
            the names of classes if None.
        **options: further fields of `Rule`.

    Raises:
        InputError: a channel that is none.
    """
    named = {name: i for i, name in enumerate(classes)}
    ids = named if values is None else _checked(values, len(classes))
    return Rule(ids, channels=len(classes), **options)


def _ids(task, classes, values) -> dict[object, int]:
    if task not in ("binary", "exclusive"):
        raise InputError(f"task: {task!r} cannot be prepared; binary or exclusive can")
    if task == "exclusive" and len(classes) < 2:
        raise InputError("classes: an exclusive task has a background and more classes")
    if task == "binary" and len(classes) != 1:
        raise InputError(f"classes: a binary task has one, got {', '.join(classes)}")
    ids = count(task, classes)
    if values is None:
        names = ("background", *classes) if task == "binary" else tuple(classes)
        numbers = {0: 0, 1: 1, IGNORE: 1} if task == "binary" else {}
        named = {name: i for i, name in enumerate(names)}
        return {i: i for i in (*range(ids), IGNORE)} | numbers | named
    return _checked(values, ids)


def _checked(values: Mapping[object, int], ids: int) -> dict[object, int]:
    checked = {}
    for value, to in values.items():
        if to not in (*range(ids), IGNORE):
            raise InputError(
                f"values: {value!r} → {to!r}, expected an id from 0 to {ids - 1}, or "
                f"{IGNORE} for what does not count"
            )
        checked[_number(value)] = to
    return checked


def _number(value: object) -> object:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value
    return int(number) if number.is_integer() else number
