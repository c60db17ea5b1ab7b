"""What one scene gives to prepared data: labels, windows and what was counted."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas
import pandas as pd

from minenet import files
from minenet.data import chips
from minenet.data.label import classes, label_report, labels, outlines
from minenet.data.label.classes import Rule
from minenet.data.parts import Keep
from minenet.data.quarantine import Quarantine
from minenet.data.scenes import Paths, Scene
from minenet.geo import raster, vector
from minenet.geo.bands import Stack
from minenet.geo.windows import Window
from minenet.types import InputError, Task


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Which outlines say what is labelled; read once in each process.

    Attributes:
        sources: files of polygons and a layer of each, or None; the later lie on top.
        order: ids of classes from the lowest to the highest, see `outlines.join`.
        area: file of the polygons outside of which nothing counts, or None.
    """

    sources: tuple[tuple[str, str | None], ...] = ()
    order: tuple[int, ...] = ()
    area: str | None = None

    @classmethod
    def of(
        cls,
        polygons: Paths | Sequence[Paths] | None,
        layer: str | Sequence[str] | None,
        *,
        order: Sequence[int] = (),
        area: Paths | None = None,
    ) -> Drawn:
        """Returns what files and layers stand for: several of one, or one of each.

        Raises:
            InputError: several of both, and not as many of the one as of the other.
        """
        several = polygons is not None and not isinstance(polygons, str | os.PathLike)
        paths = [p for p in (polygons if several else [polygons]) if p is not None]
        layers = [layer] if layer is None or isinstance(layer, str) else list(layer)
        if len(paths) > 1 and len(layers) not in (1, len(paths)):
            raise InputError(
                f"layer: {len(layers)} for {len(paths)} files of polygons; give one of "
                "each"
            )
        count = max(len(paths), len(layers)) if paths else 0
        paths = paths * count if len(paths) == 1 else paths
        layers = layers * count if len(layers) == 1 else layers
        sources = tuple(
            (os.path.abspath(path), name)
            for path, name in zip(paths, layers[:count], strict=True)
        )
        return cls(sources, tuple(order), None if area is None else os.fspath(area))

    @property
    def files(self) -> list[str]:
        """All files that are read."""
        return [path for path, _ in self.sources] + [self.area] * bool(self.area)

    def read(
        self, rule: Rule
    ) -> tuple[geopandas.GeoDataFrame | None, Rule, geopandas.GeoDataFrame | None]:
        """Returns the polygons, the rule for them, and the area.

        Raises:
            InputError: as `vector.read` and `outlines.join`.
        """
        area = None if self.area is None else _read(self.area, None)
        found = [_read(path, layer) for path, layer in self.sources]
        if not found:
            return None, rule, area
        if len(found) == 1 and not self.order:
            return found[0], rule, area
        joined = outlines.join([(each, rule) for each in found], order=self.order)
        ids = {id_: id_ for id_ in rule.ids.values()}
        of_ids = dataclasses.replace(rule, attribute=outlines.CLASS, ids=ids)
        return joined, of_ids, area


def _read(path: str, layer: str | None) -> geopandas.GeoDataFrame:
    changed = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
    return _read_once(path, layer, changed)


@functools.lru_cache(maxsize=8)
def _read_once(path: str, layer: str | None, changed: int) -> geopandas.GeoDataFrame:
    return vector.read(path, layer=layer)


@dataclasses.dataclass(frozen=True)
class Surveyed:
    """What came of a scene.

    Attributes:
        scene: with its labels.
        index: its windows, as `chips.index` lists them.
        pixels: of its labels, as `label_report.pixels` counts them.
    """

    scene: Scene
    index: pd.DataFrame
    pixels: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Survey:
    """Makes the labels and the windows of a scene; it can be pickled and done again.

    Attributes:
        folder: of label rasters.
        stack: bands to read.
        rule: how values become ids.
        drawn: outlines, none where scenes have masks.
        task: decides what a label raster holds.
        classes: names.
        chip_size: side of a window in pixels.
        stride: distance of windows.
        quarantine: where a scene goes that cannot be read.
    """

    folder: Path
    stack: Stack
    rule: Rule
    drawn: Drawn
    task: Task
    classes: tuple[str, ...]
    chip_size: int
    stride: int
    quarantine: Quarantine

    def __call__(self, scene: Scene) -> Surveyed | None:
        """Returns what came of a scene, None where it cannot be read."""
        return self.quarantine.guard(self._of, scene, scene=scene.name)

    def _of(self, scene: Scene) -> Surveyed:
        _probe(scene)
        polygons, rule, area = self.drawn.read(self.rule)
        ids = classes.count(self.task, self.classes)
        made = labels.make(
            scene, scene.grid, polygons, rule, self.folder, area=area, year=scene.year
        )
        index = pd.DataFrame(columns=chips.columns(ids))
        if not made.ignored:
            index = chips.index(
                made, self.stack, size=self.chip_size, stride=self.stride, ids=ids
            )
        names = classes.names(self.task, self.classes)
        return Surveyed(made, index, label_report.pixels([made], names))


def _probe(scene: Scene) -> None:
    """Reads the corners of images: a header may claim what the file does not hold.

    Labels as large as it claims would be written before its pixels are looked at.
    """
    for path in filter(None, scene.images):
        info = raster.info(path)
        for row, col in ((0, 0), (info.height - 1, info.width - 1)):
            raster.read(path, Window(row, col, 1, 1))


def kept(survey: Survey, folder: Path) -> Keep[Scene, Surveyed]:
    """Returns the survey as a task that keeps what came of a scene in a folder."""
    return Keep(survey, _write, _read_part, folder / "scenes", ".json")


def _write(path: Path, found: Surveyed) -> None:
    rows = found.index.to_dict("list")
    files.write_json(
        path, {"scene": found.scene.to_json(), "index": rows, "pixels": found.pixels}
    )


def _read_part(path: Path) -> Surveyed:
    told = files.read_json(path)
    scene = Scene.from_json(told["scene"])
    return Surveyed(scene, pd.DataFrame(told["index"]), told["pixels"])
