"""Land without mines: forest, grass, fields, water, towns, roads and bare ground."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from minenet.data.synthetic import noise

SPECTRA = {
    # Reflectance in blue, green, red, near infrared and two short-wave infrareds.
    "forest": (0.030, 0.056, 0.032, 0.270, 0.130, 0.060),
    "grass": (0.052, 0.092, 0.080, 0.260, 0.220, 0.130),
    "crop": (0.042, 0.088, 0.048, 0.400, 0.180, 0.090),
    "stubble": (0.080, 0.110, 0.140, 0.230, 0.300, 0.220),
    "soil": (0.085, 0.120, 0.170, 0.250, 0.340, 0.290),
    "red_soil": (0.062, 0.092, 0.145, 0.235, 0.320, 0.260),
    "sand": (0.115, 0.148, 0.185, 0.260, 0.340, 0.300),
    "rock": (0.110, 0.138, 0.168, 0.210, 0.280, 0.250),
    "tailings": (0.125, 0.150, 0.175, 0.230, 0.280, 0.210),
    "water": (0.045, 0.045, 0.030, 0.018, 0.010, 0.006),
    "river": (0.070, 0.095, 0.090, 0.050, 0.016, 0.010),
    "pond": (0.070, 0.120, 0.095, 0.045, 0.015, 0.010),
    "town": (0.110, 0.122, 0.135, 0.190, 0.210, 0.190),
    "asphalt": (0.085, 0.090, 0.095, 0.120, 0.150, 0.140),
}


def spectrum(name: str) -> np.ndarray:
    """Returns the reflectance of a cover in each band, `[6]` float32."""
    return np.array(SPECTRA[name], np.float32)


def mix(image: np.ndarray, name: str, share: np.ndarray) -> None:
    """Lays a cover over `image [H, W, 6]`, in place, with a share `[H, W]` in 0..1."""
    share = np.clip(share, 0, 1)[..., None]
    image += (spectrum(name) - image) * share


def soft(distance: np.ndarray, width: float) -> np.ndarray:
    """Returns the share of a pixel that a line of this width covers."""
    return np.clip(width / 2 + 0.5 - distance, 0, 1)


def landscape(
    generator: np.random.Generator, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns reflectance `[H, W, 6]` and where no mine may begin, `[H, W]` bool."""
    hills = noise.fractal(generator, shape, slope=3.0)
    grain = noise.fractal(generator, shape, slope=0.4)
    image = np.empty((*shape, 6), np.float32)
    image[...] = spectrum("grass")
    wild = noise.fractal(generator, shape, slope=2.4)
    mix(image, "red_soil", 0.35 * (noise.fractal(generator, shape, slope=1.6) > 0.9))
    forest = ndimage.gaussian_filter((wild > 0.0).astype(np.float32), 0.8)
    mix(image, "forest", forest)
    # Crowns cast shadows: forest is rougher than grass.
    light = np.gradient(hills)[1] * 3.0
    image *= (1 + 0.9 * light + 0.05 * grain * (1 + 2 * forest))[..., None].clip(
        0.55, 1.5
    )
    farmed = ndimage.gaussian_filter(
        (noise.fractal(generator, shape, slope=2.8) > 0.45).astype(np.float32), 1.0
    )
    _fields(generator, image, farmed)
    _outcrops(generator, image, farmed)
    town = _towns(generator, image)
    busy = town
    for _ in range(int(generator.integers(2, 5))):
        distance = noise.path(generator, shape, wander=0.25)
        kind = "asphalt" if generator.random() < 0.4 else "soil"
        mix(image, kind, soft(distance, generator.uniform(0.8, 1.6)) * 0.85)
    river = noise.path(generator, shape, wander=0.9)
    busy |= _river(generator, image, river)
    lake = noise.fractal(generator, shape, slope=3.2) > 2.3
    mix(image, "water", ndimage.gaussian_filter(lake.astype(np.float32), 0.6))
    return image, busy | lake


def _fields(generator, image, farmed) -> None:
    shape = farmed.shape
    number, border = noise.parcels(generator, shape, side=generator.uniform(16, 30))
    count = int(number.max()) + 1
    covers = ("crop", "crop", "stubble", "grass", "soil", "red_soil", "tailings")
    kind = generator.choice(
        len(covers), count, p=(0.2, 0.15, 0.2, 0.15, 0.14, 0.1, 0.06)
    )
    shade = generator.uniform(0.82, 1.18, count).astype(np.float32)
    furrow = 1 + 0.04 * noise.fractal(generator, shape, slope=0.8)
    fields = np.array([SPECTRA[cover] for cover in covers], np.float32)[kind[number]]
    fields *= (shade[number] * furrow)[..., None]
    share = farmed * np.clip(border - 0.6, 0, 1)
    # Between the fields run hedges and tracks.
    mix(image, "grass", farmed * 0.8)
    image += (fields - image) * (0.9 * share)[..., None]


def _outcrops(generator, image, farmed) -> None:
    """Bare ground of natural outline: the colour of a mine, and none of its order."""
    bare = noise.fractal(generator, farmed.shape, slope=2.2)
    share = ndimage.gaussian_filter((bare > 1.75).astype(np.float32), 0.8)
    rough = 1 + 0.12 * noise.fractal(generator, farmed.shape, slope=1.0)
    ground = np.array(image)
    mix(ground, generator.choice(["rock", "soil", "tailings"]), np.ones(farmed.shape))
    image += (ground * rough[..., None] - image) * (share * (1 - farmed))[..., None]


def _towns(generator, image) -> np.ndarray:
    shape = image.shape[:2]
    rows, cols = np.indices(shape)
    town = np.zeros(shape, bool)
    for _ in range(int(generator.integers(1, 4))):
        centre = generator.uniform(0, 1, 2) * shape
        radius = generator.uniform(15, 45) * (1 + 0.3 * noise.fractal(generator, shape))
        town |= np.hypot(rows - centre[0], cols - centre[1]) < radius
    number, border = noise.parcels(generator, shape, side=6)
    roofs = generator.uniform(0.6, 1.9, int(number.max()) + 1).astype(np.float32)[
        number
    ]
    built = spectrum("town") * roofs[..., None]
    built[border < 1.2] = spectrum("asphalt")
    green = generator.random(int(number.max()) + 1)[number] < 0.25
    built[green & (border >= 1.2)] = spectrum("grass")
    image += (built - image) * (town * 0.9)[..., None]
    return town


def _river(generator, image, distance) -> np.ndarray:
    width = generator.uniform(5, 12) * (
        1 + 0.35 * noise.fractal(generator, distance.shape, slope=2.6)
    )
    width = np.maximum(width, 3)
    bank = noise.fractal(generator, distance.shape, slope=2.2)
    bar = (distance < width * 1.5) & (bank > 0.75)
    wood = soft(distance, 3.2 * width) * (bank > -0.6)
    mix(image, "forest", 0.8 * wood)
    mix(image, "river", soft(distance, width))
    ripple = 1 + 0.06 * noise.fractal(generator, distance.shape, slope=1.0)
    sand = ndimage.gaussian_filter(bar.astype(np.float32), 0.6)
    mix(image, "sand", sand)
    image *= (1 + sand * (ripple - 1))[..., None]
    return distance < width + 4
