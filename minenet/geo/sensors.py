"""Sensors: bands by name, stored numbers as physical ones, and scales that are absurd.

A file says little of its numbers: 10 000 may be full reflection or none that exists.
The table states for each product how stored numbers become a physical quantity, and
bands are asked for by one name in all of them ("red"), or by the product's own ("B04").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minenet.geo.sensor_table import SENSORS, Band, Sensor
from minenet.types import InputError

__all__ = [
    *("SENSORS", "Band", "Sensor", "at_baseline", "check_scale", "complaint"),
    *("fitting", "get", "physical", "pick"),
]

PLAUSIBLE = {
    "reflectance": ((-0.25, 0.6), (0.004, 2.0)),
    "kelvin": ((150.0, 330.0), (200.0, 360.0)),
    "decibel": ((-60.0, -1.0), (-45.0, 25.0)),
    "brightness": ((0.0, 0.9), (0.02, 1.0)),
}
"""Quantity → where the 2nd and the 98th percentile of a scene on land lie."""

READINGS = {
    "reflectance": {
        "1 is full reflection": (1.0, 0.0),
        "10 000 is full reflection": (1e-4, 0.0),
        "10 000 is full reflection, 1000 is none (Sentinel-2 from baseline 04.00)": (
            1e-4,
            -0.1,
        ),
        "Landsat Collection 2 (x 0.0000275 - 0.2)": (0.0000275, -0.2),
        "8 bits, 255 is the brightest": (1 / 255, 0.0),
        "percent": (0.01, 0.0),
    },
    "kelvin": {
        "kelvin": (1.0, 0.0),
        "Landsat Collection 2 (x 0.00341802 + 149)": (0.00341802, 149.0),
        "tenths of a kelvin": (0.1, 0.0),
        "degrees Celsius": (1.0, 273.15),
    },
    "decibel": {"decibel": (1.0, 0.0), "hundredths of a decibel": (0.01, 0.0)},
    "brightness": {
        "8 bits": (1 / 255, 0.0),
        "11 bits": (1 / 2047, 0.0),
        "14 bits": (1 / 16383, 0.0),
        "16 bits": (1 / 65535, 0.0),
        "0 to 1": (1.0, 0.0),
    },
}
"""Quantity → ways in which files store it, `(scale, offset)`."""


def get(name: str) -> Sensor:
    """Returns a sensor by its key.

    Raises:
        InputError: there is no such sensor.
    """
    if name not in SENSORS:
        raise InputError(f"sensor: {name!r}, expected one of {', '.join(SENSORS)}")
    return SENSORS[name]


def pick(names: Sequence[str], wanted: Sequence[str], sensor: Sensor) -> list[str]:
    """Returns what a file calls the bands that are wanted, in the order wanted.

    Args:
        names: of the file's bands, common ones or the product's own.
        wanted: likewise, whichever of the two.
        sensor: that the file is of.

    Raises:
        InputError: a band that the sensor or the file does not have.

    >>> pick(["B02", "B03", "B04"], ["red", "B3"], get("sentinel2_l2a"))
    ['B04', 'B03']
    """
    known = {}
    for name in names:  # a file may have more than the product: a mask, an index
        try:
            known[sensor.band(name).name] = name
        except InputError:
            continue
    found = []
    for name in wanted:
        band = sensor.band(name)
        if band.name not in known:
            raise InputError(
                f"bands: {name!r} ({sensor.name} {'/'.join(band.own) or band.name}) is "
                f"not in the file; it has {', '.join(names)}"
            )
        found.append(known[band.name])
    return found


def physical(image: np.ndarray, sensor: Sensor, names: Sequence[str]) -> np.ndarray:
    """Returns stored numbers `[H, W, C]` as physical quantities, float32.

    Args:
        image: stored numbers, NaN where invalid; the sensor's nodata becomes NaN.
        sensor: see `at_baseline` for Sentinel-2.
        names: of the channels.
    """
    bands = [sensor.band(name) for name in names]
    scale = np.array([band.scale for band in bands])
    offset = np.array([band.offset for band in bands])
    found = (image * scale + offset).astype(np.float32)
    if sensor.nodata is not None:
        found[image == sensor.nodata] = np.nan
    return found


def at_baseline(sensor: Sensor, baseline: str) -> Sensor:
    """Returns Sentinel-2 as a processing baseline stores it.

    From 04.00 on (25 January 2022) reflectance is `(stored - 1000) / 10000`, so that
    what is darker than black after the correction of the atmosphere need not be cut
    off. Collections called harmonized have the 1000 taken off already: leave them as
    they are.

    Args:
        sensor: "sentinel2_l1c" or "sentinel2_l2a".
        baseline: as file names have it, "04.00" or "N0400".

    Raises:
        InputError: another sensor; something that is no baseline.

    >>> at_baseline(get("sentinel2_l2a"), "N0510").band("red").offset
    -0.1
    """
    if not sensor.name.startswith("sentinel2"):
        raise InputError(f"baseline: {sensor.name} has none, only Sentinel-2 does")
    digits = baseline.upper().removeprefix("N").replace(".", "")
    if len(digits) != 4 or not digits.isdigit():
        raise InputError(f"baseline: {baseline!r}, expected one like 04.00 or N0400")
    offset = -0.1 if int(digits) >= 400 else 0.0
    bands = tuple(dataclasses.replace(b, offset=offset) for b in sensor.bands)
    return dataclasses.replace(sensor, bands=bands)


def complaint(band: Band, low: float, high: float) -> str | None:
    """Returns in words why numbers cannot be those of a band, None if they can.

    Args:
        band: of the sensor that the file is said to be of.
        low: 2nd percentile of the stored numbers.
        high: 98th percentile.

    >>> red = get("landsat_composite").band("red")
    >>> print(complaint(red, 30.0, 9000.0)[:58])
    red holds 30 to 9000, as reflectance that is 30 to 9000; e
    """
    if _plausible(band.quantity, low, high, band.scale, band.offset):
        return None
    begin, end = (value * band.scale + band.offset for value in (low, high))
    lowest, highest = PLAUSIBLE[band.quantity]
    if end > highest[1]:
        expected = f"98 % of pixels below {highest[1]:g}"
    elif end < highest[0]:
        expected = f"2 % of pixels above {highest[0]:g}"
    else:
        expected = f"the darkest between {lowest[0]:g} and {lowest[1]:g}"
    others = [
        words
        for words, scaling in READINGS[band.quantity].items()
        if _plausible(band.quantity, low, high, *scaling)
    ]
    look = f"; the numbers look like: {' or '.join(others)}" if others else ""
    return (
        f"{band.name} holds {low:.4g} to {high:.4g}, as {band.quantity} that is "
        f"{begin:.4g} to {end:.4g}; expected {expected}{look}"
    )


def check_scale(described: Sequence[Mapping[str, Any]], sensor: Sensor) -> None:
    """Raises `InputError` where a band's numbers cannot be those of a sensor.

    Args:
        described: bands of `data/statistics.json`: dicts with `name`, `p2` and `p98`
            of stored numbers. One without valid pixels is passed over, and so is one
            that the sensor does not have.
        sensor: that the numbers are said to be of.
    """
    wrong = [
        words
        for band, entry in _bands(described, sensor)
        if (words := complaint(band, entry["p2"], entry["p98"])) is not None
    ]
    if wrong:
        more = f" (and {len(wrong) - 1} bands more)" if len(wrong) > 1 else ""
        fits = fitting(described)
        hint = (
            f"one of sensor={', '.join(fits)}"
            if fits
            else "the sensor that they are of"
        )
        raise InputError(
            f"sensor={sensor.name}: {wrong[0]}{more}; give {hint}, or rescale the files"
        )


def fitting(described: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the sensors that have all bands and whose scale makes sense of each.

    Args:
        described: as for `check_scale`.
    """
    return [
        sensor.name
        for sensor in SENSORS.values()
        if len(found := _bands(described, sensor)) == len(described)
        and all(complaint(b, entry["p2"], entry["p98"]) is None for b, entry in found)
    ]


def _bands(described, sensor) -> list[tuple[Band, Mapping[str, Any]]]:
    found = []
    for entry in described:
        try:
            band = sensor.band(entry["name"])
        except InputError:
            continue
        if entry["p2"] is not None:
            found.append((band, entry))
    return found


def _plausible(
    quantity: str, low: float, high: float, scale: float, offset: float
) -> bool:
    lowest, highest = PLAUSIBLE[quantity]
    low, high = low * scale + offset, high * scale + offset
    return lowest[0] <= low <= lowest[1] and highest[0] <= high <= highest[1]
