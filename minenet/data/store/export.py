"""Chips of a store as GeoTIFFs, for GDAL and whatever stands on it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from affine import Affine

from minenet.data.store.read import Store
from minenet.geo import raster
from minenet.geo.windows import Window
from minenet.types import IGNORE


def export(
    store: Store, folder: str | os.PathLike[str], chips: Iterable[int] | None = None
) -> list[Path]:
    """Writes chips as `image/NAME.tif` and `target/NAME.tif`, each in its place.

    `NAME` is the scene and the row and column of its first pixel. Images are float32
    with NaN, targets class ids or a band for each class, with 255 for what does not
    count.

    Args:
        store: filled, at least with these.
        folder: of the files; each appears whole or not at all.
        chips: rows of `store.index`; all of them if None.

    Returns:
        The paths of the images.

    Raises:
        InputError: no space, no permission.
    """
    size, paths = store.layout.size, []
    scenes, classes = store.prepared.scenes, store.prepared.classes
    rows = store.index if chips is None else store.index.iloc[list(chips)]
    for at in rows.itertuples():
        scene = scenes[at.scene]
        image, target = store.read(at.scene, Window(at.row, at.col, size, size))
        target = target.reshape(size, size, -1)
        overlap = target.shape[-1] > 1
        place = {
            "height": size,
            "width": size,
            "crs": scene.grid.crs,
            "affine": scene.grid.affine @ Affine.translation(at.col, at.row),
            "cog": False,
        }
        name = f"{scene.name}_{at.row}_{at.col}.tif"
        for kind, array, nodata, names in (
            ("image", image, float("nan"), store.layout.bands),
            ("target", target, IGNORE, classes if overlap else None),
        ):
            with raster.create(
                Path(folder) / kind / name,
                count=array.shape[-1],
                dtype=array.dtype,
                nodata=nodata,
                band_names=names,
                **place,
            ) as write:
                write(np.ascontiguousarray(array), 0)
        paths.append(Path(folder) / "image" / name)
    return paths
