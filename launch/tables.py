"""The short tables that a run ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minenet.data.prepared import Prepared


def splits(prepared: Prepared) -> None:
    """Prints how many scenes and windows each split has."""
    print(f"{'split':12}{'scenes':>8}{'windows':>9}{'positive':>10}")
    share = 1 - prepared.index["share_0"]
    for name, rows in prepared.index.groupby("split", sort=False):
        positive = f"{share[rows.index].mean():.1%}"
        print(f"{name:12}{rows['scene'].nunique():8}{len(rows):9}{positive:>10}")
    if prepared.dropped:
        print(f"{prepared.dropped} windows lie across blocks of two splits: left out")


def scores(result: dict[str, Any]) -> None:
    """Prints the scores of each class on a split."""
    columns = ("iou", "f1", "precision", "recall", "average_precision")
    heads = ("IoU", "F1", "precision", "recall", "AP")
    print(f"{result['split']:12}" + "".join(f"{head:>11}" for head in heads))
    for name, values in result["classes"].items():
        shown = ("–" if values[c] is None else f"{values[c]:.3f}" for c in columns)
        print(f"{name:12}" + "".join(f"{value:>11}" for value in shown))
    if result["threshold"] is not None:
        each = np.atleast_1d(result["threshold"])
        shown = ", ".join(f"{threshold:.3f}" for threshold in each)
        print(f"threshold {shown}, chosen on the validation split")


def files(**paths: Path) -> None:
    """Prints where outputs lie."""
    for name, path in paths.items():
        print(f"{name:12}{path}")
