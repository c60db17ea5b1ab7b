"""A begun run's own configuration, as a file that `--config=FILE:WORKDIR` takes.

`--workdir=runs/mine --config.predict.overlap=0.5` then overrides what that run holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from configs import default
from launch import settings


def get_config(workdir: str) -> ConfigDict:
    """Returns the configuration that `workdir` was begun with."""
    config, held = default.get_config(), _tuples(settings.read(Path(workdir)))
    with config.unlocked():
        for section in settings.OPEN:  # with the keys of what it names, not of another
            config[section] = ConfigDict(held.pop(section))
        config.update(held)
    return config


def _tuples(value: Any) -> Any:
    """JSON has lists where a configuration has tuples."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def arguments(given: list[str]) -> list[str]:
    """Names this file in a command that overrides keys but names no configuration."""
    names = [argument.lstrip("-").partition("=")[0] for argument in given]
    overrides = any(name.startswith("config.") for name in names)
    workdir = ""
    if "workdir" in names:  # absl takes both --workdir=DIR and --workdir DIR
        place = names.index("workdir")
        workdir = given[place].partition("=")[2] or "".join(given[place + 1 :][:1])
    if not overrides or "config" in names or not workdir:
        return given
    settings.read(Path(workdir))  # refuses here: absl would wrap the error of a file
    return [given[0], f"--config={__file__}:{workdir}", *given[1:]]
