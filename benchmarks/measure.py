"""Time, memory and tables: what every benchmark measures in the same way."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def device() -> str:
    """Returns the processor's name and the number of cores this process may use."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text().splitlines())
        name = next((v.strip() for k, _, v in lines if k.strip() == "model name"), name)
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def seconds(call: Callable[[], Any], *, warmup: int, repeats: int) -> list[float]:
    """Returns how long each of `repeats` calls took, after `warmup` others.

    `call` must wait for its result.
    """
    for _ in range(warmup):
        call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times


def spread(values: Sequence[float], *, digits: int = 0, factor: float = 1.0) -> str:
    """Returns the median and, in brackets, the quartiles."""
    low, median, high = np.percentile(values, [25, 50, 75]) * factor
    return f"{median:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def peak_bytes() -> int:
    """Returns the most memory that this process ever held.

    From its own page tables: what `getrusage` says was the parent's before it started.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(words[1]) << 10 for words in lines if words[0] == "VmHWM:")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def fresh(module: str, task: dict[str, Any]) -> dict[str, Any]:
    """Runs `python -m module TASK` and returns the JSON of its last line.

    A process of its own: its peak memory is its own, and so are its threads.
    """
    command = [sys.executable, "-m", module, json.dumps(task)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{module} {json.dumps(task)}: failed, see above")
    return json.loads(done.stdout.splitlines()[-1])


def alternate(
    module: str, tasks: dict[Any, dict[str, Any]], *, rounds: int
) -> dict[Any, dict[str, Any]]:
    """Runs every task in `rounds` fresh processes, task after task in each round.

    Returns:
        The facts of each task: lists are joined over the rounds, of numbers it is the
        highest, of anything else the last.
    """
    found: dict[Any, dict[str, Any]] = {}
    for _ in range(rounds):
        for name, task in tasks.items():
            facts, before = fresh(module, task), found.get(name, {})
            for key, value in before.items():
                if isinstance(value, list):
                    facts[key] = value + facts[key]
                elif isinstance(value, int | float):
                    facts[key] = max(value, facts[key])
            found[name] = facts
    return found


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
