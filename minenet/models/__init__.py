"""Segmentation networks by name.

`build(name, num_classes=K, **options)` returns a Flax module: `init(key, image)` gives
its variables, `apply(variables, image, train=False)` the logits `[B, H, W, K]` float32
of a normalised `[B, H, W, C]`. Variables live in `params` and `batch_stats` only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

from minenet.models.attention_unet import AttentionUNet
from minenet.models.context_net import ContextNet
from minenet.models.deepsense_unet import DeepsenseUNet
from minenet.models.deforestation_unet import DeforestationUNet
from minenet.models.elu_unet import EluUNet
from minenet.models.encoder_decoder import EncoderDecoder
from minenet.models.full_scale_unet import FullScaleUNet
from minenet.models.fusion import LateFusion
from minenet.models.linear import Linear
from minenet.models.mining_unet import MiningUNet
from minenet.models.options import check_known
from minenet.models.plain_unet import PlainUNet
from minenet.models.resenc_unet import ResEncUNet
from minenet.models.segmenter import Segmenter
from minenet.models.separable_unet import SeparableUNet
from minenet.models.unet import UNet

_MODELS: dict[str, Callable[..., Segmenter]] = {
    "attention_unet": AttentionUNet,
    "context_net": ContextNet,
    "convnext_unet": partial(EncoderDecoder, encoder="convnext_tiny"),
    "deeplabv3plus": partial(EncoderDecoder, decoder="deeplabv3plus", dropout=0.5),
    "deepsense_unet": DeepsenseUNet,
    "deforestation_unet": DeforestationUNet,
    "early_fusion": EncoderDecoder,
    "elu_unet": EluUNet,
    "fpn": partial(EncoderDecoder, decoder="fpn", dropout=0.2),
    "full_scale_unet": FullScaleUNet,
    "late_fusion": LateFusion,
    "linear": Linear,
    "mining_unet": MiningUNet,
    "plain_unet": PlainUNet,
    "resenc_unet": ResEncUNet,
    "resnet_unet": EncoderDecoder,
    "separable_unet": SeparableUNet,
    "unet": UNet,
    "unetpp": partial(EncoderDecoder, decoder="unetpp"),
    "upernet": partial(EncoderDecoder, decoder="upernet"),
    "vgg_unet": partial(EncoderDecoder, encoder="vgg16_bn"),
}


def names() -> list[str]:
    """Returns the names that `build` knows."""
    return sorted(_MODELS)


def build(name: str, *, num_classes: int, **options: Any) -> Segmenter:
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
    known = sorted(defaults(name))
    for option in options:
        check_known(f"model.{option}: {name} has no such option", option, known)
    options = {option: _tuple(value) for option, value in options.items()}
    return _MODELS[name](num_classes=num_classes, **options)


def defaults(name: str) -> dict[str, Any]:
    """Returns the options of the model `name`, with their defaults.

    Raises:
        InputError: If there is no such model.

    >>> defaults("fpn")["dropout"]
    0.2
    """
    check_known(f"model.name={name!r}: no such model", name, names())
    model, own = _MODELS[name], {}
    if isinstance(model, partial):
        model, own = model.func, model.keywords
    fields = {field.name: field.default for field in dataclasses.fields(model)}
    for framework in ("parent", "name", "num_classes"):
        del fields[framework]
    return fields | own


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list | tuple) else value
