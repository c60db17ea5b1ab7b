"""The published networks, made so small that they compile in a moment."""

import functools

import jax
import numpy as np

from minenet import models

KEY = jax.random.key(0)
# By variant: the name and what makes it small; each compiled function serves all tests.
NARROW = {
    "plain": ("plain_unet", {"widths": (4, 6, 8)}),
    "deepsense": ("deepsense_unet", {"width": 4, "poolings": 3}),
    "deepsense, as meant": (
        "deepsense_unet",
        {"width": 4, "poolings": 2, "norm": "batch", "bottom_convolutions": 2},
    ),
    "mining": ("mining_unet", {"widths": (4, 6, 8)}),
    "deforestation": ("deforestation_unet", {"widths": (4, 6, 8)}),
    "deforestation, as meant": (
        "deforestation_unet",
        {"widths": (4, 6), "norm": "batch", "upsample": "transpose"},
    ),
    "full scale": ("full_scale_unet", {"widths": (4, 6, 8, 10)}),
    "elu": ("elu_unet", {"widths": (4, 6)}),
    "elu, cropped": ("elu_unet", {"widths": (4, 6), "crop": 3}),
    "separable": (
        "separable_unet",
        {"widths": (4, 6, 8), "decoder_widths": (8, 6, 4)},
    ),
    "context": ("context_net", {"width": 4, "dilations": (1, 2), "border": 3}),
    "resenc": (
        "resenc_unet",
        {"widths": (4, 8, 8), "blocks": (1, 2, 1), "deep_supervision": 1},
    ),
    "attention": ("attention_unet", {"widths": (4, 6, 8, 10)}),
}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def build(variant, **options):
    name, small = NARROW[variant]
    return models.build(name, num_classes=2, **small | options)


@functools.cache
def variables_of(variant):
    """Variables drawn on the host, none at rest: nothing to compile, nothing hidden."""
    draw = np.random.default_rng(1)

    def value(path, leaf):
        name = path[-1].key
        if name == "kernel":
            spread = (2 / np.prod(leaf.shape[:-1])) ** 0.5
            found = draw.normal(scale=spread, size=leaf.shape)
        elif name in ("scale", "var"):
            found = draw.uniform(0.5, 1.5, size=leaf.shape)
        else:
            found = draw.normal(scale=0.1, size=leaf.shape)
        return found.astype(leaf.dtype)

    shapes = jax.eval_shape(build(variant).init, KEY, normal(1, 16, 16, 3))
    return jax.tree.map_with_path(value, shapes)


@functools.cache
def predicted(variant):
    """Logits of an image that needs no padding, in both types."""
    image = normal(2, 16, 24, 3)
    exact, low = (build(variant, dtype=dtype) for dtype in ("float32", "bfloat16"))

    @jax.jit
    def both(variables):
        return exact.apply(variables, image), low.apply(variables, image)

    return image, *both(variables_of(variant))


@functools.cache
def trained(variant, **options):
    """Logits, updated statistics and gradient of a step on an image of odd size."""
    image = normal(2, 13, 18, 3)
    model, variables = build(variant, **options), variables_of(variant)

    @jax.jit
    def step(params):
        def loss(params):
            (logits, further), updated = model.apply(
                {**variables, "params": params},
                image,
                train=True,
                auxiliary=True,
                rngs={"dropout": KEY},
                mutable=["batch_stats"],
            )
            maps = [logits, *further.values()]
            return sum((m * m).sum() for m in maps), (logits, updated)

        return jax.value_and_grad(loss, has_aux=True)(params)

    (_, (logits, updated)), gradient = step(variables["params"])
    return logits, updated.get("batch_stats", {}), gradient
