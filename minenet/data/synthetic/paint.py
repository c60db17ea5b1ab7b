"""What a scene is painted with: spectra of covers, soft edges, light on slopes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SPECTRA = {
    # Reflectance in blue, green, red, near infrared and two short-wave infrareds.
    "forest": (0.024, 0.044, 0.026, 0.255, 0.115, 0.050),
    "woodland": (0.034, 0.058, 0.042, 0.240, 0.150, 0.075),
    "grass": (0.046, 0.078, 0.064, 0.260, 0.205, 0.115),
    "dry_grass": (0.066, 0.098, 0.112, 0.235, 0.275, 0.185),
    "crop": (0.032, 0.072, 0.036, 0.420, 0.175, 0.080),
    "ripe": (0.060, 0.098, 0.092, 0.290, 0.240, 0.140),
    "stubble": (0.082, 0.112, 0.140, 0.235, 0.315, 0.225),
    "burnt": (0.042, 0.048, 0.056, 0.095, 0.150, 0.140),
    "soil": (0.078, 0.108, 0.150, 0.225, 0.315, 0.265),
    "red_soil": (0.056, 0.080, 0.136, 0.220, 0.310, 0.250),
    "rock": (0.104, 0.128, 0.152, 0.195, 0.265, 0.235),
    "pale": (0.138, 0.168, 0.196, 0.250, 0.300, 0.230),
    "sand": (0.112, 0.142, 0.174, 0.245, 0.320, 0.270),
    "water": (0.040, 0.040, 0.024, 0.015, 0.009, 0.006),
    "silt": (0.066, 0.092, 0.094, 0.052, 0.018, 0.011),
    "pond": (0.066, 0.112, 0.092, 0.040, 0.014, 0.010),
    "town": (0.094, 0.108, 0.120, 0.170, 0.195, 0.175),
    "asphalt": (0.078, 0.084, 0.090, 0.125, 0.155, 0.145),
    "roof": (0.210, 0.225, 0.240, 0.270, 0.290, 0.270),
}

BARE = ("soil", "red_soil", "rock", "pale")
"""Ground without plants, dug or not: what mines share with fields and outcrops."""


def spectrum(name: str) -> np.ndarray:
    """Returns the reflectance of a cover in each band, `[6]` float32."""
    return np.array(SPECTRA[name], np.float32)


def bare(generator: np.random.Generator) -> np.ndarray:
    """Returns the reflectance of some bare ground, `[6]`, between two kinds of it."""
    one, other = generator.choice(len(BARE), 2)
    part = generator.uniform(0, 1)
    colour = (1 - part) * spectrum(BARE[one]) + part * spectrum(BARE[other])
    return colour * generator.uniform(0.85, 1.15)


def mix(image: np.ndarray, cover: str | np.ndarray, share: np.ndarray) -> None:
    """Lays a cover over `image [H, W, 6]`, in place, with a share `[H, W]` in 0..1.

    The cover is a name, one reflectance `[6]`, or an image of its own `[H, W, 6]`.
    """
    colour = spectrum(cover) if isinstance(cover, str) else cover
    image += (colour - image) * np.clip(share, 0, 1)[..., None]


def texture(image: np.ndarray, factor: np.ndarray) -> None:
    """Brightens or darkens `image`, in place, by a factor `[H, W]`."""
    image *= np.clip(factor, 0.35, 1.8)[..., None]


def stroke(distance: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Returns the share of each pixel that a line of this width covers."""
    return np.clip(width / 2 + 0.5 - distance, 0, 1)


def soft(mask: np.ndarray, blur: float = 0.7) -> np.ndarray:
    """Returns a mask as shares, with pixels at its border mixed."""
    return ndimage.gaussian_filter(mask.astype(np.float32), blur)


def shade(height: np.ndarray) -> np.ndarray:
    """Returns the light on a surface, about 1; heights in pixels, sun at upper right.

    Lambert's cosine over that of flat ground, with a sun 45° high.
    """
    down, right = np.gradient(height)
    facing = 1 + (down - right) / np.sqrt(2)
    return np.clip(facing / np.sqrt(1 + down**2 + right**2), 0.3, 1.6)
