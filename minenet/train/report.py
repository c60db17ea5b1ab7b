"""What a person sees of a training: one line, a file of numbers, TensorBoard."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import tqdm

from minenet import files
from minenet.types import InputError


class Report:
    """Writes `metrics.jsonl` and `tensorboard/`, and shows one progress line.

    A resumed training continues the file at the step that it resumes from: entries of
    steps that will be taken again are dropped.
    """

    def __init__(self, workdir: Path, *, start: int, steps: int, images: int) -> None:
        """Begins at step `start` of `steps`, with `images` a step."""
        try:
            tensorboard = importlib.import_module("tensorboardX")
        except ImportError as error:
            raise InputError(
                "tensorboardX is not installed; pip install 'minenet[tensorboard]'"
            ) from error
        path = workdir / "metrics.jsonl"
        kept = [e for e in read(path) if e["step"] <= start]
        with files.replacing(path) as part:
            part.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
        self._file = path.open("a", buffering=1)
        self._events = tensorboard.SummaryWriter(
            str(workdir / "tensorboard"), purge_step=start + 1 if start else None
        )
        self._bar = tqdm.tqdm(
            total=steps,
            initial=start,
            desc="train",
            unit="step",
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}% {n_fmt}/{total_fmt}{postfix} "
            "[{elapsed}<{remaining}]",
        )
        self._images, self._shown = images, {"loss": "–", "IoU": "–"}

    def step(self, step: int, loss: float) -> None:
        """Shows a step on the progress line."""
        self._shown["loss"] = f"{loss:.3f}"
        rate = self._bar.format_dict["rate"] or 0.0
        text = [f"{name} {value}" for name, value in self._shown.items()]
        self._bar.set_postfix_str(
            ", ".join([*text, f"{rate * self._images:.1f} images/s"]), refresh=False
        )
        self._bar.update(step - self._bar.n)

    def write(self, step: int, **values: float) -> None:
        """Writes numbers of a step to the file and to TensorBoard."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._events.add_scalar(name.replace("_", "/", 1), value, step)
        if "validation_iou" in values:
            self._shown["IoU"] = f"{values['validation_iou']:.3f}"

    def close(self) -> None:
        """Ends the line and closes the files."""
        self._bar.close()
        self._events.close()
        self._file.close()


def read(path: Path) -> list[dict[str, Any]]:
    """Returns the entries of a `metrics.jsonl`, none where there is no file.

    A last line that a killed process did not finish is left out.
    """
    if not path.exists():
        return []
    entries = []
    for line in path.read_text().splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries
