"""Segmentation networks by name.

`build(name, num_classes=K, **options)` returns a Flax module: `init(key, image)` gives
its variables, `apply(variables, image, train=False)` the logits `[B, H, W, K]` float32
of a normalised `[B, H, W, C]`. Variables live in `params` and `batch_stats` only.
"""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from flax import linen as nn

from minenet.models.linear import Linear
from minenet.models.unet import UNet
from minenet.types import InputError

_MODELS: dict[str, type[nn.Module]] = {"linear": Linear, "unet": UNet}


def names() -> list[str]:
    """Returns the names that `build` knows."""
    return sorted(_MODELS)


def build(name: str, *, num_classes: int, **options: Any) -> nn.Module:
    """Returns the model `name` with `num_classes` logits a pixel.

    Args:
        name: One of `names()`.
        num_classes: `K`, the channels of the logits.
        **options: Those of the model; lists, as JSON gives them, serve as tuples.

    Raises:
        InputError: If the name or an option is not known, or a value not allowed.

    >>> build("unet", num_classes=1, widths=(8, 16)).widths
    (8, 16)
    """
    if name not in _MODELS:
        raise InputError(f"model.name={name!r}: {_nearest(name, names())}")
    model = _MODELS[name]
    own = {field.name for field in dataclasses.fields(model)}
    known = sorted(own - {"parent", "name", "num_classes"})
    for option in options:
        if option not in known:
            raise InputError(
                f"model.{option}: {name} has no such option; {_nearest(option, known)}"
            )
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    return model(num_classes=num_classes, **options)


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.0)
    hint = f"the nearest is {near[0]!r}, " if near else ""
    return f"{hint}known are {', '.join(known) or 'none'}"
