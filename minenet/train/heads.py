"""Further heads of a network: what each is to find, and what its loss counts.

A head helps the features of the classes (a boundary, a distance), or has a task of its
own. Deep supervision is one more: coarser levels are to find the classes themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from minenet import losses
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array, Batch


class Head(NamedTuple):
    """A further head.

    Attributes:
        channels: Of its map.
        factor: What its loss counts beside that of the classes.
        loss: `(logits, target, weight) -> scalar`.
        target: `batch -> (target, weight)`; None where the batch holds them under
            "NAME_target" and "NAME_weight", as for a task with classes of its own.
    """

    channels: int
    factor: float
    loss: losses.Loss
    target: Callable[[Batch], tuple[Array, Array]] | None = None


def build(factors: Mapping[str, float], *, num_classes: int) -> dict[str, Head]:
    """Returns the heads "boundary" and "distance" whose factor is not 0.

    Args:
        factors: By name.
        num_classes: `K`: each has a channel for each class.

    Raises:
        InputError: If there is no such head, or a factor is negative.

    >>> sorted(build({"boundary": 0.5, "distance": 0.0}, num_classes=1))
    ['boundary']
    """
    made = {}
    for name, factor in factors.items():
        if name not in _HEADS or not factor >= 0:
            raise InputError(
                f"auxiliary.{name}={factor}: expected one of {', '.join(_HEADS)} with "
                "a factor of at least 0"
            )
        if factor:
            loss, target = _HEADS[name]
            made[name] = Head(num_classes, factor, loss, target)
    return made


def objective(
    loss: losses.Loss, heads: Mapping[str, Head]
) -> Callable[[Array, Mapping[str, Array], Batch], jax.Array]:
    """Returns `(logits, further, batch) -> scalar`, the loss of all maps of a network.

    Args:
        loss: Of the classes, `(logits, target, weight) -> scalar`. Coarser levels,
            "deep_1" and on, share it with weights 1, ½, ¼, … that add up to 1.
        heads: By the names that the network gives their maps.
    """
    deep = losses.deep_supervision(loss)

    def total(logits: Array, further: Mapping[str, Array], batch: Batch) -> jax.Array:
        names = (f"deep_{k}" for k in range(1, 1 + len(further)))
        levels = [further[name] for name in names if name in further]
        value = deep([logits, *levels], batch["target"], batch["weight"])
        for name, head in heads.items():
            found = (
                (batch[f"{name}_target"], batch[f"{name}_weight"])
                if head.target is None
                else head.target(batch)
            )
            value += head.factor * head.loss(further[name], *found)
        return value

    return total


def boundary(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Returns where a class meets another, `[B, H, W, K]`, and the weight.

    Both pixels at an outline are 1. A pixel that does not count has no outline, and
    makes none.
    """
    target, weight = batch["target"], batch["weight"]
    counts = weight[..., None] > 0
    inside, outside = (jnp.where(counts, t, 0.0) for t in (target, 1 - target))
    met = jnp.minimum(_widened(inside), _widened(outside))
    return jnp.where(counts, met, 0.0), weight


def distance(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Returns the signed distance from the outline, `[B, H, W, K]`, and the weight.

    In pixels, infinite where a class is absent, or all there is.
    """
    target, weight = batch["target"], batch["weight"]
    found = losses.signed_distance(target, weight)
    none = (found == 0).all(axis=(1, 2), keepdims=True)
    far = jnp.where(target > 0.5, -jnp.inf, jnp.inf)
    return jnp.where(none, far, found), weight


def _widened(x: jax.Array) -> jax.Array:
    return jax.lax.reduce_window(x, 0.0, jax.lax.max, (1, 3, 3, 1), (1,) * 4, "SAME")


_HEADS: dict[str, tuple[Any, Any]] = {
    "boundary": (losses.bce, boundary),
    "distance": (losses.distance_error, distance),
}
