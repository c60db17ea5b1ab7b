"""How chips lie in a store: arrays, chunks, shards and codecs as Zarr v3 says them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, get_args

import numpy as np

from minenet.types import IGNORE, InputError

Codec = Literal["none", "zstd", "blosc"]
"""Uncompressed, plain Zstandard, or Zstandard after Blosc's shuffle of bits, which
suits floats and 16-bit integers."""

DTYPES = ("float32", "uint8", "uint16", "int16")
"""What images may be stored as; a float32 holds each of the others exactly."""

LEVEL = 3
SHARD_BYTES = 32 << 20
"""About the size of a shard: a task's memory is a few of them, and a bucket likes few
objects. Files of many chips cost nothing to read, for chunks are read one by one."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The arrays of a store.

    Attributes:
        chips: number of chips, `N`.
        size: side of a chip in pixels.
        bands: names of the channels of `image`.
        dtype: of `image`. A float32 is NaN where it is not valid; for integers an array
            `valid` tells, which takes no space where all is valid.
        codec: of `image`; the other arrays are small with any.
        chunk: side of the squares that a chip is read in; divides `size`.
        shard: number of chips that one file or object holds.
        planes: layers of a `target` whose classes overlap; 0 where it holds class ids.
    """

    chips: int
    size: int
    bands: tuple[str, ...]
    dtype: str = "float32"
    codec: Codec = "none"
    chunk: int = 0
    shard: int = 0
    planes: int = 0

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise InputError(
                f"store.dtype: {self.dtype!r}, expected one of {', '.join(DTYPES)}"
            )
        if self.codec not in get_args(Codec):
            raise InputError(
                f"store.codec: {self.codec!r}, expected one of "
                f"{', '.join(get_args(Codec))}"
            )
        # Half a side: a window anywhere touches 9 chunks, 2.25 times its own pixels,
        # where whole chips would cost 4 times.
        chunk = self.chunk or (self.size if self.size % 2 else self.size // 2)
        bytes_ = self.size**2 * len(self.bands) * np.dtype(self.dtype).itemsize
        shard = self.shard or min(self.chips, max(1, SHARD_BYTES // bytes_))
        if chunk < 1 or self.size % chunk:
            raise InputError(
                f"store.chunk: {chunk}, expected a divisor of the chip's side "
                f"{self.size}"
            )
        if shard < 1:
            raise InputError(f"store.shard: {shard} chips, expected at least one")
        object.__setattr__(self, "chunk", chunk)
        object.__setattr__(self, "shard", shard)

    @property
    def shards(self) -> int:
        """How many shards there are, the last one perhaps shorter."""
        return math.ceil(self.chips / self.shard)

    def rows(self, shard: int) -> slice:
        """Returns the chips of a shard."""
        return slice(shard * self.shard, min((shard + 1) * self.shard, self.chips))

    def arrays(self) -> dict[str, dict[str, Any]]:
        """Returns the Zarr metadata of each array of chips, by its name."""
        bands, plane = ("band",), ("class",) * bool(self.planes)
        invalid = "NaN" if self.dtype == "float32" else 0
        made = {
            "image": self._array(self.dtype, invalid, self.codec, bands),
            "target": self._array("uint8", IGNORE, self.codec, plane),
        }
        if self.dtype != "float32":
            made["valid"] = self._array("bool", True, self.codec, bands)
        return made

    def _array(self, dtype, fill, codec, last: tuple[str, ...]) -> dict[str, Any]:
        depth = {"band": len(self.bands), "class": self.planes}
        tail = [depth[name] for name in last]
        codecs = [*_codecs(codec, np.dtype(dtype).itemsize)]
        inner = {"chunk_shape": [1, self.chunk, self.chunk, *tail], "codecs": codecs}
        grid = {"chunk_shape": [self.shard, self.size, self.size, *tail]}
        return {
            "shape": [self.chips, self.size, self.size, *tail],
            "data_type": dtype,
            "fill_value": fill,
            "chunk_grid": {"name": "regular", "configuration": grid},
            "codecs": [{"name": "sharding_indexed", "configuration": inner}],
            "dimension_names": ["chip", "y", "x", *last],
        }

    def encode(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Returns `image [..., C]` float32 with NaN as the store holds it.

        Raises:
            InputError: an integer type that does not hold the values.
        """
        if self.dtype == "float32":
            return {"image": image}
        valid = ~np.isnan(image)
        known = np.where(valid, image, np.float32(0))
        with np.errstate(invalid="ignore"):
            stored = known.astype(self.dtype)
        if not np.array_equal(stored, known):
            raise InputError(
                f"store.dtype: {self.dtype} does not hold every value of the images; "
                "choose float32"
            )
        return {"image": stored, "valid": valid}


def decode(image: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """Returns the float32 with NaN that `Layout.encode` took."""
    if valid is None:
        return image
    values = image.astype(np.float32)
    if not valid.all():
        values[~valid] = np.nan
    return values


def _codecs(codec: Codec, itemsize: int) -> list[dict[str, Any]]:
    chain = [{"name": "bytes", "configuration": {"endian": "little"}}]
    if itemsize == 1:
        chain = [{"name": "bytes"}]
    if codec == "zstd":
        chain.append({"name": "zstd", "configuration": {"level": LEVEL}})
    if codec == "blosc":
        options = {"cname": "zstd", "clevel": LEVEL, "shuffle": "bitshuffle"}
        options |= {"typesize": itemsize, "blocksize": 0}
        chain.append({"name": "blosc", "configuration": options})
    return chain
