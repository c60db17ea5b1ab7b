"""From windows to probabilities: one compiled program of one shape."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from minenet import models
from minenet.infer.bundle import Bundle
from minenet.ops import geometry, normalize
from minenet.train import sharding
from minenet.types import InputError

Predict = Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]
"""Windows `[w, w, C]` float32 with NaN → their probabilities `[w, w, K]` float32."""

INVERSE = (0, 1, 2, 3, 4, 6, 5, 7)
"""The element of `geometry.orient` that undoes each."""


def predictor(
    bundle: Bundle,
    *,
    batch_size: int,
    tta: bool = False,
    missing: Sequence[str | int] = (),
) -> Predict:
    """Returns the function that predicts a stream of windows of one size.

    They go through the devices in batches of one shape, cut over all local devices; the
    last one is filled up. So a job compiles once. A batch is fetched after the next one
    is dispatched: neither the devices nor the host wait for each other.

    Args:
        bundle: The model.
        batch_size: Windows at a time, over all local devices; rounded up to a multiple
            of their number.
        tta: Whether to average the logits over the eight orientations of a window
            (test-time augmentation), for eight times the work.
        missing: Names or 1-based numbers of bands that the model is to do without, as
            if no pixel had a value.

    Raises:
        InputError: The bundle has no such band.
    """
    options = dict(bundle.model)
    model = models.build(options.pop("name"), num_classes=bundle.num_classes, **options)
    mesh = sharding.mesh(devices=jax.local_devices())
    count = -(-batch_size // mesh.size) * mesh.size
    place = sharding.batch_sharding(mesh, 4)
    variables = jax.device_put(bundle.variables, sharding.replicated(mesh))
    run = jax.jit(
        functools.partial(
            probabilities,
            apply=model.apply,
            normalizer=bundle.normalizer,
            present=_present(bundle.contract.names, missing),
            exclusive=bundle.task == "exclusive",
            tta=tta,
        ),
        out_shardings=place,
    )

    def predict(windows: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        windows, before = iter(windows), []
        while parts := list(itertools.islice(windows, count)):
            batch = np.zeros((count, *parts[0].shape), np.float32)
            np.stack(parts, out=batch[: len(parts)])
            result = run(variables, jax.device_put(batch, place))
            yield from before
            before = _fetched(result, len(parts))
        yield from before

    return predict


def probabilities(
    variables: Any,
    image: jax.Array,
    *,
    apply: Callable[..., jax.Array],
    normalizer: normalize.Normalizer,
    exclusive: bool,
    tta: bool,
    present: np.ndarray | None = None,
) -> jax.Array:
    """Returns the probabilities `[B, H, W, K]` of an image `[B, H, W, C]` with NaN.

    Args:
        variables: Of the model.
        image: In raster units.
        apply: The model's.
        normalizer: Of the image.
        exclusive: Whether the classes exclude each other.
        tta: As that of `predictor`.
        present: `[C]`, False for bands to do without; None for all.
    """
    if present is not None:
        image = jnp.where(jnp.broadcast_to(present, image.shape), image, jnp.nan)
    image = normalize.apply(image, normalizer)
    if not tta:
        logits = apply(variables, image)
    else:
        logits = jnp.zeros(())
        for element, inverse in enumerate(INVERSE):
            turn, back = (
                jax.vmap(functools.partial(geometry.orient, element=e))
                for e in (element, inverse)
            )
            logits += back(apply(variables, turn(image))) / len(INVERSE)
    return jax.nn.softmax(logits) if exclusive else jax.nn.sigmoid(logits)


def _present(names: Sequence[str], missing: Sequence[str | int]) -> np.ndarray | None:
    present = np.ones(len(names), bool)
    for band in missing:
        number = names.index(band) + 1 if band in names else band
        if number not in range(1, len(names) + 1):
            raise InputError(
                f"predict.missing: no band {band!r}; the model has {', '.join(names)}, "
                "numbered from 1"
            )
        present[number - 1] = False
    return None if present.all() else present


def _fetched(result: jax.Array, count: int) -> Iterator[np.ndarray]:
    """Waits for the device when the first window is asked for, not before."""
    yield from np.asarray(result)[:count]
