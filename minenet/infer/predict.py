"""From windows to probabilities: one compiled program of one shape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from minenet import models
from minenet.infer.bundle import Bundle
from minenet.ops import normalize
from minenet.ops.geometry import orient
from minenet.train import sharding

Predict = Callable[[np.ndarray], np.ndarray]
"""`[n, window, window, C]` float32 with NaN → `[n, window, window, K]` probabilities."""

INVERSE = (0, 1, 2, 3, 4, 6, 5, 7)
"""The element of the square's symmetries that undoes each."""


def predictor(bundle: Bundle, *, batch_size: int, tta: bool = False) -> Predict:
    """Returns the function that predicts any number of windows.

    They go through the devices in batches of one shape, cut over all local devices; the
    last one is filled up. So a job compiles once.

    Args:
        bundle: The model.
        batch_size: Windows at a time, over all local devices; rounded up to a multiple
            of their number.
        tta: Whether to average the logits over the eight orientations of a window.
    """
    model = models.build(
        bundle.model["name"],
        num_classes=bundle.num_classes,
        **{k: v for k, v in bundle.model.items() if k != "name"},
    )
    mesh = sharding.mesh(devices=jax.local_devices())
    count = -(-batch_size // mesh.size) * mesh.size
    place = sharding.batch_sharding(mesh, 4)
    variables = jax.device_put(bundle.variables, sharding.replicated(mesh))
    run = jax.jit(
        functools.partial(
            _probabilities,
            apply=model.apply,
            normalizer=bundle.normalizer,
            exclusive=bundle.task == "exclusive",
            tta=tta,
        ),
        out_shardings=place,
    )

    def predict(image: np.ndarray) -> np.ndarray:
        done = []
        for first in range(0, len(image), count):
            part = image[first : first + count]
            fill = np.zeros((count - len(part), *part.shape[1:]), part.dtype)
            batch = jax.device_put(np.concatenate([part, fill]), place)
            done.append((len(part), run(variables, batch)))
        # Fetched after all are dispatched: the device does not wait for the host.
        return np.concatenate([np.asarray(p)[:n] for n, p in done])

    return predict


def _probabilities(
    variables: Any,
    image: jax.Array,
    *,
    apply: Callable[..., jax.Array],
    normalizer: normalize.Normalizer,
    exclusive: bool,
    tta: bool,
) -> jax.Array:
    image = normalize.apply(image, normalizer)
    if not tta:
        logits = apply(variables, image)
    else:
        logits = jnp.zeros(())
        for element, inverse in enumerate(INVERSE):
            turned = jax.vmap(functools.partial(orient, element=element))(image)
            back = functools.partial(orient, element=inverse)
            logits += jax.vmap(back)(apply(variables, turned)) / len(INVERSE)
    return jax.nn.softmax(logits) if exclusive else jax.nn.sigmoid(logits)
