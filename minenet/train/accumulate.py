"""The logits of a large batch with the memory of a small one.

Gradients of micro-batches add up to that of the batch only where the loss is a sum over
them; a mean over pixels that count is not, nor is Dice over a batch. So it is not
gradients that are collected here but logits: the loss sees the whole batch, and the
backward pass computes each part's activations again. That is exact for every loss and
weight, and costs one more forward pass (as in Gao et al., "Scaling deep contrastive
learning batch size under memory limited setup", 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from minenet.types import InputError


def forward(
    part: Callable[[Any, jax.Array, jax.Array], tuple[Any, Any]],
    batch_stats: Any,
    image: jax.Array,
    *,
    key: jax.Array,
    parts: int,
) -> tuple[Any, Any]:
    """Returns the logits of the batch, and the last statistics.

    The parts equal the whole but for BatchNorm, whose statistics are those of a part
    (and move on `parts` times), and for the draws of dropout.

    Args:
        part: `(batch_stats, image, key) -> (logits, batch_stats)`.
        batch_stats: The running statistics.
        image: `[B, H, W, C]`; `B` a multiple of `parts`.
        key: For the model's draws.
        parts: Number of micro-batches; 1 for none.
    """
    if parts == 1:
        return part(batch_stats, image, key)

    def body(stats: Any, inputs: tuple[jax.Array, jax.Array]) -> tuple[Any, Any]:
        number, image = inputs
        logits, stats = part(stats, image, jax.random.fold_in(key, number))
        return jax.lax.stop_gradient(stats), logits

    # Every device cuts its own samples into parts: nothing travels.
    split = image.reshape(-1, parts, *image.shape[1:]).swapaxes(0, 1)
    batch_stats, logits = jax.lax.scan(
        jax.checkpoint(body, prevent_cse=False),
        batch_stats,
        (jnp.arange(parts), split),
    )
    whole = jax.tree.map(
        lambda leaf: leaf.swapaxes(0, 1).reshape(-1, *leaf.shape[2:]), logits
    )
    return whole, batch_stats


def check(parts: int, batch_size: int, mesh: Mesh) -> None:
    """Checks that every device can cut its samples into parts.

    Raises:
        InputError: It cannot; the message says what can.
    """
    copies = mesh.shape["data"] * mesh.shape["fsdp"]
    if parts < 1 or batch_size % (parts * copies):
        raise InputError(
            f"config.optimizer.accumulate={parts}: must divide config.train.batch_size="
            f"{batch_size} into parts that the {copies} devices along data and fsdp "
            "share evenly"
        )
