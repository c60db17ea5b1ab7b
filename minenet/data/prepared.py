"""A folder of prepared data as a value: saved, loaded and compared."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from minenet import files
from minenet.data.quarantine import Quarantine
from minenet.data.scenes import Scene
from minenet.geo.bands import Stack
from minenet.geo.grids import Grid
from minenet.types import InputError, Task

FACTS = ("task", "classes", "chip_size", "stride", "dropped")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What `prepare` made.

    Attributes:
        out: the folder.
        task: what the labels are, see `types.Task`.
        classes: names of the channels of a target.
        stack: the bands of a sample.
        chip_size: side of a window in pixels.
        stride: distance of neighbouring windows.
        scenes: all of them, with labels of class ids or a channel for each class.
        index: the windows, as `chips.index` lists them, with `split`, `group`, `reach`.
        statistics: of the training pixels, as `statistics.collect` counts them.
        dropped: windows left out because they touch blocks of several splits.
    """

    out: Path
    task: Task
    classes: tuple[str, ...]
    stack: Stack
    chip_size: int
    stride: int
    scenes: tuple[Scene, ...]
    index: pd.DataFrame
    statistics: dict[str, Any]
    dropped: int = 0

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the channels of an image."""
        return self.stack.names

    @property
    def images(self) -> list[str]:
        """For each image of a scene the first one that some scene has."""
        columns = zip(*(scene.images for scene in self.scenes), strict=True)
        return [next(filter(None, column)) for column in columns]

    @property
    def quarantine(self) -> Quarantine:
        """What could not be read."""
        return Quarantine(self.out / "quarantine.jsonl")

    @property
    def grids(self) -> dict[str, Grid]:
        """The grid of each scene, by its name."""
        return {scene.name: scene.grid for scene in self.scenes}

    @property
    def described(self) -> bool:
        """Whether the names of bands come from the rasters."""
        return self.stack.described

    @property
    def scaled(self) -> bool:
        """Whether values are multiplied with the rasters' own scale and offset."""
        return self.stack.scaled


def save(prepared: Prepared, *, origin: Mapping[str, Any]) -> None:
    """Writes the folder's tables; `scenes.json` last, the sign that all is there.

    Args:
        prepared: labels must be written already; paths below `out` become relative, so
            that the folder can be moved.
        origin: what it was made from, for `check_origin`.

    Raises:
        InputError: no space, no permission.
    """
    out, told = prepared.out, files.as_json(facts(prepared))
    for scene in told["scenes"]:
        scene["label"] = os.path.relpath(scene["label"], out)
    with files.replacing(out / "index.csv") as part:
        prepared.index.to_csv(part, index=False)
    files.write_json(out / "statistics.json", prepared.statistics)
    files.write_json(out / "scenes.json", {**told, "origin": origin})


def facts(prepared: Prepared) -> dict[str, Any]:
    """Returns all but tables and folder as JSON holds it; `restore` is the inverse."""
    return {
        **{key: getattr(prepared, key) for key in FACTS},
        "stack": dataclasses.asdict(prepared.stack),
        "scenes": [scene.to_json() for scene in prepared.scenes],
    }


def restore(
    out: Path,
    facts: Mapping[str, Any],
    index: pd.DataFrame,
    statistics: dict[str, Any],
) -> Prepared:
    """Returns the value of a folder, the tables and what `facts` told."""
    return Prepared(
        out=out,
        stack=Stack.from_json(facts["stack"]),
        scenes=tuple(map(Scene.from_json, facts["scenes"])),
        index=index,
        statistics=statistics,
        **{**{key: facts[key] for key in FACTS}, "classes": tuple(facts["classes"])},
    )


def load(out: str | os.PathLike[str]) -> Prepared:
    """Returns what `prepare` wrote to a folder.

    Raises:
        InputError: nothing was prepared there.
    """
    out = Path(out)
    if not (out / "scenes.json").is_file():
        raise InputError(f"{out}: no prepared data; run --mode=prepare first")
    told = files.read_json(out / "scenes.json")
    for scene in told["scenes"]:
        scene["label"] = os.path.normpath(out / scene["label"])
    index = pd.read_csv(
        out / "index.csv",
        dtype={"scene": str, "group": str, "split": str},
        keep_default_na=False,
    )
    return restore(out, told, index, files.read_json(out / "statistics.json"))


def origin(
    options: Mapping[str, Any], used: Iterable[str | os.PathLike[str] | None]
) -> dict[str, Any]:
    """Returns what data are made from: options, and the sizes of the files used."""
    named = [os.fspath(path) for path in used if path is not None]
    sizes = {path: os.stat(path).st_size for path in named if os.path.exists(path)}
    return {"options": _plain(options), "files": sizes}


def check_origin(out: str | os.PathLike[str], origin: Mapping[str, Any]) -> None:
    """Raises `InputError` where a folder was prepared from another origin."""
    old = files.read_json(Path(out) / "scenes.json")["origin"]
    new = files.as_json(origin)
    differing = [
        f"{key}: {_short(old.get(part, {}).get(key))} → {_short(new[part].get(key))}"
        for part in new
        for key in sorted({*old.get(part, {}), *new[part]})
        if old.get(part, {}).get(key) != new[part].get(key)
    ]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise InputError(
            f"{out}: prepared from other data or options ({'; '.join(differing[:3])}"
            f"{more}); choose another --workdir"
        )


def _plain(value: Any) -> Any:
    """The value as JSON can hold it, paths as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _short(value: Any) -> str:
    return "none" if value is None else str(value)
