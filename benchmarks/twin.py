"""The twin in torch of `minenet.models.unet`: the same layers, the same parameters."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import peers


def unet(bands: int, *, widths: Sequence[int], stem: int = 1):
    """Returns the `torch.nn.Module` of `models.build("unet", num_classes=1, …)`."""
    torch = peers.torch()
    nn = torch.nn

    def block(inputs: int, features: int) -> nn.Sequential:
        layers = []
        for channels in (inputs, features):
            groups = next(g for g in range(8, 0, -1) if features % g == 0)
            layers += [
                nn.Conv2d(channels, features, 3, padding=1, bias=False),
                nn.GroupNorm(groups, features),
                nn.ReLU(inplace=True),
            ]
        return nn.Sequential(*layers)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            inputs = (bands * stem**2, *widths[:-1])
            self.encoder = nn.ModuleList(map(block, inputs, widths))
            pairs = list(zip(widths[:-1], widths[1:], strict=True))[::-1]
            self.decoder = nn.ModuleList(
                block(below + skip, skip) for skip, below in pairs
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
            for part in self.decoder:
                x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
                x = part(torch.cat([x, skips.pop()], dim=1))
            x = self.head(x)
            return nn.functional.pixel_shuffle(x, stem) if stem > 1 else x

    return UNet()
