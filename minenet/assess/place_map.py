"""The windows of each split on the ground, in degrees of longitude and latitude."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import shapely

from minenet.assess import plotting
from minenet.assess.plotting import SPLITS
from minenet.data.split import footprints
from minenet.geo.grids import Grid

ON_MAP = 20_000
"""Windows that are drawn on the map; of more, only the dots of their scenes."""

DEGREES = "EPSG:4326"


def places(grids: Mapping[str, Grid], index: pd.DataFrame) -> pd.DataFrame:
    """Returns where the windows of each split of each scene lie on the ground.

    Args:
        grids: Of each scene, by its name.
        index: Windows, with their split.

    Returns:
        Columns `scene, split, windows, lon, lat`: how many there are, and the middle of
        them in degrees; scenes without a CRS are left out.
    """
    known = [name for name, grid in grids.items() if grid.crs is not None]
    index = index[index.scene.isin(known)]
    middles = index.assign(row=index.row + index.height / 2).assign(
        col=index.col + index.width / 2
    )
    by = middles.groupby(["scene", "split"], sort=False)
    table = by.agg(row=("row", "mean"), col=("col", "mean"), windows=("row", "size"))
    table = table.reset_index().assign(height=0, width=0)
    if table.empty:
        return pd.DataFrame(columns=["scene", "split", "windows", "lon", "lat"])
    # A window of no extent is a point, whichever CRS it comes from.
    points = footprints.outlines(grids, table, plane=DEGREES)
    at = np.array([point.exterior.coords[0][:2] for point in points])
    return table[["scene", "split", "windows"]].assign(lon=at[:, 0], lat=at[:, 1])


def draw(
    axis: Any,
    grids: Mapping[str, Grid],
    index: pd.DataFrame,
    located: pd.DataFrame,
) -> None:
    """Draws windows, and on each small scene a dot of its split, or rings of several.

    Args:
        axis: Of matplotlib.
        grids: Of each scene, by its name.
        index: Windows, with their split.
        located: What `places` returned of these.
    """
    bounds = located[["lon", "lat", "lon", "lat"]].to_numpy(float)
    index = index[index.scene.isin(set(located.scene))]
    if len(index) <= ON_MAP:
        shapes = footprints.outlines(grids, index, plane=DEGREES)
        collections = plotting.pyplot().matplotlib.collections
        axis.add_collection(
            collections.PolyCollection(
                [shapely.get_coordinates(shape) for shape in shapes],
                facecolor=[SPLITS[split] for split in index.split],
                alpha=0.5,
            )
        )
        by = pd.DataFrame(shapely.bounds(shapes)).groupby(index.scene.to_numpy())
        sides = (by[2].max() - by[0].min())[located.scene].to_numpy()
        bounds = shapely.bounds(shapes)
    else:
        sides = np.zeros(len(located))
    _frame(axis, bounds)
    # On what can be seen itself a dot would hide how it is divided.
    small = located[sides < 0.04 * np.ptp(axis.get_xlim())]
    several = small.groupby("scene").split.transform("size") > 1
    dot = float(np.clip(6000 / max(1, len(small)), 10, 60))
    for i, (split, colour) in enumerate(SPLITS.items()):
        rows = small[small.split == split]
        scale = np.where(several[rows.index], (3.0, 1.3, 0.35)[i], 1.0)
        axis.scatter(
            rows.lon,
            rows.lat,
            s=dot * scale,
            color=colour,
            edgecolor="white",
            linewidth=0.4,
            zorder=2 + i,
        )
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.set(xlabel="longitude, °", ylabel="latitude, °")
    axis.tick_params(labelsize=8)
    axis.ticklabel_format(useOffset=False)
    axis.locator_params(nbins=6)


def _frame(axis: Any, bounds: np.ndarray) -> None:
    """Limits with a margin, neither side less than half of the other on the ground."""
    west, south = bounds[:, :2].min(0)
    east, north = bounds[:, 2:].max(0)
    lon, lat = (west + east) / 2, (south + north) / 2
    narrow = max(math.cos(math.radians(lat)), 0.1)
    wide, high = 0.55 * (east - west), 0.55 * (north - south)
    wide = max(wide, high / narrow / 2, 1e-4)
    high = max(high, wide * narrow / 2)
    axis.set_xlim(lon - wide, lon + wide)
    axis.set_ylim(lat - high, lat + high)
    axis.set_aspect(1 / narrow)
    axis.set_anchor("N")
