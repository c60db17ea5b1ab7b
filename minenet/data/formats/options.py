"""Options of formats, checked against the functions that take them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from minenet.types import InputError


def bound(
    functions: Mapping[str, Callable[..., Any]], name: str | None, given: Mapping
) -> Callable[..., Any]:
    """Returns the function of a name with its options, which are its keyword-only ones.

    Args:
        functions: of each name.
        name: of the format.
        given: options; None and () are as good as not given.

    Raises:
        InputError: no such name or option; an option that is needed is missing.
    """
    if name not in functions:
        raise InputError(f"format: {name!r}, expected one of {', '.join(functions)}")
    given = {key: value for key, value in given.items() if value not in (None, (), [])}
    known = inspect.signature(functions[name]).parameters
    own = {key: p for key, p in known.items() if p.kind == p.KEYWORD_ONLY}
    for key in given:
        if key not in own:
            has = ", ".join(own) or "no options"
            raise InputError(f"{key}: not of the format {name}, which has {has}")
    for key, parameter in own.items():
        if key not in given and parameter.default is parameter.empty:
            raise InputError(f"{key}: missing; the format {name} needs it")
    return functools.partial(functions[name], **given)
