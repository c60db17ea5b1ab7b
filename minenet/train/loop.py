"""The training loop: steps, validation, checkpoints, and going on after a stop."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from flax import linen as nn
from jax.sharding import Mesh

from minenet.ops.normalize import Normalizer
from minenet.train import accumulate as accumulate_
from minenet.train import heads as heads_
from minenet.train import optimizer as optimizer_
from minenet.train import plateau, sharding
from minenet.train import state as state_
from minenet.train import step as step_
from minenet.train import validation as validation_
from minenet.train.checkpoint import Checkpoints
from minenet.train.report import Report
from minenet.types import Batch, InputError, Task

LOG_EVERY = 10


@dataclasses.dataclass(frozen=True)
class FitResult:
    """What a training ends with.

    Attributes:
        variables: Of the best step, on the host; averaged parameters, where kept.
        step: The best step.
        score: Its validation IoU.
        last_step: The step at which training ended.
        state: The last state, on the devices.
        losses: Of the steps that this call took.
    """

    variables: dict[str, Any]
    step: int
    score: float
    last_step: int
    state: state_.State
    losses: list[float]


@dataclasses.dataclass
class _Progress:
    """What the loop itself remembers: it lies in each checkpoint as JSON."""

    best_score: float = -1.0
    best_step: int = 0
    without: int = 0
    stopped: bool = False


def fit(
    workdir: Path,
    *,
    model: nn.Module,
    num_bands: int,
    chip: tuple[int, int],
    task: Task,
    train_batches: Callable[[int], Iterator[Batch]],
    validation: Callable[[], Iterable[Batch]],
    normalizer: Normalizer,
    augment: Callable[..., Batch] | None,
    loss: Callable[..., jax.Array],
    optimizer: Mapping[str, Any],
    steps: int,
    batch_size: int,
    evaluate_every: int,
    seed: int,
    patience: int | None = None,
    ema_decay: float = 0.0,
    accumulate: int = 1,
    heads: Mapping[str, heads_.Head] | None = None,
    begin: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    mesh: Mesh | None = None,
) -> FitResult:
    """Trains `model`, or goes on with the training that `workdir` holds.

    Batches are a function of the step and draws of the seed and the step, so that a
    training that was killed and started again ends with the same parameters.

    Args:
        workdir: For checkpoints/, metrics.jsonl and tensorboard/.
        model: As `models.build` returns it.
        num_bands: Channels of a normalised image: bands and indices.
        chip: `(height, width)` of a sample.
        task: What `K` means.
        train_batches: Step → this process's batches from there on.
        validation: Returns this process's validation batches.
        normalizer: Of the images.
        augment: `(keys [B], batch) -> batch`, or None.
        loss: `(logits, target, weight) -> scalar`.
        optimizer: Arguments of `optimizer.build` besides `steps`.
        steps: When to end.
        batch_size: Of the global batch.
        evaluate_every: Steps between validations, each followed by a checkpoint.
        seed: Of parameters and draws.
        patience: Validations without a better score before it stops, or None.
        ema_decay: Of the average of parameters that is validated and kept; 0 for none.
        accumulate: Parts of a batch that pass through the model one by one.
        heads: What the model's further heads are to find, by their names.
        begin: Random variables, on the host → those to begin with; None for the same.
        mesh: Over all devices if None.

    Raises:
        InputError: A checkpoint of another model, a loss that is no number, a full
            disk.
    """
    mesh = sharding.mesh() if mesh is None else mesh
    sharding.check_batch(batch_size, chip, mesh)
    accumulate_.check(accumulate, batch_size, mesh)
    built = optimizer_.build(steps=steps, **optimizer)
    make = functools.partial(
        state_.create,
        model,
        built,
        shape=(*chip, num_bands),
        seed=seed,
        ema=ema_decay > 0,
    )
    abstract = state_.abstract(mesh, make)
    shared = {"loss": loss, "normalizer": normalizer}
    apply = model.apply
    if heads or getattr(model, "deep_supervision", 0):
        apply = functools.partial(apply, auxiliary=True)
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    train_step = jax.jit(
        functools.partial(
            step_.train_step,
            **shared,
            apply=apply,
            optimizer=built,
            augment=augment,
            seed=seed,
            ema_decay=ema_decay,
            heads=heads,
            freeze=built.freeze,
            accumulate=accumulate,
        ),
        donate_argnums=0,
        out_shardings=(places, sharding.replicated(mesh)),
    )
    eval_step = jax.jit(
        functools.partial(step_.eval_step, **shared, apply=model.apply, task=task),
        out_shardings=sharding.replicated(mesh),
    )
    observe = built.observe and jax.jit(built.observe, out_shardings=places.opt_state)
    checkpoints = Checkpoints(workdir / "checkpoints")
    try:
        return _run(
            workdir,
            checkpoints,
            abstract,
            functools.partial(state_.born, make, abstract, begin),
            train_step=train_step,
            validate=functools.partial(
                validation_.scores, eval_step, validation, mesh, task
            ),
            batches=lambda start: (
                sharding.to_global(batch, mesh) for batch in train_batches(start)
            ),
            schedule=built.rate,
            observe=observe,
            steps=steps,
            batch_size=batch_size,
            evaluate_every=evaluate_every,
            patience=patience,
        )
    finally:
        checkpoints.close()


def _run(
    workdir: Path,
    checkpoints: Checkpoints,
    abstract: state_.State,
    first: Callable[[], state_.State],
    *,
    train_step: Callable[..., Any],
    validate: Callable[[Any], dict[str, float]],
    batches: Callable[[int], Iterator[Batch]],
    schedule: Callable[[int], Any],
    observe: Callable[..., Any] | None,
    steps: int,
    batch_size: int,
    evaluate_every: int,
    patience: int | None,
) -> FitResult:
    progress, start = _Progress(), checkpoints.latest()
    if start is None:
        start, state = 0, first()
    else:
        state, remembered = checkpoints.restore(start, abstract)
        progress = _Progress(**remembered)
    # What a later start with fewer steps, or after an early stop, has to do: nothing.
    end = start if progress.stopped else max(steps, start)
    writes = jax.process_index() == 0 and start < end
    report = (
        Report(workdir, start=start, steps=end, images=batch_size) if writes else None
    )
    losses: list[float] = []
    data = batches(start) if start < end else iter(())
    pending, step = None, start
    scale = plateau.scale(state.opt_state)
    try:
        for step in range(start + 1, end + 1):
            batch = next(data)
            with jax.transfer_guard("disallow"):
                state, measured = train_step(state, batch)
            # The last step's numbers are fetched once this one is under way.
            if pending is not None:
                _note(report, losses, step - 1, pending, schedule, scale)
            pending = measured
            if step % evaluate_every and step != end:
                continue
            _note(report, losses, step, pending, schedule, scale)
            pending = None
            scores = validate(state.variables)
            if report is not None:
                report.write(step, **scores)
            _judge(progress, step, scores["validation_iou"], patience)
            if observe is not None:
                # Before the checkpoint, so that a resumed training knows it too.
                loss, iou = scores["validation_loss"], scores["validation_iou"]
                after = observe(state.opt_state, loss=loss, iou=iou)
                state = state.replace(opt_state=after)
                scale = plateau.scale(after)
            checkpoints.save(
                step,
                state,
                loop=dataclasses.asdict(progress),
                score=scores["validation_iou"],
            )
            if progress.stopped:
                break
        checkpoints.finish()
    finally:
        if report is not None:
            report.close()
    best = checkpoints.best()
    kept = state if best == step else checkpoints.restore(best, abstract)[0]
    return FitResult(
        variables=sharding.on_host(kept.variables),
        step=best,
        score=progress.best_score,
        last_step=step,
        state=state,
        losses=losses,
    )


def _note(report, losses, step, measured, schedule, scale) -> None:
    """Reports one step; ends the training at a loss that is no number."""
    loss, norm = (
        float(v) for v in jax.device_get((measured["loss"], measured["gradient_norm"]))
    )
    if not math.isfinite(loss):
        raise InputError(
            f"the loss is {loss} at step {step}; lower config.optimizer.learning_rate, "
            "or look at the values of the images in data/statistics.json"
        )
    losses.append(loss)
    if report is not None:
        report.step(step, loss)
        if step % LOG_EVERY == 0:
            rate = float(schedule(step - 1)) * scale
            report.write(
                step,
                train_loss=loss,
                train_gradient_norm=norm,
                train_learning_rate=rate,
            )


def _judge(progress: _Progress, step: int, score: float, patience: int | None) -> None:
    if score > progress.best_score:
        progress.best_score, progress.best_step, progress.without = score, step, 0
    else:
        progress.without += 1
    progress.stopped = patience is not None and progress.without >= patience
