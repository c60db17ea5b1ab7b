"""AdamW with warm-up, cosine and clipping, as the winners of this field train."""

from __future__ import annotations

import jax
import optax

from minenet.types import InputError


def schedule(*, steps: int, learning_rate: float, warmup: float) -> optax.Schedule:
    """Returns step → learning rate: linear up from 0, then a cosine down to 1 %.

    Args:
        steps: Of the whole training.
        learning_rate: At its highest.
        warmup: Share of the steps that rise, in 0..1.

    Raises:
        InputError: A value is out of its range.
    """
    if not 0 <= warmup < 1 or learning_rate <= 0 or steps < 1:
        raise InputError(
            f"config.optimizer: learning_rate={learning_rate} must be positive, "
            f"warmup={warmup} in 0..1, and config.train.steps={steps} at least 1"
        )
    rising = round(warmup * steps)
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0 if rising else learning_rate,
        peak_value=learning_rate,
        warmup_steps=rising,
        decay_steps=max(steps, rising + 1),
        end_value=learning_rate * 0.01,
    )


def build(
    *,
    steps: int,
    learning_rate: float = 1e-3,
    warmup: float = 0.05,
    weight_decay: float = 0.05,
    clip: float = 1.0,
) -> optax.GradientTransformation:
    """Returns the optimiser.

    Args:
        steps: Of the whole training.
        learning_rate: At its highest.
        warmup: Share of the steps in which it rises.
        weight_decay: Of kernels; biases and the parameters of norms do not decay.
        clip: Largest global norm of a gradient.
    """
    return optax.chain(
        optax.clip_by_global_norm(clip),
        optax.adamw(
            schedule(steps=steps, learning_rate=learning_rate, warmup=warmup),
            weight_decay=weight_decay,
            mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
        ),
    )
