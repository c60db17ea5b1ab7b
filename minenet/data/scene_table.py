"""What a table tells of scenes: their group, split and year."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from minenet.data import pairing
from minenet.data.formats import tables
from minenet.data.scenes import SYNONYMS, Paths, Scene, split_of
from minenet.types import InputError


def join(
    scenes: Sequence[Scene],
    table: Paths,
    *,
    key: str | None = None,
    group: str | None = None,
    split: str | None = None,
    year: str | None = None,
) -> list[Scene]:
    """Returns the scenes with group, split and year from a CSV of one row a scene.

    Args:
        scenes: to look up, by name or else by the last number of the name.
        table: CSV file.
        key: column that holds names or numbers; the first if None.
        group: column of groups, or None.
        split: column of splits, or None.
        year: column of years, or of dates that begin with one, or None.

    Raises:
        InputError: no such file or column; a scene without a row or with several; a
            split or a year that is none.
    """
    columns = [column for column in (key, group, split, year) if column]
    frame = tables.read(table, columns)
    rows: dict[str, list[int]] = {}
    for i, value in enumerate(frame[key or frame.columns[0]]):
        rows.setdefault(Path(value).stem, []).append(i)
    joined = []
    for scene in scenes:
        at = rows.get(scene.name) or rows.get(pairing.number(scene.name) or "") or []
        if len(at) != 1:
            raise InputError(
                f"{table}: {len(at)} rows for scene {scene.name!r} in column "
                f"{key or frame.columns[0]!r}, expected one; exclude the scene or "
                "mend the table"
            )
        row, found = frame.iloc[at[0]], {}
        if group:
            found["group"] = row[group].strip()
            if not found["group"]:
                raise InputError(
                    f"{table}: {group} of scene {scene.name!r} is empty; give it a "
                    "group, of its own if it belongs to none"
                )
        if split:
            found["split"] = split_of(row[split])
            if found["split"] is None:
                raise InputError(
                    f"{table}: {split} of scene {scene.name!r} is {row[split]!r}, "
                    f"expected one of {', '.join(SYNONYMS)}"
                )
        if year:
            found["year"] = _year_of(row[year], f"{table}: {year} of {scene.name!r}")
        joined.append(dataclasses.replace(scene, **found))
    return joined


def _year_of(text: str, what: str) -> int:
    if not re.match(r"\s*\d{4}(?!\d)", text):
        raise InputError(
            f"{what} is {text!r}, expected a year or a date such as 2019-06"
        )
    return int(text.strip()[:4])
