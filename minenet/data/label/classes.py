"""Classes: how the values that users have become the ids that training counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import get_args

from minenet.types import IGNORE, InputError, Task


def names(task: Task, classes: Sequence[str]) -> tuple[str, ...]:
    """Returns the name of each id; 0 is the background, or no class at all.

    >>> names("multilabel", ["pit", "pond"])
    ('background', 'pit', 'pond')
    """
    return tuple(classes) if task == "exclusive" else ("background", *classes)


def count(task: Task, classes: Sequence[str]) -> int:
    """Returns how many ids there are, the background among them."""
    return len(names(task, classes))


def ids(wanted: Sequence[str], task: Task, classes: Sequence[str]) -> tuple[int, ...]:
    """Returns the ids of classes by their names.

    Raises:
        InputError: a name that is none of them.
    """
    known = names(task, classes)
    for name in wanted:
        if name not in known:
            raise InputError(
                f"priority: no class {name!r}; there are {', '.join(known)}"
            )
    return tuple(known.index(name) for name in wanted)


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
        channels: names of the classes where they may overlap, each a channel: id k is
            channel k - 1 then. Of a mask `ids` tells the values in any of its bands, 1
            being the class of the band.
    """

    ids: Mapping[object, int]
    attribute: str | None = None
    all_touched: bool = False
    ignore_empty: bool = False
    ignore_m: float = 0.0
    year_column: str | None = None
    until: bool = False
    channels: tuple[str, ...] = ()


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
        task: "binary"; "exclusive"; or "multilabel", whose classes may overlap.
        classes: names; the first exclusive one is the background.
        values: value of a mask, or of the polygons' attribute, → id, 255 for what does
            not count. Keys that look like numbers are numbers, because configurations
            and JSON make them strings. If None, masks hold ids (binary ones 1 or 255
            for a mine) and attributes the names of classes or ids. Ids of overlapping
            classes count from 1; but their masks have a band for each, in which a value
            is 0, 1 or 255: if None, 0 and any one other value, or 255.
        attribute: see `Rule`; overlapping classes are read from polygons if it is
            given, else from masks.
        all_touched: see `Rule`.
        empty: "negative" or "ignore", what a scene without any class means.
        ignore_m: see `Rule`.
        year_column: see `Rule`.
        until: see `Rule`.

    Raises:
        InputError: no such task, or not as many classes as it has; an id that is none;
            another `empty`; a width below 0.
    """
    if not ignore_m >= 0:
        raise InputError(f"ignore_m: {ignore_m}, expected a width of 0 metres or more")
    if empty not in ("negative", "ignore"):
        raise InputError(f"empty: {empty!r}, expected negative or ignore")
    overlap = task == "multilabel"
    return Rule(
        _ids(task, classes, values, bands=overlap and attribute is None),
        attribute,
        all_touched,
        ignore_empty=empty == "ignore",
        ignore_m=ignore_m,
        year_column=year_column,
        until=until,
        channels=tuple(classes) if overlap else (),
    )


def _ids(task, classes, values, *, bands: bool) -> dict[object, int]:
    if task not in get_args(Task):
        raise InputError(f"task: {task!r}, expected one of {', '.join(get_args(Task))}")
    for name in classes:
        if name.startswith(("(", "[")):
            raise InputError(
                f"classes: {name!r} would be one name with brackets; several are "
                "written \"('pit', 'pond')\", with both kinds of quotes"
            )
    if task == "binary" and len(classes) != 1:
        raise InputError(f"classes: a binary task has one, got {', '.join(classes)}")
    if task == "exclusive" and len(classes) < 2:
        raise InputError("classes: an exclusive task has a background and more classes")
    if task == "multilabel" and len(classes) < 2:
        raise InputError("classes: a multilabel task has several; one is a binary task")
    ids = 2 if bands else count(task, classes)
    if values is not None:
        return _checked(values, ids)
    if bands:
        return {0: 0, IGNORE: IGNORE}
    numbers = {0: 0, 1: 1, IGNORE: 1} if task == "binary" else {}
    named = {name: i for i, name in enumerate(names(task, classes))}
    return {i: i for i in (*range(ids), IGNORE)} | numbers | named


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
