"""What a section of the configuration may say, checked at the door."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from minenet.types import InputError


def check(
    section: str,
    name: str,
    table: Mapping[str, Callable[..., Any]],
    options: Mapping[str, Any],
) -> None:
    """Checks that `table` has `name`, and its function just these options.

    The options of a function are its keyword-only parameters.

    Args:
        section: Of the configuration, to name keys by.
        name: The value of `config.SECTION.name`.
        table: Name → function.
        options: To be passed to it.

    Raises:
        InputError: The message names the key and what it may be.
    """
    if name not in table:
        raise InputError(
            f"config.{section}.name={name!r}: choose one of {', '.join(table)}"
        )
    own = {
        option: parameter.default
        for option, parameter in inspect.signature(table[name]).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    for option in options:
        if option not in own:
            takes = f"it takes {', '.join(own)}" if own else "it takes none"
            raise InputError(
                f"config.{section}.{option}: {name} has no such option; {takes}"
            )
    for option, default in own.items():
        if default is inspect.Parameter.empty and option not in options:
            raise InputError(f"config.{section}.{option}: {name} needs it")


def require(holds: bool, key: str, value: Any, must: str) -> None:
    """Raises InputError with the key, its value and what must hold unless it does."""
    if not holds:
        raise InputError(f"config.{key}={value!r}: must be {must}")
