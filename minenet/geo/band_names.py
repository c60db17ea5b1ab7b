"""What bands are called: by their files, by a sensor, and in a stack of several images.

A stacked name is the sensor's common one ("red") where a sensor is told, else the
file's own, led by a word for the image where a scene has several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minenet.geo.raster import RasterInfo
from minenet.geo.sensor_table import Sensor
from minenet.types import InputError

Listed = Mapping[str, tuple[int, str, int]]
"""Stacked name → image, the band's own name and its number there."""


def listed(
    scene: Sequence[RasterInfo],
    labels: Sequence[str],
    sensors: Sequence[Sensor | None],
) -> Listed:
    """Returns every band of a scene, image after image.

    Args:
        scene: of each image.
        labels: a word for each image.
        sensors: of each image, or None.

    Raises:
        InputError: a file without names has not as many bands as its sensor.
    """
    return {
        led(labels, i, common): (i, name, number)
        for i, (info, sensor) in enumerate(zip(scene, sensors, strict=True))
        for common, name, number in zip(
            _common(info, sensor), info.bands, info.numbers, strict=True
        )
    }


def led(labels: Sequence[str], i: int, name: str) -> str:
    """Returns the name of a channel: led by a word where there are several images."""
    return name if len(labels) == 1 else f"{labels[i]}_{name}"


def _common(info: RasterInfo, sensor: Sensor | None) -> Sequence[str]:
    """Names of a file's bands: the sensor's, where it has them."""
    if sensor is None:
        return info.bands
    if not info.described:
        if len(info.bands) != len(sensor.bands):
            raise InputError(
                f"{info.path}: {len(info.bands)} bands without names, but "
                f"{sensor.name} has {len(sensor.bands)} ({', '.join(sensor.names)}); "
                "name the bands of the file (gdal_edit), or give data.sensor none"
            )
        return sensor.names
    found, known = [], 0
    for name in info.bands:  # a file may have more than the product: a mask, an index
        try:
            found.append(sensor.band(name).name)
            known += 1
        except InputError:
            found.append(name)
    if not known:
        raise InputError(
            f"{info.path}: none of its bands ({', '.join(info.bands)}) is one of "
            f"{sensor.name} ({', '.join(sensor.names)}); name another data.sensor"
        )
    return found if len(set(found)) == len(found) else info.bands


def find(
    band: str | int,
    listed: Listed,
    scene: Sequence[RasterInfo],
    labels: Sequence[str],
    sensors: Sequence[Sensor | None],
) -> tuple[int, str | int, str]:
    """Returns the image of a band, its name or number there, and the channel's name.

    Raises:
        InputError: the scene does not have it.
    """
    if isinstance(band, int):
        if not 1 <= band <= len(listed):
            raise InputError(
                f"{scene[0].path}: no band {band}; its scene has {len(listed)}, "
                "numbered from 1"
            )
        name = list(listed)[band - 1]
        image, _, number = listed[name]
        return image, number, name
    name = band if band in listed else _by_sensor(band, listed, labels, sensors)
    if name is None:
        raise InputError(
            f"{scene[0].path}: no band {band!r}; its scene has {', '.join(listed)}"
        )
    image, own, number = listed[name]
    return image, own if scene[image].described else number, name


def _by_sensor(band, listed, labels, sensors) -> str | None:
    """The stacked name of a band that is asked for by its product's own name."""
    for i, sensor in enumerate(sensors):
        lead = led(labels, i, "")
        if sensor is not None and band.startswith(lead):
            try:
                name = lead + sensor.band(band.removeprefix(lead)).name
            except InputError:
                continue
            if name in listed:
                return name
    return None
