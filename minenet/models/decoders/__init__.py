"""Decoders by name: from an encoder's maps to those that logits are read off.

A decoder's `__call__(maps, train=)` takes five maps `[B, h, w, C]` at 1/2 to 1/32, the
finest first, and returns its own, the finest first.
"""

from __future__ import annotations

from minenet.models.decoders.deeplabv3plus import DeepLabV3Plus
from minenet.models.decoders.fpn import FPN
from minenet.models.decoders.unet import UNetDecoder
from minenet.models.decoders.unetpp import UNetPlusPlus
from minenet.models.decoders.upernet import UPerNet

DECODERS = {
    "deeplabv3plus": DeepLabV3Plus,
    "fpn": FPN,
    "unet": UNetDecoder,
    "unetpp": UNetPlusPlus,
    "upernet": UPerNet,
}
