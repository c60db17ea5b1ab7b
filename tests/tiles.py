"""Small scenes with known content, for tests of what reads and divides them."""

import struct
import zlib

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from minenet.data.formats import dstl_wkt
from minenet.geo import handles
from minenet.geo.grids import Grid

UTM = CRS.from_epsg(32723)


def at(x_m=0.0, y_m=0.0, gsd_m=10.0):
    """The affine of a scene whose top left corner lies metres from a fixed point."""
    return Affine(gsd_m, 0, 500_000 + x_m, 0, -gsd_m, 8_000_000 + y_m)


def grid(height, width):
    """A grid without a place on the ground."""
    return Grid(None, Affine.identity(), height, width)


def save(path, image, *, names=None, **options):
    """Writes with rasterio itself, so that no test reads only what we wrote."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image[..., None] if image.ndim == 2 else image
    height, width, count = image.shape
    shape = {"height": height, "width": width, "count": count, "dtype": image.dtype}
    place = {"driver": "GTiff", "crs": UTM, "transform": at()}
    if path.suffix == ".png":
        place = {"driver": "PNG"}
    with handles.open_quietly(path, "w", **shape, **place | options) as file:
        file.write(np.moveaxis(image, -1, 0))
        if names:
            file.descriptions = names
    return path


def picture(height=64, width=64, count=3, seed=0):
    """An image in which no value is 0."""
    generator = np.random.default_rng(seed)
    return generator.integers(1, 999, (height, width, count)).astype(np.uint16)


def mask(height=64, width=64, seed=0, share=0.2):
    """A mask with a rectangle of ones that covers about `share`, or none at all."""
    generator = np.random.default_rng(seed)
    found = np.zeros((height, width), np.uint8)
    rows, cols = (int(n * share**0.5) for n in (height, width))
    row, col = (
        generator.integers(height - rows + 1),
        generator.integers(width - cols + 1),
    )
    found[row : row + rows, col : col + cols] = 1
    return found


def folder(path, count=6, size=64, share=0.2, classes=1):
    """Writes `img/img_<i>.tif` and `mask/mask_<i>.tif` at distinct places."""
    for i in range(count):
        place = {"transform": at(x_m=10_000 * i)}
        save(path / f"img/img_{i}.tif", picture(size, size, seed=i), **place)
        labels = mask(size, size, i, share) * np.uint8(1 + i % classes)
        save(path / f"mask/mask_{i}.tif", labels, **place)
    return {"images": path / "img", "masks": path / "mask"}


def bomb_png(side):
    """A PNG that claims side x side pixels of 3 bytes, and has none."""

    def chunk(kind, data):
        checked = kind + data
        crc = struct.pack(">I", zlib.crc32(checked))
        return struct.pack(">I", len(data)) + checked + crc

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def dstl(root, labels, sizes):
    """Writes the folder of DSTL's challenge.

    Args:
        root: folder.
        labels: picture → its `[48, 52, 10]`; other pictures have none.
        sizes: picture → Xmax, Ymin.
    """
    for i, name in enumerate(sizes):
        rasters = {
            "three_band/{}.tif": (48, 52, 3),
            "sixteen_band/{}_P.tif": (48, 52, 1),
            "sixteen_band/{}_M.tif": (12, 13, 8),
            "sixteen_band/{}_A.tif": (6, 7, 8),
        }
        for seed, (place, shape) in enumerate(rasters.items()):
            image = picture(*shape, seed=10 * i + seed)
            options = {"crs": None, "transform": None}
            save(root / place.format(name), image, **options)
    rows = [f"{name},{x},{y}" for name, (x, y) in sizes.items()]
    (root / "grid_sizes.csv").write_text("\n".join([",Xmax,Ymin", *rows]) + "\n")
    dstl_wkt.write(root / "train_wkt_v4.csv", labels.items(), sizes)
    return root
