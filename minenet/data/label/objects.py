"""Objects of labels: how large the patches of a class are on the ground."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse

from minenet.data.chips import read_labels
from minenet.data.label import targets
from minenet.data.scenes import Scene
from minenet.geo import windows

ROWS = 1024
"""Of a strip: a scene may be larger than memory."""


def areas(scene: Scene, ids: int) -> tuple[np.ndarray, ...]:
    """Returns the areas in m² of the objects of each class but the background.

    Args:
        scene: prepared. In one without a CRS a pixel counts as a square metre.
        ids: number of class ids; 0, the background, has no objects. Those of classes
            that overlap are counted in each.
    """
    pixel_m2 = (scene.gsd_m or 1.0) ** 2
    return tuple(patches(scene, id_) * pixel_m2 for id_ in range(1, ids))


def patches(scene: Scene, id_: int) -> np.ndarray:
    """Returns how many pixels each patch of an id has, `[N]`, in no special order.

    Args:
        scene: prepared; read in strips.
        id_: from 1, also where classes have a channel each.
    """
    counts, pairs, first = [], [], 0
    above = np.zeros(scene.width, np.int64)  # numbers of the row before, from 1
    for strip in windows.strips(scene.height, scene.width, rows=ROWS):
        mask = targets.holding(read_labels(scene, strip), id_)
        numbers, count = ndimage.label(mask)
        counts.append(np.bincount(numbers.ravel(), minlength=count + 1)[1:])
        numbers = np.where(numbers[[0, -1]] > 0, numbers[[0, -1]] + first, 0)
        touching = (above > 0) & (numbers[0] > 0)
        pairs.append(np.stack([above[touching], numbers[0][touching]]) - 1)
        above, first = numbers[1].astype(np.int64), first + count
    rows, cols = np.concatenate(pairs, axis=1)
    joined = sparse.coo_array((np.ones(len(rows)), (rows, cols)), shape=(first, first))
    found, patch = sparse.csgraph.connected_components(joined, directed=False)
    return np.bincount(patch, np.concatenate(counts), minlength=found)


def described(areas: np.ndarray) -> dict:
    """Returns how areas `[N]` in m² are spread, as JSON can hold it.

    Returns:
        `{count, total_m2, min_m2, p5_m2, p25_m2, median_m2, p75_m2, p95_m2, max_m2}`;
        None for numbers where there is no object. Patches are joined by pixels' sides;
        one at the edge of a scene counts with what is seen of it.
    """
    if not len(areas):
        names = ("min", "p5", "p25", "median", "p75", "p95", "max")
        return {"count": 0, "total_m2": 0.0} | dict.fromkeys(f"{n}_m2" for n in names)
    named = {"min": 0, "p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95}
    named["max"] = 100
    numbers = np.percentile(areas, list(named.values())).tolist()
    return {"count": len(areas), "total_m2": float(areas.sum())} | {
        f"{name}_m2": number for name, number in zip(named, numbers, strict=True)
    }
