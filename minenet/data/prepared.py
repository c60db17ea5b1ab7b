"""A folder of prepared data as a value: saved, loaded and compared."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from minenet import files
from minenet.data.scenes import Scene
from minenet.geo.bands import Stack
from minenet.types import InputError, Task

FACTS = ("task", "classes", "chip_size", "stride", "dropped")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What `prepare` made.

    Attributes:
        out: the folder.
        task: "binary" or "exclusive".
        classes: names of the channels of a target.
        stack: the bands of a sample.
        chip_size: side of a window in pixels.
        stride: distance of neighbouring windows.
        scenes: all of them, with labels of class ids.
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
    out = prepared.out
    scenes = [
        {**dataclasses.asdict(s), "label": os.path.relpath(s.label, out)}
        for s in prepared.scenes
    ]
    facts = {key: getattr(prepared, key) for key in FACTS}
    stack = dataclasses.asdict(prepared.stack)
    facts |= {"stack": stack, "scenes": scenes, "origin": origin}
    with files.replacing(out / "index.csv") as part:
        prepared.index.to_csv(part, index=False)
    files.write_json(out / "statistics.json", prepared.statistics)
    files.write_json(out / "scenes.json", facts)


def load(out: str | os.PathLike[str]) -> Prepared:
    """Returns what `prepare` wrote to a folder.

    Raises:
        InputError: nothing was prepared there.
    """
    out = Path(out)
    if not (out / "scenes.json").is_file():
        raise InputError(f"{out}: no prepared data; run --mode=prepare first")
    facts = files.read_json(out / "scenes.json")
    scenes = (
        Scene.from_json({**scene, "label": os.path.normpath(out / scene["label"])})
        for scene in facts["scenes"]
    )
    stack = facts["stack"]
    picks = tuple((image, band) for image, band in stack["picks"])
    return Prepared(
        out=out,
        stack=Stack(**{**stack, "names": tuple(stack["names"]), "picks": picks}),
        scenes=tuple(scenes),
        index=pd.read_csv(
            out / "index.csv",
            dtype={"scene": str, "group": str, "split": str},
            keep_default_na=False,
        ),
        statistics=files.read_json(out / "statistics.json"),
        **{**{key: facts[key] for key in FACTS}, "classes": tuple(facts["classes"])},
    )


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


def _short(value: Any) -> str:
    return "none" if value is None else str(value)
