"""One step of training and of validation: pure functions, jitted by the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax

from minenet import metrics
from minenet.ops import normalize
from minenet.train import accumulate as accumulate_
from minenet.train import heads as heads_
from minenet.train import paths
from minenet.train.state import State

if TYPE_CHECKING:
    from minenet.ops.normalize import Normalizer
    from minenet.types import Batch, Task

Apply = Callable[..., Any]


def train_step(
    state: State,
    batch: Batch,
    *,
    apply: Apply,
    loss: Callable[..., jax.Array],
    optimizer: optax.GradientTransformation,
    normalizer: Normalizer,
    augment: Callable[..., Batch] | None,
    seed: int,
    ema_decay: float,
    heads: Mapping[str, heads_.Head] | None = None,
    freeze: Sequence[str] = (),
    accumulate: int = 1,
) -> tuple[State, dict[str, jax.Array]]:
    """Returns the next state, and the loss and gradient norm of this one.

    Every draw is a function of the seed, the step and the sample's index, so that it is
    the same for any number of hosts and devices.

    Args:
        state: Of the training.
        batch: The global batch, in raster units.
        apply: The model's; gives logits, or a pair of them and further maps by name.
        loss: `(logits, target, weight) -> scalar`.
        optimizer: As `optimizer.build` returns it.
        normalizer: Of the image.
        augment: `(keys [B], batch) -> batch`, or None.
        seed: Of the training.
        ema_decay: Of the average; in the first steps it is smaller.
        heads: What the model's further heads are to find; deep supervision needs none.
        freeze: Patterns of parameters that get no gradient; see `paths`.
        accumulate: Parts of the batch that pass through the model one by one.
    """
    key = jax.random.fold_in(jax.random.key(seed), state.step)
    present = normalize.present(batch["image"], normalizer)
    batch = {**batch, "image": normalize.apply(batch["image"], normalizer)}
    if augment is not None:
        batch["present"] = present
        keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(batch["index"])
        batch = augment(keys, batch)

    of_maps = heads_.objective(loss, heads or {})

    def objective(params: Any) -> tuple[jax.Array, Any]:
        params = paths.halt(params, freeze)

        def part(stats: Any, image: jax.Array, key: jax.Array) -> tuple[Any, Any]:
            maps, updated = apply(
                {"params": params, "batch_stats": stats},
                image,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            maps = maps if isinstance(maps, tuple) else (maps, {})
            return maps, updated.get("batch_stats", stats)

        maps, batch_stats = accumulate_.forward(
            part, state.batch_stats, batch["image"], key=key, parts=accumulate
        )
        return of_maps(*maps, batch), batch_stats

    (value, batch_stats), gradient = jax.value_and_grad(objective, has_aux=True)(
        state.params
    )
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if ema is not None:
        decay = jnp.minimum(ema_decay, (1 + state.step) / (10 + state.step))
        ema = jax.tree.map(
            lambda old, new: old + (1 - decay) * (new - old), ema, params
        )
    following = State(
        step=state.step + 1,
        params=params,
        batch_stats=batch_stats,
        opt_state=opt_state,
        ema=ema,
    )
    return following, {"loss": value, "gradient_norm": optax.tree.norm(gradient)}


def probabilities(logits: jax.Array, *, task: Task) -> jax.Array:
    """Returns `[..., K]`: softmax of exclusive classes, else a sigmoid each."""
    return jax.nn.softmax(logits) if task == "exclusive" else jax.nn.sigmoid(logits)


def eval_step(
    variables: Any,
    batch: Batch,
    *,
    apply: Apply,
    loss: Callable[..., jax.Array],
    normalizer: Normalizer,
    task: Task,
) -> dict[str, jax.Array]:
    """Returns sums over a batch, to be added up and divided at the end.

    Returns:
        loss (times pixels) and pixels, scalars; histogram `[K, 2, bins]` int32;
        confusion `[K, K]` int32 for exclusive classes.
    """
    logits = apply(variables, normalize.apply(batch["image"], normalizer), train=False)
    weight, target = batch["weight"], batch["target"]
    pixels = weight.sum()
    probability = probabilities(logits, task=task)
    sums = {
        "loss": loss(logits, target, weight) * pixels,
        "pixels": pixels,
        "histogram": metrics.histogram(probability, target, weight),
    }
    if task == "exclusive":
        sums["confusion"] = metrics.confusion(probability, target, weight)
    return sums
