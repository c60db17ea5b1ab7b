"""The seven-level U-Net of Detecting_Mining_Areas_India."""

from __future__ import annotations

from minenet.models.unet import UNet


class PlainUNet(UNet):
    """Seven poolings, nearest enlargement, no norm.

    `Unet` of Detecting_Mining_Areas_India (ICTD, IIT Delhi), which maps mines in twelve
    bands of Sentinel-2: 125 837 713 parameters. Its source computes what it means.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024, 2048)
    norm: str = "none"
