"""How far the splits are from each other, and whether that is far enough, in words.

A test near the ground that a model was trained on flatters the model: neighbouring
windows resemble each other up to the range of their autocorrelation. The report
measures three things: pixels that two splits share, metres between them, and that
range.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import shapely

from minenet.data.split import distances, footprints, splits, variogram
from minenet.geo.raster import RasterInfo

TOLERATED = 0.1
"""Share of a split within the range of another that is not worth a warning."""


def report(
    infos: Mapping[str, RasterInfo],
    index: pd.DataFrame,
    *,
    block_m: float | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Returns what a reader must know before believing a score, as JSON can hold it.

    Without a CRS pixels count as metres, and scenes are infinitely far apart.

    Args:
        infos: of each scene's first image, by the scene's name.
        index: divided, as `division.divide` returns it.
        block_m: side of the blocks that were dealt out, if any.
        seed: draws the windows that the variogram begins with.

    Returns:
        `pairs`: for each pair of splits, as "train-test": `overlap_pixels`; `nearest_m`
        and `median_m` from a window of the second to the nearest of the first, edge to
        edge; `within_range`, the share of the second whose centres lie nearer to the
        first than the range of labels. None where there is no number. `labels`: the
        variogram of the share of a window that holds a class. `block_m`. `warnings`:
        sentences, none if nothing is wrong.
    """
    outlines = footprints.outlines(infos, index)
    points = shapely.get_coordinates(shapely.centroid(outlines))
    positions = distances.positions(points)
    labels = variogram.of(positions, _covered(index), seed=seed)
    present = [name for name in splits.NAMES if (index.split == name).any()]
    pairs, plane = {}, _on_plane(infos, index)
    for first, second in itertools.combinations(present, 2):
        a, b = (np.flatnonzero(index.split == name) for name in (first, second))
        away, at = distances.nearest(outlines[b], outlines[a])
        centres = np.sqrt(((positions[b] - positions[a[at]]) ** 2).sum(1))
        placed, within = np.isfinite(away), None
        if labels["range_m"] is not None:
            # A whole and a rounding: at the range itself windows differ in general.
            within = float((centres < 0.999 * labels["range_m"]).mean())
        pairs[f"{first}-{second}"] = {
            "overlap_pixels": _shared(*plane, a, b),
            "nearest_m": float(away.min()) if placed.any() else None,
            "median_m": float(np.median(away[placed])) if placed.any() else None,
            "within_range": within,
        }
    found = {"pairs": pairs, "labels": labels, "block_m": block_m}
    return found | {"warnings": _warnings(**found)}


def overlap_pixels(
    infos: Mapping[str, RasterInfo], index: pd.DataFrame, first: str, second: str
) -> int:
    """Returns how many pixels of ground windows of both splits show.

    Counted by area, so that scenes on different grids can be compared. Strips of less
    than half a pixel are rounding.
    """
    a, b = (np.flatnonzero(index.split == name) for name in (first, second))
    return _shared(*_on_plane(infos, index), a, b)


def _on_plane(infos, index) -> tuple[np.ndarray, np.ndarray]:
    """Outlines of windows on the plane of equal areas, and m² of a pixel of each."""
    names = index.scene.unique().tolist()
    pixel = dict(zip(names, _pixel_areas(infos, names), strict=True))
    outlines = footprints.outlines(infos, index, plane=footprints.PLANE)
    return outlines, index.scene.map(pixel).to_numpy(float)


def _shared(outlines, pixel_m2, a, b) -> int:
    """Pixels of ground that windows number `a` and windows number `b` both show."""
    tree = shapely.STRtree(outlines[a])
    of_b, of_a = tree.query(outlines[b], predicate="intersects")
    pixels = pixel_m2[b[of_b]]
    common = shapely.intersection(outlines[b[of_b]], outlines[a[of_a]])
    # What an overlap keeps when half a pixel of its rim is taken off is no strip.
    real = ~shapely.is_empty(shapely.buffer(common, -0.25 * np.sqrt(pixels)))
    if not real.any():
        return 0
    area = shapely.area(shapely.union_all(common[real]))
    return max(1, round(area / float(np.median(pixels[real]))))


def words(found: Mapping[str, Any]) -> list[str]:
    """Returns a report as lines for people, warnings last."""
    lines = []
    for pair, numbers in found["pairs"].items():
        near = numbers["nearest_m"]
        far = "nowhere near each other" if near is None else f"at least {near:.0f} m"
        lines.append(f"{pair}: {numbers['overlap_pixels']} pixels shared, {far} apart")
    if found["labels"]["range_m"] is not None:
        lines.append(
            f"labels resemble each other up to {found['labels']['range_m']:.0f} m"
        )
    return lines + [f"warning: {warning}" for warning in found["warnings"]]


def _warnings(pairs, labels, block_m) -> list[str]:
    said, far = [], labels["range_m"]
    for pair, numbers in pairs.items():
        first, second = pair.split("-")
        if pixels := numbers["overlap_pixels"]:
            said.append(
                f"{first} and {second} share {pixels} pixels: scores are of what the "
                "model has seen; split by group or block, or set split.buffer_m"
            )
        elif (numbers["within_range"] or 0) > TOLERATED:
            said.append(
                f"{numbers['within_range']:.0%} of {second} lies nearer to {first} "
                f"than the {far:.0f} m over which labels resemble each other: scores "
                "hold for ground nearby, not for new places; set split.buffer_m"
            )
    if block_m and far and block_m < far:
        said.append(
            f"blocks of {block_m:.0f} m are smaller than the {far:.0f} m over which "
            f"labels resemble each other; set split.block_m to {far:.0f} or more"
        )
    if labels["lags_m"] and far is None:
        said.append(
            f"labels differ more and more up to {labels['lags_m'][-1]:.0f} m, as far "
            "as windows lie apart: no distance between splits makes them independent"
        )
    return said


def _covered(index: pd.DataFrame) -> np.ndarray:
    """The share `[N]` of the counted pixels of a window that holds a class."""
    counted = index.valid.to_numpy(float)
    return 1 - index.share_0.to_numpy(float) / np.maximum(counted, 1e-12)


def _pixel_areas(infos: Mapping[str, RasterInfo], names: list[str]) -> list[float]:
    """m² of a pixel in the middle of each scene, on the plane of equal areas."""
    middle = pd.DataFrame(
        [
            (name, infos[name].height // 2, infos[name].width // 2, 1, 1)
            for name in names
        ],
        columns=["scene", "row", "col", "height", "width"],
    )
    return shapely.area(footprints.outlines(infos, middle, plane=footprints.PLANE))
