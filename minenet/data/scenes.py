"""Scenes: what the user named, found on disk and put together.

There are three ways to say what is labelled: images with mask rasters, several image
folders that stack as bands (with masks), and images with a file of polygons. In each, a
scene is the images of one place on one grid, with a name, a group and perhaps a split.
"""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from minenet.data import pairing
from minenet.geo.grids import Grid
from minenet.types import InputError, UnreadableError

SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".img", ".vrt", ".bil"}
"""Files that count as rasters in a folder; a glob or a path may name any other."""

SYNONYMS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}

Paths = str | os.PathLike[str]
Lonely = Callable[[str, InputError], None]


@dataclasses.dataclass(frozen=True)
class Scene:
    """One place on one grid.

    Attributes:
        name: unique in its collection.
        images: rasters whose bands stack; None for one that this scene lacks.
        label: raster of what is known: the user's mask, and once prepared the class ids
            on the scene's own grid.
        group: scenes of one group never part in a split; its name if nothing says so.
        split: as the folder or the table says, or None.
        year: of the image, as the table says, or None.
        grid: of the scene and its labels, None before it is prepared.
        aligned: whether its images are brought to that grid when they are read.
        gsd_m: side of a pixel on the ground, None without a CRS.
        empty: whether its label holds no class but the background.
        ignored: whether nobody outlined it, so that nothing is learnt from it.
    """

    name: str
    images: tuple[str | None, ...]
    label: str | None
    group: str
    split: str | None = None
    year: int | None = None
    grid: Grid | None = None
    aligned: bool = False
    gsd_m: float | None = None
    empty: bool = False
    ignored: bool = False

    @property
    def height(self) -> int:
        """In pixels."""
        return self.grid.height

    @property
    def width(self) -> int:
        """In pixels."""
        return self.grid.width

    @property
    def onto(self) -> Grid | None:
        """The grid that its images are brought to, None where they are on it."""
        return self.grid if self.aligned else None

    def to_json(self) -> dict:
        """Returns the scene as JSON holds it; `from_json` is the inverse."""
        told = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return told | {"grid": self.grid and self.grid.to_json()}

    @classmethod
    def from_json(cls, value: dict) -> Scene:
        """Returns the scene that `to_json` told of."""
        grid = value["grid"] and Grid.from_json(value["grid"])
        return cls(**{**value, "images": tuple(value["images"]), "grid": grid})


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
    missing: bool = False,
    lonely: Lonely | None = None,
) -> list[Scene]:
    """Returns the scenes that files form, in the order of the first stack.

    Args:
        images: the rasters of each stack.
        masks: rasters of class values, or None where polygons say what is labelled.
        exclude: names, stems or numbers of files to leave out; `"23"` is every file
            whose last number is 23.
        missing: whether a scene may lack the raster of a stack, as long as it has one.
        lonely: called with the name of a scene that is left out for want of a file, and
            the error; without it the first one is raised.

    Raises:
        InputError: most files are without partner; nothing is left.
    """
    excluded = {str(name) for name in exclude}
    _refuse_twins([*images, *filter(None, [masks])], excluded)
    named = zip(pairing.names(images[0]), images[0], strict=True)
    found = {name: {0: path} for name, path in named}
    masks_at = len(images)
    for i, paths in enumerate([*images[1:], *filter(None, [masks])], start=1):
        may_lack = missing and i < masks_at
        _join(found, i, paths, excluded, may_lack=may_lack, lonely=lonely)
    scenes = []
    for name, at in found.items():
        if any(_is_excluded(file, excluded) for file in (name, *at.values())):
            continue
        files = tuple(at.get(i) for i in range(masks_at))
        scenes.append(Scene(name, files, at.get(masks_at), name, _folder_split(files)))
    if not scenes:
        raise InputError(f"exclude: nothing left of {len(found)} scenes; exclude fewer")
    return scenes


def _is_raster(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _is_excluded(file: str, excluded: set[str]) -> bool:
    stem = Path(file).stem
    return bool({file, stem, pairing.number(stem)} & excluded)


def _refuse_twins(stacks: Sequence[Sequence[str]], excluded: set[str]) -> None:
    """Raises where partners by name cannot be found: two files of one name."""
    for paths in stacks if len(stacks) > 1 else ():
        seen: dict[Path, str] = {}
        for path in paths:
            other = seen.setdefault(Path(path).with_suffix(""), path)
            both = (path, other)
            if other != path and not any(_is_excluded(p, excluded) for p in both):
                raise InputError(
                    f"{path} and {other}: one name for two files, so which belongs to "
                    "the others cannot be told; remove one, or rename it"
                )


def _join(
    found: dict[str, dict[int, str]],
    i: int,
    files: Sequence[str],
    excluded: set[str],
    *,
    may_lack: bool,
    lonely: Lonely | None,
) -> None:
    """Gives each scene its file among `files`, and leaves out those without."""
    first = next(iter(next(iter(found.values())).values()))
    names = dict(zip(pairing.names(files), files, strict=True))
    pairs = pairing.match(list(found), list(names))
    alone = {}
    for name in list(found):
        if name in pairs:
            found[name][i] = names[pairs[name]]
        elif not may_lack:
            file = next(iter(found.pop(name).values()))
            alone[name] = file, os.path.dirname(files[0])
    paired = set(pairs.values())
    for name, file in names.items():
        if name not in paired and may_lack:
            found.setdefault(name, {})[i] = file
        elif name not in paired:
            alone[name] = file, os.path.dirname(first)
    alone = {
        name: at
        for name, at in sorted(alone.items())
        if not (name in excluded or _is_excluded(at[0], excluded))
    }
    for name, (file, where) in alone.items():
        error = UnreadableError(
            f"{file}: no partner in {where} by name ({len(alone)} such files); add "
            f"or rename it, or exclude {name!r}"
        )
        if lonely is None or len(alone) > len(found):
            raise error
        lonely(name, error)


def split_of(word: str) -> str | None:
    """Returns the split that a word names, or None."""
    for split, words in SYNONYMS.items():
        if word.strip().lower() in words:
            return split
    return None


def _folder_split(files: Sequence[str | None]) -> str | None:
    """The split that a folder in the path names; the innermost wins."""
    for part in reversed(Path(next(filter(None, files))).parts[:-1]):
        split = split_of(part)
        if split is not None:
            return split
    return None
