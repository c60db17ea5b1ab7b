"""The twin in torch of minenet's U-Nets: the same layers, the same parameters."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import peers


def unet(
    bands: int,
    *,
    widths: Sequence[int],
    stem: int = 1,
    norm: str = "group",
    bias: bool = False,
    transpose: bool = False,
    dropout: float = 0.0,
):
    """Returns the `torch.nn.Module` of `models.build("unet", num_classes=1, …)`.

    Args:
        bands: Of the image.
        widths: As those of `models.unet`; so are `stem`, `norm` and `dropout`.
        stem: Side of the squares that become one pixel.
        norm: "group" or "batch".
        bias: Whether a convolution has a bias beside its norm.
        transpose: Whether a transposed convolution enlarges, not the nearest pixel.
        dropout: Probability that a block drops a channel.
    """
    torch = peers.torch()
    nn = torch.nn

    def normalization(features: int) -> nn.Module:
        if norm == "batch":
            return nn.BatchNorm2d(features)
        groups = next(g for g in range(8, 0, -1) if features % g == 0)
        return nn.GroupNorm(groups, features)

    def block(inputs: int, features: int) -> nn.Sequential:
        layers = []
        for channels in (inputs, features):
            layers += [
                nn.Conv2d(channels, features, 3, padding=1, bias=bias),
                normalization(features),
                nn.ReLU(inplace=True),
            ]
        return nn.Sequential(*layers, nn.Dropout2d(dropout))

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            inputs = (bands * stem**2, *widths[:-1])
            self.encoder = nn.ModuleList(map(block, inputs, widths))
            pairs = list(zip(widths[:-1], widths[1:], strict=True))[::-1]
            self.enlargements = nn.ModuleList(
                nn.ConvTranspose2d(below, skip, 2, 2)
                if transpose
                else nn.UpsamplingNearest2d(scale_factor=2)
                for skip, below in pairs
            )
            self.decoder = nn.ModuleList(
                block((skip if transpose else below) + skip, skip)
                for skip, below in pairs
            )
            self.head = nn.Conv2d(widths[0], stem**2, 1)

        def forward(self, x):
            if stem > 1:
                x = nn.functional.pixel_unshuffle(x, stem)
            skips = []
            for level, part in enumerate(self.encoder):
                x = part(nn.functional.max_pool2d(x, 2) if level else x)
                skips.append(x)
            skips.pop()
            for enlarge, part in zip(self.enlargements, self.decoder, strict=True):
                x = part(torch.cat([enlarge(x), skips.pop()], dim=1))
            x = self.head(x)
            return nn.functional.pixel_shuffle(x, stem) if stem > 1 else x

    return UNet()
