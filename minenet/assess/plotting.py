"""What every figure begins and ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minenet import files
from minenet.types import InputError

SPLITS = {"train": "#0072b2", "validation": "#e69f00", "test": "#cc79a7"}
"""Of the splits, told apart by every eye (Okabe and Ito 2008)."""


def pyplot() -> Any:
    """Returns matplotlib's pyplot, drawing to files alone.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise InputError(
            "matplotlib is not installed; pip install 'minenet[viz]'"
        ) from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def save(figure: Any, path: Path) -> None:
    """Writes a figure as PNG, whole or not at all, and closes it."""
    try:
        for axis in figure.axes:
            axis.spines[["top", "right"]].set_visible(False)
        if figure.get_layout_engine() is None:
            figure.tight_layout()
        with files.replacing(path) as part:
            figure.savefig(part, dpi=130)
    finally:
        pyplot().close(figure)
