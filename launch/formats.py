"""Formats of others: data in them made into images and masks, and maps into them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minenet.data.formats import conversion, maps
from minenet.data.quarantine import Quarantine
from minenet.types import InputError

Settings = dict[str, Any]


def converted(workdir: Path, data: Settings, *, strict: bool = False) -> Settings:
    """Returns `config.data` without its format: what that was converted to instead.

    Samples that cannot be read go into `data/quarantine.jsonl`; `strict` stops instead.
    """
    data, options = dict(data), dict(data["format"])
    del data["format"]
    name = options.pop("name")
    if name is None:
        if given := [key for key, value in options.items() if value]:
            raise InputError(f"config.data.format.{given[0]}: of which format.name?")
        return data
    if data["polygons"] or not isinstance(data["images"], str):
        key = "polygons" if data["polygons"] else "images"
        raise InputError(
            f"config.data.{key}: {name} has one folder of images and labels of its own"
        )
    quarantine = Quarantine(workdir / "data" / "quarantine.jsonl", strict)
    out = workdir / "scenes"
    done = conversion.convert(
        out,
        name=name,
        **{key: data[key] for key in ("images", "masks", "task", "classes", "values")},
        **options,
        on_error=lambda sample, error: quarantine.add(error, sample=sample),
    )
    print(f"{done['samples']} samples of {name} converted to {out}")
    made = conversion.prepared_from(out, task=data["task"], classes=data["classes"])
    return data | made


def export(
    workdir: Path, settings: Settings, *, form: str | None, out: str | None, **_: Any
) -> None:
    """Writes the run's maps, or those of `config.convert.maps`, in a format."""
    if out is None:
        raise InputError("--out: missing; name the file or folder to write")
    options = dict(settings["convert"])
    folder = options.pop("maps") or workdir / "predictions"
    count = maps.export(form, folder, Path(out).absolute(), **options)
    print(f"{count} maps of {folder} as {form} in {out}")
