"""Encoders by name: from an image to its maps at 1/2, 1/4, 1/8, 1/16 and 1/32.

`build(name)` returns a Flax module; `apply(variables, image, train=False)` gives a list
of five maps `[B, h, w, C]`, the finest first, of an image whose sides are multiples of
32. A level that an encoder does not have is a map without channels.
"""

from __future__ import annotations

import functools
from typing import Any

from flax import linen as nn

from minenet.models import options
from minenet.models.encoders.convnext import ConvNeXt
from minenet.models.encoders.resnet import ResNet
from minenet.models.encoders.vgg import VGG

_ENCODERS = {
    "convnext_tiny": functools.partial(ConvNeXt, width=96, blocks=(3, 3, 9, 3)),
    "resnet18": functools.partial(ResNet, width=64, blocks=(2, 2, 2, 2)),
    "resnet34": functools.partial(ResNet, width=64, blocks=(3, 4, 6, 3)),
    "resnet50": functools.partial(
        ResNet, width=64, blocks=(3, 4, 6, 3), bottleneck=True
    ),
    "vgg16_bn": functools.partial(VGG, width=64, blocks=(2, 2, 3, 3, 3)),
}


def names() -> list[str]:
    """Returns the names that `build` knows."""
    return sorted(_ENCODERS)


def build(
    name: str, /, *, width: int = 0, norm: str = "batch", **fields: Any
) -> nn.Module:
    """Returns the encoder `name`.

    Args:
        name: One of `names()`.
        width: Channels of the first stage; 0: those of the source.
        norm: One of `norms.NAMES`; ConvNeXt has its own.
        **fields: Further attributes of the encoder's class.

    >>> build("resnet34").blocks
    (3, 4, 6, 3)
    """
    options.check_choice("encoder", name, names())
    made = _ENCODERS[name]
    if made.func is not ConvNeXt:
        fields["norm"] = norm
    return made(**fields | ({"width": width} if width else {}))
