"""Orbax: checkpoints written while training goes on, and only ever whole."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from minenet.types import InputError

FULL = ("No space left", "File too large", "RESOURCE_EXHAUSTED")
"""How the libraries below say that the disk is full."""

MAKE_SPACE = "make space, then start again: earlier checkpoints are whole"


class Checkpoints:
    """The newest and the best state of a workdir.

    Beside each state lies what the loop knows, as JSON: best score, patience.
    """

    def __init__(self, folder: Path) -> None:
        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(n=1),
                checkpoint_managers.BestN(get_metric_fn=_score, n=1),
            ]
        )
        self._folder = folder.absolute()
        self._manager = ocp.CheckpointManager(
            self._folder,
            item_handlers={
                "state": ocp.StandardCheckpointHandler(),
                "loop": ocp.JsonCheckpointHandler(),
            },
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=_score,
                enable_async_checkpointing=True,
            ),
        )

    def save(
        self, step: int, state: Any, *, loop: dict[str, Any], score: float
    ) -> None:
        """Begins to write a checkpoint; raises what an earlier one ran into.

        Raises:
            InputError: There is no space for it.
        """
        # Asked beforehand, because the writer's threads print what they run into.
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise InputError(
                f"{self._folder}: a checkpoint needs up to {needed / 2**20:.1f} MiB, "
                f"{free / 2**20:.1f} MiB are free; {MAKE_SPACE}"
            )
        with _told(self._folder):
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state), loop=ocp.args.JsonSave(loop)
                ),
                metrics={"score": score},
            )

    def latest(self) -> int | None:
        """Returns the newest whole step, or None."""
        return self._manager.latest_step()

    def best(self) -> int | None:
        """Returns the whole step of the best score, or None."""
        return self._manager.best_step()

    def restore(self, step: int, abstract: Any) -> tuple[Any, dict[str, Any]]:
        """Returns the state, laid out as `abstract` says, and the loop's JSON.

        Raises:
            InputError: The checkpoint is of another model.
        """
        # Asked before an array is read: a read broken off leaves threads behind.
        saved = _shapes(self._manager.item_metadata(step)["state"].tree)
        wanted = _shapes(abstract)
        if saved != wanted:
            name = min(n for n in saved | wanted if saved.get(n) != wanted.get(n))
            raise InputError(
                f"{self._folder}: step {step} is not of this model or optimiser "
                f"({name} is {saved.get(name, 'absent')} there and "
                f"{wanted.get(name, 'absent')} here); choose another --workdir"
            )
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(abstract),
                loop=ocp.args.JsonRestore(),
            ),
        )
        return restored["state"], restored["loop"]

    def finish(self) -> None:
        """Waits until all that was saved is on disk."""
        with _told(self._folder):
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Ends the writer's threads."""
        self._manager.close()


def _shapes(state: Any) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each array by its dotted name."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): tuple(leaf.shape)
        for path, leaf in leaves
    }


def _score(metrics: dict[str, float]) -> float:
    return metrics["score"]


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """A full disk becomes one clear line; what was whole before stays whole."""
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())
        if not isinstance(error, OSError) and not any(word in text for word in FULL):
            raise
        raise InputError(
            f"{folder}: a checkpoint cannot be written ({text[:200]}); {MAKE_SPACE}"
        ) from error
