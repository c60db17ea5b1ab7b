"""Bundles at hand for tests of maps: models that were never trained."""

import jax
import numpy as np

from minenet import models
from minenet.infer.bundle import Bundle, Contract
from minenet.ops import normalize

LINEAR = {"name": "linear"}
UNET = {"name": "unet", "widths": [4, 8]}


def bundle(
    *, bands=3, classes=("mine",), model=LINEAR, names=None, window=16, **changes
):
    """A bundle with random weights, for scenes whose values go up to about 1000."""
    module = models.build(
        model["name"],
        num_classes=len(classes),
        **{k: v for k, v in model.items() if k != "name"},
    )
    # Shapes alone: to compile an initialisation takes longer than most tests.
    image = np.zeros((1, window, window, bands), np.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), image)
    generator = np.random.default_rng(1)
    variables = jax.tree.map(
        lambda leaf: generator.normal(0, 0.5, leaf.shape).astype(np.float32), shapes
    )
    exclusive = len(classes) > 1
    return Bundle(
        **{
            "model": dict(model),
            "variables": variables,
            "task": "exclusive" if exclusive else "binary",
            "classes": classes,
            "contract": contract(bands, names),
            "normalizer": normalize.zscore([500.0] * bands, [290.0] * bands),
            "threshold": None if exclusive else 0.5,
            "window": window,
            "origin": {"step": 0, "seed": 1},
        }
        | changes
    )


def contract(bands, names=None):
    """The contract of scenes that are one image, with names for its bands or none."""
    own = names or tuple(f"band_{i + 1}" for i in range(bands))
    return Contract(
        names=own,
        own=own,
        images=(0,) * bands,
        places=tuple(range(bands)),
        counts=(bands,),
        described=names is not None,
        scaled=False,
    )


def untiled(bundle, image):
    """Probabilities of a linear model without windows, in float64; NaN → NaN.

    Args:
        bundle: with the linear model.
        image: `[H, W, C]` with NaN.
    """
    (layer,) = bundle.variables["params"].values()
    scaled = (image - bundle.normalizer.offset) / bundle.normalizer.scale
    logits = np.nan_to_num(scaled.astype(float)) @ layer["kernel"] + layer["bias"]
    if bundle.task == "exclusive":
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probability = odds / odds.sum(axis=-1, keepdims=True)
    else:
        probability = 1 / (1 + np.exp(-logits))
    probability[np.isnan(image).all(axis=-1)] = np.nan
    return probability
