"""A small training in memory: bright squares to be found among noise."""

import itertools

import jax
import numpy as np

from minenet import losses, models
from minenet.ops import augment, normalize
from minenet.train import loop, sharding

CHIP, BANDS, BATCH = 16, 2, 8


def batch(step, *, size=BATCH):
    """The global batch of a step: a function of the step alone."""
    generator = np.random.default_rng(step)
    target = np.zeros((size, CHIP, CHIP, 1), np.float32)
    for sample in target:
        row, col = generator.integers(0, CHIP - 6, 2)
        sample[row : row + 6, col : col + 6] = 1
    image = generator.normal(size=(size, CHIP, CHIP, BANDS)) + 2 * target
    image[:, :2, :2] = np.nan
    weight = np.ones((size, CHIP, CHIP), np.float32)
    weight[:, :2, :2] = 0
    return {
        "image": image.astype(np.float32),
        "target": target,
        "weight": weight,
        "index": np.arange(size, dtype=np.int32) + size * step,
    }


def part(batch, number, count):
    """This process's part of a global batch."""
    local = len(batch["index"]) // count
    return {k: v[number * local : (number + 1) * local] for k, v in batch.items()}


def fit(workdir, **changes):
    """Runs `loop.fit` on one device unless told otherwise."""
    model = {"name": "unet", "widths": (4, 8), "bottom_dropout": 0.2}
    model |= changes.pop("model", {})
    count, number = jax.process_count(), jax.process_index()
    options = {
        "num_bands": BANDS,
        "chip": (CHIP, CHIP),
        "task": "binary",
        "train_batches": lambda start: (
            part(batch(step), number, count) for step in itertools.count(start)
        ),
        "validation": lambda: [part(batch(s), number, count) for s in (900, 901)],
        "normalizer": normalize.zscore([0.0] * BANDS, [1.0] * BANDS),
        "augment": augment.batch(brightness=0.1),
        "loss": losses.build("bce_dice", task="binary"),
        "optimizer": {"learning_rate": 1e-2},
        "steps": 6,
        "batch_size": BATCH,
        "evaluate_every": 2,
        "seed": 0,
        "ema_decay": 0.9,
        "mesh": sharding.mesh(devices=jax.devices()[:1]),
    }
    name = model.pop("name")
    return loop.fit(
        workdir, model=models.build(name, num_classes=1, **model), **options | changes
    )
