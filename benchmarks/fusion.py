"""Late fusion against each sensor alone, and one checkpoint for any of them.

    python -m benchmarks.fusion PATH/ombria_s1s2_flood
    python -m benchmarks.fusion PATH/ombria_s1s2_flood --seeds=0 --runs=runs/fusion

Four runs of `configs/flood_fusion.py` a seed, each trained and scored by the launcher
as anyone would; the one with sensor dropout is scored three times. A seed decides the
split, the parameters and all draws.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import measure

WITHOUT = {"both": "()", "S1": "(2, 3, 4)", "S2": "(1,)"}
"""The bands to do without where the checkpoint of all sensors sees some."""


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("root", help="folder of the data")
    options.add_argument("--seeds", default="0,1")
    options.add_argument("--runs", help="folder of workdirs; temporary by default")
    options = options.parse_args()
    seeds = options.seeds.split(",")
    with tempfile.TemporaryDirectory() as made:
        runs = Path(options.runs or made)
        rows = {}
        for seed in seeds:
            for line, score in scores(runs, options.root, seed):
                rows.setdefault(line, []).append(score)
    shown = [
        (
            *line,
            *(f"{value:.3f}" for pair in zip(*found, strict=True) for value in pair),
        )
        for line, found in rows.items()
    ]
    names = [f"{score}, seed {seed}" for score in ("IoU", "AP") for seed in seeds]
    print(f"On {measure.device()}.\n")
    print(measure.table(["trained on", "tested on", *names], shown))


def scores(runs: Path, root: str, seed: str):
    """Yields `(trained on, tested on), (IoU, AP)` of a seed."""
    for name, trained, tests in (
        ("s1", "S1", ["S1"]),
        ("s2", "S2", ["S2"]),
        ("fusion", "both, late fusion", ["both"]),
        ("dropout", "both, sensor dropout", [*WITHOUT]),
    ):
        workdir = runs / f"{name}_{seed}"
        launch(
            "train",
            workdir,
            f"--config=configs/flood_fusion.py:{name}",
            f"--config.data.root={root}",
            f"--config.seed={seed}",
            f"--config.data.split.seed={seed}",
        )
        for tested in tests:
            less = f"--config.predict.missing={WITHOUT[tested]}"
            launch("evaluate", workdir, *([less] if len(tests) > 1 else []))
            found = json.loads((workdir / "evaluation.json").read_text())
            flood = found["classes"]["flood"]
            yield (trained, tested), (flood["iou"], flood["average_precision"])


def launch(mode: str, workdir: Path, *arguments: str) -> None:
    """Runs the launcher; a training prepares its data first."""
    for each in ("prepare", mode) if mode == "train" else (mode,):
        command = [sys.executable, "-m", "launch.main", f"--mode={each}"]
        subprocess.run(
            [*command, f"--workdir={workdir}", *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
        )


if __name__ == "__main__":
    main()
