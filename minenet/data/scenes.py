"""Scenes: what the user named, found on disk and put together.

There are three ways to say what is labelled: images with mask rasters, several image
folders that stack as bands (with masks), and images with a file of polygons. In each, a
scene is the images of one place on one grid, with a name, a group and perhaps a split.
"""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from minenet.data import pairing
from minenet.types import InputError

SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".img", ".vrt", ".bil"}
"""Files that count as rasters in a folder; a glob or a path may name any other."""

SYNONYMS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}

Paths = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class Scene:
    """One place on one grid.

    Attributes:
        name: unique in its collection.
        images: rasters whose bands stack, all on one grid.
        label: raster of what is known: the user's mask, and once prepared the class ids
            on the scene's own grid.
        group: scenes of one group never part in a split; its name if nothing says so.
        split: as the folder or the table says, or None.
        height: in pixels.
        width: in pixels.
        gsd_m: side of a pixel on the ground, None without a CRS.
        empty: whether its label holds no class but the background.
        ignored: whether nobody outlined it, so that nothing is learnt from it.
    """

    name: str
    images: tuple[str, ...]
    label: str | None
    group: str
    split: str | None = None
    height: int = 0
    width: int = 0
    gsd_m: float | None = None
    empty: bool = False
    ignored: bool = False

    @classmethod
    def from_json(cls, value: dict) -> Scene:
        """Returns the scene that `dataclasses.asdict` made `value` from."""
        return cls(**{**value, "images": tuple(value["images"])})


def find(paths: Paths, *, key: str) -> list[str]:
    """Returns the rasters that a folder, a glob or a file stands for, sorted.

    Raises:
        InputError: there are none; the message names the configuration's `key`.
    """
    name = os.fspath(paths)
    if "://" in name or name.startswith("/vsi"):
        return [name]
    name = os.path.abspath(os.path.expanduser(name))
    if os.path.isfile(name):
        return [name]
    matches = sorted(glob.glob(name, recursive=True))
    if not matches:
        raise InputError(f"{key}: {name} matches no file or folder; check the path")
    found = []
    for match in matches:
        if os.path.isdir(match):
            found += sorted(map(str, filter(_is_raster, Path(match).iterdir())))
        elif not os.path.basename(match).startswith("."):
            found.append(match)
    if not found:
        inner = sorted(p.name for m in matches for p in Path(m).iterdir() if p.is_dir())
        hint = f"; it has the folders {', '.join(inner[:5])}" if inner else ""
        raise InputError(
            f"{key}: no rasters in {name}{hint}; give a folder or a glob of GeoTIFFs"
        )
    return found


def stacks(images: Paths | Sequence[Paths]) -> list[list[str]]:
    """Returns the rasters of each folder, glob or file named; several stack as bands.

    Raises:
        InputError: one of them names no raster.
    """
    named = [images] if isinstance(images, str | os.PathLike) else list(images)
    if not named:
        raise InputError("images: empty; name a folder, a glob or a file of rasters")
    return [find(each, key="images") for each in named]


def discover(
    images: Sequence[Sequence[str]],
    *,
    masks: Sequence[str] | None = None,
    exclude: Iterable[str] = (),
) -> list[Scene]:
    """Returns the scenes that files form, in the order of the first stack.

    Args:
        images: the rasters of each stack.
        masks: rasters of class values, or None where polygons say what is labelled.
        exclude: names, stems or numbers of files to leave out; `"23"` is every file
            whose last number is 23.

    Raises:
        InputError: a file without partner; nothing left.
    """
    excluded = {str(name) for name in exclude}
    partners = [*images] if masks is None else [*images, masks]
    first = pairing.names(images[0])
    columns = [_pair(first, images[0], files, excluded) for files in partners]
    scenes = []
    for i, name in enumerate(first):
        files = [column[i] for column in columns]
        if not any(_is_excluded(file, excluded) for file in [name, *files] if file):
            label = None if masks is None else files.pop()
            scenes.append(Scene(name, tuple(files), label, name, _folder_split(files)))
    if not scenes:
        raise InputError(f"exclude: nothing left of {len(first)} scenes; exclude fewer")
    return scenes


def join_table(
    scenes: Sequence[Scene],
    table: Paths,
    *,
    key: str | None = None,
    group: str | None = None,
    split: str | None = None,
) -> list[Scene]:
    """Returns the scenes with group and split from a CSV of one row a scene.

    Args:
        scenes: to look up, by name or else by the last number of the name.
        table: CSV file.
        key: column that holds names or numbers; the first if None.
        group: column of groups, or None.
        split: column of splits, or None.

    Raises:
        InputError: no such file or column; a scene without a row or with several; a
            split that is none.
    """
    frame = _read_table(table, [column for column in (key, group, split) if column])
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
            found["group"] = row[group]
        if split:
            found["split"] = _split_of(row[split])
            if found["split"] is None:
                raise InputError(
                    f"{table}: {split} of scene {scene.name!r} is {row[split]!r}, "
                    f"expected one of {', '.join(SYNONYMS)}"
                )
        joined.append(dataclasses.replace(scene, **found))
    return joined


def _is_raster(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _is_excluded(file: str, excluded: set[str]) -> bool:
    stem = Path(file).stem
    return bool({file, stem, pairing.number(stem)} & excluded)


def _pair(
    first: Sequence[str],
    anchors: Sequence[str],
    files: Sequence[str],
    excluded: set[str],
) -> list[str | None]:
    """The partner of each name among files, None for those that are excluded."""
    if files is anchors:
        return list(anchors)
    names = dict(zip(pairing.names(files), files, strict=True))
    pairs = pairing.match(first, list(names))
    lonely = [
        (name, file, os.path.dirname(files[0]))
        for name, file in zip(first, anchors, strict=True)
        if name not in pairs
    ]
    lonely += [
        (name, file, os.path.dirname(anchors[0]))
        for name, file in names.items()
        if name not in pairs.values()
    ]
    lonely = [
        each
        for each in lonely
        if not (each[0] in excluded or _is_excluded(each[1], excluded))
    ]
    if lonely:
        name, file, where = lonely[0]
        raise InputError(
            f"{file}: no partner in {where} by name ({len(lonely)} such files); add "
            f"or rename it, or exclude {name!r}"
        )
    return [names[pairs[name]] if name in pairs else None for name in first]


def _read_table(table: Paths, columns: Sequence[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        reason = " ".join(str(error).split())
        raise InputError(f"{table}: not a CSV table that can be read ({reason})") from (
            error
        )
    for column in columns:
        if column not in frame.columns:
            raise InputError(
                f"{table}: no column {column!r}; it has {', '.join(frame.columns)}"
            )
    return frame


def _split_of(word: str) -> str | None:
    for split, words in SYNONYMS.items():
        if word.strip().lower() in words:
            return split
    return None


def _folder_split(files: Sequence[str | None]) -> str | None:
    """The split that a folder in the path names; the innermost wins."""
    for part in reversed(Path(files[0] or "").parts[:-1]):
        split = _split_of(part)
        if split is not None:
            return split
    return None
