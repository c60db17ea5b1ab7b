"""The U-Net of mining-net."""

from __future__ import annotations

from typing import Any

from minenet.models.unet import UNet


class MiningUNet(UNet):
    """Convolution with bias, batch norm, ReLU; transposed convolution; dropout.

    That of mining-net (Schulz), which maps mines in seven bands of Landsat: 31 045 825
    parameters. Its other sizes are `widths=(64, 128, 256)` (1 867 713) and
    `widths=(128, 256, 512, 1024, 2048, 4096), dropout=0.2` (497 469 825). Its source
    computes what it means; the biases before a norm have no effect.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    upsample: str = "transpose"
    norm: str = "batch"
    dropout: float = 0.1

    @property
    def style(self) -> dict[str, Any]:
        """A bias beside the norm too."""
        return {**super().style, "bias": True}
