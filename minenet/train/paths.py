"""Which parameters a pattern means.

A parameter's path is its modules and its own name, `encoder/stage_1/kernel`. A pattern
is a run of such parts, each with the wildcards of a shell: `encoder` means all that
lies in a module of that name at any depth, `*/bias` all biases of modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import jax

from minenet.types import InputError


def matches(path: str, pattern: str) -> bool:
    """Returns whether a run of the path's parts fits the pattern's.

    >>> matches("net/encoder/kernel", "enc*"), matches("net/encoder/kernel", "net/ker*")
    (True, False)
    """
    parts, wanted = path.split("/"), pattern.split("/")
    starts = range(len(parts) - len(wanted) + 1)
    return any(all(map(fnmatchcase, parts[i:], wanted)) for i in starts)


def of(params: Any) -> Any:
    """Returns the tree with each parameter's path in its place."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator="/"), params
    )


def among(params: Any, patterns: Sequence[str]) -> Any:
    """Returns the tree of whether any of the patterns means a parameter."""
    return jax.tree.map(
        lambda path: any(matches(path, pattern) for pattern in patterns), of(params)
    )


def halt(params: Any, patterns: Sequence[str]) -> Any:
    """Returns the parameters with no gradient to those that the patterns mean.

    What only led to their gradients is not computed either.
    """
    if not patterns:
        return params
    return jax.tree.map(
        lambda leaf, frozen: jax.lax.stop_gradient(leaf) if frozen else leaf,
        params,
        among(params, patterns),
    )


def check(key: str, params: Any, patterns: Sequence[str]) -> None:
    """Checks that each pattern means a parameter.

    Raises:
        InputError: One does not; the message lists the outer modules.
    """
    known = jax.tree.leaves(of(params))
    for pattern in patterns:
        if not any(matches(path, pattern) for path in known):
            outer = sorted({path.split("/")[0] for path in known})
            raise InputError(
                f"config.{key}: no parameter lies under {pattern!r}; the outermost "
                f"modules are {', '.join(outer)}"
            )
