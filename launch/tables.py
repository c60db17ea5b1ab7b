"""The short tables that a run ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minenet.data import chips
from minenet.data.label import label_report
from minenet.data.prepared import Prepared
from minenet.files import read_json as json_


def splits(prepared: Prepared) -> None:
    """Prints how many scenes and windows each split has."""
    print(f"{'split':12}{'scenes':>8}{'windows':>9}{'positive':>10}")
    for name, rows in prepared.index.groupby("split", sort=False):
        counted = rows["valid"].sum()
        positive = f"{(counted - rows['share_0'].sum()) / counted:.1%}"
        print(f"{name:12}{rows['scene'].nunique():8}{len(rows):9}{positive:>10}")
    if prepared.dropped:
        print(
            f"{prepared.dropped} windows lie across blocks, or too near to another "
            "split: left out; a split.block_m of several chips loses fewer"
        )


def warnings(prepared: Prepared) -> None:
    """Prints what of the data somebody should look at."""
    out = prepared.out
    lines = label_report.lines(json_(out / "labels.json"), source="labels")
    lines += json_(out / "leakage.json")["warnings"]
    left = len(prepared.quarantine.settle())
    if left:
        lines.append(
            f"{left} left out because they cannot be read; {prepared.quarantine.path} "
            "says which and why"
        )
    for split, rows in prepared.index.groupby("split", sort=False):
        if not chips.positive(rows).any():
            lines.append(
                f"no window of {split} holds a class, so nothing can be chosen or "
                "scored there; use another split"
            )
    for line in lines:
        print(f"! {line}")


def scores(result: dict[str, Any]) -> None:
    """Prints the scores of each class on a split."""
    columns = ("iou", "f1", "precision", "recall", "average_precision")
    heads = ("IoU", "F1", "precision", "recall", "AP")
    print(f"{result['split']:12}" + "".join(f"{head:>11}" for head in heads))
    for name, values in result["classes"].items():
        shown = ("–" if values[c] is None else f"{values[c]:.3f}" for c in columns)
        print(f"{name:12}" + "".join(f"{value:>11}" for value in shown))
    if result["threshold"] is not None:
        found = result["threshold"]
        each = found if isinstance(found, list) else [found]
        shown = ", ".join(f"{threshold:.3f}" for threshold in each)
        print(f"threshold {shown}, chosen on the validation split")


def files(**paths: Path) -> None:
    """Prints where outputs lie."""
    for name, path in paths.items():
        print(f"{name:12}{path}")
