"""How images of a collection are read: which bands, of what sensor, on which grid."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from minenet.data import pairing
from minenet.data.quarantine import Quarantine
from minenet.data.scenes import Scene
from minenet.geo import band_names, grids, raster
from minenet.geo import bands as bands_
from minenet.geo import sensors as sensors_
from minenet.geo.align import RADIUS
from minenet.geo.bands import Infos, Stack
from minenet.geo.grids import Rule
from minenet.geo.raster import RasterInfo
from minenet.geo.sensor_table import Sensor
from minenet.types import InputError, UnreadableError

Opened = tuple[Scene, list[RasterInfo | None], RasterInfo | None]
"""A scene, what its images say about themselves, and its mask."""


def opened(scenes: Sequence[Scene], quarantine: Quarantine) -> list[Opened]:
    """Returns what files say about themselves.

    Args:
        scenes: as they were found.
        quarantine: where a scene goes of which a file cannot be read.

    Raises:
        UnreadableError: no scene is left.
    """

    def open_(scene: Scene) -> Opened | None:
        try:
            infos = [image and raster.info(image) for image in scene.images]
            return scene, infos, scene.label and raster.info(scene.label)
        except UnreadableError as error:
            quarantine.add(error, scene=scene.name)
            failures.append(error)
            return None

    failures: list[UnreadableError] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [each for each in pool.map(open_, scenes) if each is not None]
    if not found:
        raise failures[0]
    return found


def words(stacks: Sequence[Sequence[str]]) -> list[str]:
    """Returns a word for each stack: what tells its folder, or file, from the others.

    >>> words([["a/s2/1.tif", "a/s2/2.tif"], ["a/s1/1.tif", "a/s1/2.tif"]])
    ['s2', 's1']
    """
    places = [s[0] if len(s) == 1 else os.path.dirname(s[0]) for s in stacks]
    return [os.path.splitext(word)[0] for word in pairing.distinguish(places)]


def sensors(
    sensor: str | Sequence[str | None] | None, baseline: str | None, *, images: int
) -> tuple[Sensor | None, ...]:
    """Returns the sensor of each image.

    Args:
        sensor: of all images, or one of each; see `geo.sensors`.
        baseline: of Sentinel-2's processing, None before 04.00.
        images: how many a scene has.

    Raises:
        InputError: an unknown sensor; another number; a baseline without Sentinel-2.
    """
    found = [each and sensors_.get(each) for each in _each(sensor, images, "sensor")]
    if baseline is None:
        return tuple(found)
    optical = [each for each in found if each and each.name.startswith("sentinel2")]
    if not optical:
        raise InputError(f"baseline: {baseline}, but no sensor is Sentinel-2")
    return tuple(
        sensors_.at_baseline(each, baseline) if each in optical else each
        for each in found
    )


def select(
    infos: Infos,
    *,
    labels: Sequence[str],
    bands: Sequence[str | int] | None = None,
    scaled: bool = False,
    sensors: Sequence[Sensor | None] = (),
    grid: Mapping[str, Any] | None = None,
    resampling: str | Sequence[str] = "cubic",
) -> Stack:
    """Returns how to read the images of every scene.

    Args:
        infos: see `bands.select`, and the next four.
        labels: a word for each image.
        bands: names or numbers.
        scaled: whether numbers become physical.
        sensors: of each image.
        grid: `like`, `crs` and `pixel` of `grids.choose`; without any, the images of a
            scene must be on one grid.
        resampling: of all images, or one of each.

    Raises:
        InputError: as `bands.select`; unknown keys or words.
    """
    stack = bands_.select(
        infos, labels=labels, bands=bands, scaled=scaled, sensors=sensors
    )
    rule = {key: value for key, value in (grid or {}).items() if value is not None}
    if unknown := rule.keys() - set(Rule._fields):
        raise InputError(f"grid.{min(unknown)}: no such key; it has like, crs, pixel")
    if not rule:
        return stack
    if not 0 <= rule.get("like", 0) < len(labels):
        raise InputError(
            f"grid.like: {rule['like']}, expected an image from 0 to {len(labels) - 1}"
        )
    ways = _each(resampling, len(labels), "resampling")
    for way in ways:
        if way not in RADIUS:
            raise InputError(
                f"resampling: {way!r}, expected one of {', '.join(RADIUS)}"
            )
    return dataclasses.replace(stack, rule=Rule(**rule), resampling=ways)


def place(
    scene: Scene,
    infos: Sequence[RasterInfo | None],
    mask: RasterInfo | None,
    stack: Stack,
) -> Scene:
    """Returns the scene on its grid.

    Args:
        scene: as it was found.
        infos: of its images, None for one that it lacks.
        mask: of its mask, None where polygons say what is labelled.
        stack: its rule chooses the grid.

    Raises:
        InputError: images on several grids without a rule; an image that shares no
            place with the grid.
    """
    grid, aligned = bands_.place(infos, stack)
    if mask is not None and stack.rule is None:
        raster.match([*filter(None, infos), mask])
    elif mask is not None:
        grids.check_overlap(mask, grid)
        aligned = aligned or not grids.is_on(mask, grid)
    gsd_m = bands_.gsd_m(grid)
    return dataclasses.replace(scene, grid=grid, aligned=aligned, gsd_m=gsd_m)


def check_scale(
    stack: Stack,
    described: Sequence[Mapping[str, Any]],
    *,
    labels: Sequence[str],
    sensors: Sequence[Sensor | None],
) -> None:
    """Raises `InputError` where numbers cannot be those of their sensor.

    Args:
        stack: whose channels were measured.
        described: `bands` of `data/statistics.json`.
        labels: a word for each image.
        sensors: of each image.
    """
    for i, sensor in enumerate(sensors):
        if sensor is None:
            continue
        lead = band_names.led(labels, i, "")
        entries = [
            entry | {"name": entry["name"].removeprefix(lead)}
            for (image, _), entry in zip(stack.picks, described, strict=True)
            if image == i
        ]
        sensors_.check_scale(entries, _as_read(sensor, stack))


def _as_read(sensor: Sensor, stack: Stack) -> Sensor:
    """The sensor whose stored numbers are what was read: physical ones, if scaled."""
    if not stack.scaled:
        return sensor
    physical = (dataclasses.replace(b, scale=1.0, offset=0.0) for b in sensor.bands)
    return dataclasses.replace(sensor, bands=tuple(physical))


def _each(value: Any, images: int, key: str) -> tuple[Any, ...]:
    """The value of each image: one for all, or as many as there are."""
    if value is None or isinstance(value, str):
        return (value,) * images
    if len(value) != images:
        raise InputError(f"{key}: {len(value)} for {images} images; give one of each")
    return tuple(value)
