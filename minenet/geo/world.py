"""One grid of tiles for the whole world: a tile has the same two numbers everywhere.

The grid of mining-net: EPSG:4326, pixels of about 30 m at the equator, tiles of 256²
numbered `tile_ix` from the north and `tile_iy` from the west. Chips of different years,
sensors and jobs that bear the same numbers show the same ground, pixel by pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from shapely.geometry.base import BaseGeometry

from minenet.geo.windows import Window
from minenet.types import InputError

CRS = "EPSG:4326"

TOUCHING = 1e-6
"""Part of a pixel by which ground must reach into a tile to lie in it."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels and tiles of the world.

    Pixels are snapped to the origin of longitude and latitude, as odc-geo does, so the
    grid begins a fraction of a pixel beyond 180° West and 90° North. The last tiles in
    the south and east reach beyond the world: all tiles have one size.

    Attributes:
        resolution: side of a pixel in degrees.
        size: side of a tile in pixels.

    >>> Grid().height, Grid().width
    (667916, 1335832)
    >>> Grid().tile_of(-44.95, -18.05)
    (1566, 1957)
    """

    resolution: float = 0.000269495
    size: int = 256

    def __post_init__(self):
        if not 0 < self.resolution <= 1 or self.size < 1:
            raise InputError(
                f"resolution: {self.resolution}, size: {self.size}, expected degrees "
                "above 0 and up to 1, and at least one pixel"
            )

    @property
    def height(self) -> int:
        """Pixels from north to south."""
        return 2 * math.ceil(90 / self.resolution)

    @property
    def width(self) -> int:
        """Pixels from west to east."""
        return 2 * math.ceil(180 / self.resolution)

    @property
    def shape(self) -> tuple[int, int]:
        """Tiles from north to south and from west to east."""
        return -(-self.height // self.size), -(-self.width // self.size)

    def tile_of(self, lon: float, lat: float) -> tuple[int, int]:
        """Returns `(tile_ix, tile_iy)` of the tile that holds a point.

        Raises:
            InputError: no such place on Earth.
        """
        ix, iy, _, _ = self.span(np.array([[lon, lat, lon, lat]]))[0].tolist()
        return ix, iy

    def span(self, bounds: np.ndarray) -> np.ndarray:
        """Returns the tiles that boxes reach into, `[N, 4]` int.

        Args:
            bounds: `[N, 4]` west, south, east, north in degrees.

        Returns:
            First `tile_ix`, first `tile_iy`, last `tile_ix`, last `tile_iy` of each.

        Raises:
            InputError: a box that is not on Earth.
        """
        bounds = np.asarray(bounds, float).reshape(-1, 4)
        far = np.abs(bounds) > [180, 90, 180, 90]
        wrong = far.any(1) | ~np.isfinite(bounds).all(1)
        if wrong.any():
            raise InputError(
                f"bounds: {bounds[wrong][0].tolist()}, expected degrees of longitude "
                "-180 to 180 and latitude -90 to 90; give polygons in EPSG:4326"
            )
        side = self.size * self.resolution
        west, south, east, north = bounds.T
        x, y = self.width // 2 * self.resolution, self.height // 2 * self.resolution
        first = np.floor(np.stack([y - north, x + west], 1) / side)
        # What ends at the edge of a tile does not lie in the next.
        rim = TOUCHING / self.size
        last = np.ceil(np.stack([y - south, x + east], 1) / side - rim) - 1
        return np.concatenate([first, np.maximum(first, last)], 1).astype(np.int64)

    def window(self, tile_ix: int, tile_iy: int) -> Window:
        """Returns a tile as a window into the world's pixels.

        Raises:
            ValueError: no such tile.
        """
        rows, columns = self.shape
        if not (0 <= tile_ix < rows and 0 <= tile_iy < columns):
            raise ValueError(
                f"tile ({tile_ix}, {tile_iy}) is not one of {rows} x {columns} tiles"
            )
        return Window(tile_ix * self.size, tile_iy * self.size, self.size, self.size)

    def affine(self, tile_ix: int, tile_iy: int) -> Affine:
        """Returns the affine of a tile, pixel (col, row) → (lon, lat)."""
        tile, step = self.window(tile_ix, tile_iy), self.resolution
        west = (tile.col - self.width // 2) * step
        north = (self.height // 2 - tile.row) * step
        return Affine(step, 0, west, 0, -step, north)

    def bounds(self, tile_ix: int, tile_iy: int) -> tuple[float, float, float, float]:
        """Returns west, south, east, north of a tile in degrees."""
        tile, step = self.window(tile_ix, tile_iy), self.resolution
        left, right = tile.col - self.width // 2, tile.col_stop - self.width // 2
        top, bottom = self.height // 2 - tile.row, self.height // 2 - tile.row_stop
        return left * step, bottom * step, right * step, top * step

    def tiles(self, geometry: BaseGeometry) -> list[tuple[int, int]]:
        """Returns the tiles that a geometry reaches into, row by row from the north.

        What merely touches the edge of a tile does not lie in it.

        Args:
            geometry: in EPSG:4326.

        Raises:
            InputError: it reaches beyond the Earth; cut it at 180°.
        """
        if geometry.is_empty:
            return []
        first_ix, first_iy, last_ix, last_iy = self.span(geometry.bounds)[0].tolist()
        columns, found = np.arange(first_iy, last_iy + 1), []
        if first_ix == last_ix and first_iy == last_iy:
            return [(first_ix, first_iy)]
        shapely.prepare(geometry)
        rim, side = TOUCHING * self.resolution, self.size * self.resolution
        west = columns * side - self.width // 2 * self.resolution
        for ix in range(first_ix, last_ix + 1):  # a row at a time: memory
            _, south, _, north = self.bounds(ix, 0)
            boxes = shapely.box(west + rim, south + rim, west + side - rim, north - rim)
            reached = columns[shapely.intersects(geometry, boxes)]
            found += [(ix, iy) for iy in reached.tolist()]
        return found
