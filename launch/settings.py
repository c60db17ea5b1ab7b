"""From a configuration file and a workdir to plain settings, checked at the door."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from configs import default
from minenet import files
from minenet.types import InputError

DECIDES = (
    *("seed", "data", "sampling", "normalize", "indices", "augment"),
    *("model", "start", "loss", "auxiliary", "optimizer"),
)
"""What a training run cannot change half-way: `resume` would not be the same run."""

PREPARED = ("seed", "data", "sampling")
"""What `prepare` settles: the others may change until training begins."""

OPEN = ("model", "loss")
"""Sections whose keys depend on the name chosen: their builders check them."""

WHOLE = ("data.values", "normalize")
"""Values that may be mappings themselves."""


def paths(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields `("train.steps", 2000)` for every leaf of nested settings."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value and prefix + key not in WHOLE:
            yield from paths(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def unknown_key(key: str, known: list[str]) -> InputError:
    """Returns the error for a key that does not exist, with the nearest that does."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
    return InputError(
        f"config.{key}: no such key; the nearest is config.{near} "
        "(configs/default.py lists all)"
    )


def check_overrides(arguments: Sequence[str]) -> None:
    """Raises `InputError` for the first `--config.key` that the defaults lack."""
    known = [key for key, _ in paths(default.get_config().to_dict())]
    for argument in arguments:
        key = argument.lstrip("-").partition("=")[0]
        if not key.startswith("config.") or key.split(".")[1] in OPEN:
            continue
        if key[7:] not in known:
            raise unknown_key(key[7:], known)


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `config` over the defaults as plain values, data paths made absolute.

    Raises:
        InputError: For a key that `configs/default.py` does not know.
    """
    defaults = default.get_config().to_dict()
    known = dict(paths(defaults))
    root = config["data"].get("root") if "data" in config else None
    for key, _ in paths(config):
        if key not in known and key.split(".")[0] not in OPEN and key != "data.root":
            raise unknown_key(key, list(known))
    settings = _merge(defaults, config)
    data = settings["data"]
    data.pop("root", None)
    for key in ("images", "masks", "polygons", "area", "table"):
        data[key] = _absolute(data[key], root)
    annotations = _absolute(data["format"]["annotations"], root)
    data["format"] = data["format"] | {"annotations": annotations}
    for section, *keys in (
        ("sampling", "hard"),
        ("store", "path"),
        ("start", "weights", "streams"),
        ("convert", "maps", "images", "sizes"),
    ):
        named = settings[section]
        found = {key: _absolute(named[key], root) for key in keys}
        settings[section] = named | found
    return settings


def _merge(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    for key, value in given.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = (
            _merge(merged[key], value) if nested and key not in OPEN else _plain(value)
        )
    return merged


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _absolute(value: Any, root: str | None) -> Any:
    if value is None:
        return None
    if isinstance(value, (tuple, list)):
        return [_absolute(item, root) for item in value]
    value = value.replace("{root}", root) if root else value
    if "://" in value:
        return value
    return str(Path(value).expanduser().absolute())


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Returns `key: old → new` for every leaf in which two settings differ."""
    before, after = dict(paths(old)), dict(paths(new))
    return [
        f"{key}: {before.get(key)} → {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def claim(workdir: Path, settings: Mapping[str, Any]) -> list[str]:
    """Writes `config.json`, or returns how an existing one differs harmlessly.

    Raises:
        InputError: If the workdir belongs to a run of another model or other data.
    """
    path = workdir / "config.json"
    # Through JSON, so that tuples compare with the lists that a file gives back.
    settings = files.as_json(settings)
    changed = []
    if path.exists():
        changed = differences(files.as_json(read(workdir)), settings)
        # Before anything is trained only the data are settled.
        begun = any((workdir / made).exists() for made in ("checkpoints", "model"))
        decides = DECIDES if begun else PREPARED
        barred = [
            line for line in changed if line.split(".")[0].split(":")[0] in decides
        ]
        if barred:
            raise InputError(
                f"{workdir} holds a run with other settings ({'; '.join(barred)}): "
                "give the old ones, or another --workdir"
            )
    files.write_json(path, settings)
    return changed


def read(workdir: Path) -> dict[str, Any]:
    """Returns the settings of a workdir; keys that it did not know have their default.

    Raises:
        InputError: If it holds none.
    """
    path = workdir / "config.json"
    if not path.is_file():
        raise InputError(
            f"{workdir}: no config.json, so not a workdir of minenet; "
            "give --config to begin one, or the --workdir of a run"
        )
    return _merge(default.get_config().to_dict(), files.read_json(path))
