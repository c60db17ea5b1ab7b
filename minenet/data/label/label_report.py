"""A report of what was read as labels: what was used of it, and what was not, and why.

It goes to `data/labels.json`. An outline that is silently left out teaches a model that
a mine is none, so each is accounted for: `features` is the sum of `used`, `outside`,
`other_years` and `empty`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import geopandas
import numpy as np
import pyproj
import shapely

from minenet.data import chips
from minenet.data.label import outlines, targets
from minenet.data.label.classes import Rule
from minenet.data.scenes import Scene
from minenet.geo import raster, repair, windows
from minenet.geo.grids import Grid

ROWS = 1024


def features(
    polygons: geopandas.GeoDataFrame,
    infos: Sequence[raster.RasterInfo | Grid],
    *,
    rule: Rule | None = None,
    years: Sequence[int | None] | None = None,
) -> dict[str, int]:
    """Returns what became of each feature of a vector file.

    Args:
        polygons: as `vector.read` returns them.
        infos: of every scene.
        rule: whose year column counts, if it has one.
        years: of the scenes, for that.

    Returns:
        How many `features` there are; `used` in some scene; `outside` of all scenes; in
        some scene but of `other_years`; `empty`, without an area. Of them `repaired`
        were not valid. `dropped` are those that GDAL did not even hand over.
    """
    broken, empty = repair.faults(polygons.geometry.to_numpy())
    inside, current = np.zeros((2, len(polygons)), bool)
    numbered = polygons.reset_index(drop=True)
    when = None
    if rule is not None and rule.year_column is not None and years is not None:
        when = outlines.years(numbered, rule.year_column)
    for i, info in enumerate(infos):
        met = _meeting(numbered, info)
        inside[met] = True
        if when is None or years is None or rule is None:
            current[met] = True
        else:
            known = np.isnan(when[met])
            same = when[met] <= years[i] if rule.until else when[met] == years[i]
            current[met[known | same]] = True
    inside &= ~empty
    current &= ~empty
    return {
        "features": len(polygons),
        "used": int(current.sum()),
        "outside": int((~inside & ~empty).sum()),
        "other_years": int((inside & ~current).sum()),
        "empty": int(empty.sum()),
        "repaired": int(broken.sum()),
        "dropped": int(polygons.attrs.get("dropped", 0)),
    }


def pixels(scenes: Sequence[Scene], names: Sequence[str]) -> dict[str, Any]:
    """Returns how many pixels of prepared scenes each class has.

    Args:
        scenes: prepared, so that `label` holds ids, or a channel for each class.
        names: of the ids from 0, see `classes.names`.

    Returns:
        `{"scenes", "empty_scenes", "ignored_scenes", "classes": {name: pixels},
        "ignored"}`; the last are pixels that do not count. A pixel counts in each of
        the classes that overlap there.
    """
    counts, ignored = np.zeros(len(names), np.int64), 0
    for scene in scenes:
        for strip in windows.strips(scene.height, scene.width, rows=ROWS):
            labels = chips.read_labels(scene, strip)
            ignored += int((~targets.counted(labels)).sum())
            counts += [targets.holding(labels, i).sum() for i in range(len(names))]
    return {
        "scenes": len(scenes),
        "empty_scenes": sum(scene.empty for scene in scenes),
        "ignored_scenes": sum(scene.ignored for scene in scenes),
        "classes": {name: int(counts[i]) for i, name in enumerate(names)},
        "ignored": ignored,
    }


def added(reports: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the report of `pixels` on all scenes from those on some of them."""
    total: dict[str, Any] = {}
    for report in reports:
        for key, value in report.items():
            if isinstance(value, Mapping):
                total[key] = added([total.get(key, {}), value])
            else:
                total[key] = total.get(key, 0) + value
    return total


def lines(report: Mapping[str, int], *, source: str) -> list[str]:
    """Returns in words what of a report of `features` a user should look at.

    >>> lines({"features": 9, "dropped": 2, "outside": 0}, source="a.json")[0]
    'a.json: GDAL passed over 2 features in silence; each needs "type": "Feature"'
    """
    words = {
        "dropped": 'GDAL passed over {} features in silence; each needs "type": '
        '"Feature"',
        "outside": "{} of {all} features lie outside of all scenes",
        "other_years": "{} of {all} features are of other years than their scenes",
        "empty": "{} of {all} features have no area",
        "repaired": "{} of {all} features were not valid and are repaired",
    }
    return [
        f"{source}: {text.format(report[key], all=report['features'])}"
        for key, text in words.items()
        if report.get(key)
    ]


def _meeting(polygons: geopandas.GeoDataFrame, info) -> np.ndarray:
    """The numbers of the polygons that touch a scene, not only its box."""
    near = outlines.select(polygons, info)
    corners = [(0, 0), (info.width, 0), (info.width, info.height), (0, info.height)]
    scene = shapely.Polygon([info.affine @ corner for corner in corners])
    if near.crs is not None and info.crs is not None:
        crs = pyproj.CRS.from_wkt(info.crs.to_wkt())
        near = near if near.crs == crs else near.to_crs(crs)
    meets = shapely.intersects(repair.polygonal(near.geometry.to_numpy()), scene)
    return near.index.to_numpy()[meets]
