"""The table of sensors: bands, wavelengths, scales and usual values, with sources."""

from __future__ import annotations

from dataclasses import dataclass

from minenet.types import InputError


@dataclass(frozen=True)
class Band:
    """A band of a product; its physical value is `stored * scale + offset`.

    Attributes:
        name: one for all sensors, as `ops.indices` knows it.
        own: what the product calls it.
        wavelength_nm: at the middle of the band, None where products differ.
        gsd_m: side of a pixel as it is distributed.
        quantity: "reflectance" (1 is all light), "kelvin", "decibel", or "brightness"
            (1 is the largest number that the file can hold).
        scale: of stored numbers.
        offset: of stored numbers, in physical units.
        mean: usual, in physical units, where a source gives one.
        std: likewise.
    """

    name: str
    own: tuple[str, ...]
    wavelength_nm: float | None
    gsd_m: float
    quantity: str = "reflectance"
    scale: float = 1.0
    offset: float = 0.0
    mean: float | None = None
    std: float | None = None


@dataclass(frozen=True)
class Sensor:
    """A product of a sensor, as people have it on disk.

    Attributes:
        name: its key in `SENSORS`.
        title: in words.
        bands: in the order in which the product is distributed.
        nodata: stored number of what is not valid, None if it is NaN or a mask.
    """

    name: str
    title: str
    bands: tuple[Band, ...]
    nodata: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The bands' names, in their order."""
        return tuple(band.name for band in self.bands)

    def band(self, name: str) -> Band:
        """Returns a band by its common name or the product's own.

        >>> SENSORS["sentinel2_l2a"].band("b4").name
        'red'

        Raises:
            InputError: the sensor has no such band.
        """
        for band in self.bands:
            if _plain(name) in map(_plain, (band.name, *band.own)):
                return band
        known = ", ".join(
            "/".join(dict.fromkeys((band.name, *band.own))) for band in self.bands
        )
        raise InputError(f"{self.name}: no band {name!r}; it has {known}")


def _plain(name: str) -> str:
    """The name without what differs between writers: B04, b4 and B4 are one."""
    text = name.strip().lower().replace("-", "_").replace(" ", "_")
    head = text.rstrip("0123456789a")
    tail = text[len(head) :]
    return head + tail.lstrip("0") if head in ("b", "sr_b", "st_b") else text


# Landsat: band edges and the scaling of Collection 2 Level 2 from USGS (LSDS-1618,
# LSDS-1619). Means of annual composites: 43 023 tiles of mines, 2019, by mining-net;
# its thermal std (69 K) counts missing pixels as 0 K and is left out.
_OLI = {"blue": 482, "green": 561.5, "red": 654.5, "nir": 865, "swir1": 1608.5}
_OLI |= {"swir2": 2200.5, "thermal": 10895}
_TM = {"blue": 485, "green": 560, "red": 660, "nir": 835, "swir1": 1650}
_TM |= {"swir2": 2215, "thermal": 11450}
_COMPOSITE = {
    "blue": (0.0513, 0.0201),
    "green": (0.0854, 0.0336),
    "red": (0.1210, 0.0587),
    "nir": (0.2247, 0.0750),
    "swir1": (0.2703, 0.1027),
    "swir2": (0.2054, 0.0944),
    "thermal": (288.56, None),
}


def _landsat_l2(wavelengths: dict[str, float], own: str) -> tuple[Band, ...]:
    made = []
    for (name, middle), number in zip(wavelengths.items(), own.split(), strict=True):
        if name == "thermal":
            scaling = ("kelvin", 0.00341802, 149.0)
        else:
            scaling = ("reflectance", 0.0000275, -0.2)
        made.append(Band(name, (number, number[3:]), middle, 30, *scaling))
    return tuple(made)


# Sentinel-2: centres of Sentinel-2A from ESA's spectral responses (COPE-GSEG-EOPG-TN-
# 15-0007); stored reflectance x 10 000, 0 is no data.
_MSI = (
    *(("coastal", "B01", 442.7, 60), ("blue", "B02", 492.4, 10)),
    *(("green", "B03", 559.8, 10), ("red", "B04", 664.6, 10)),
    *(("red_edge", "B05", 704.1, 20), ("red_edge_2", "B06", 740.5, 20)),
    *(("red_edge_3", "B07", 782.8, 20), ("nir", "B08", 832.8, 10)),
    *(("nir_narrow", "B8A", 864.7, 20), ("water_vapour", "B09", 945.1, 60)),
    *(("cirrus", "B10", 1373.5, 60), ("swir1", "B11", 1613.7, 20)),
    ("swir2", "B12", 2202.4, 20),
)
_L1C = tuple(Band(name, (own,), nm, gsd, scale=1e-4) for name, own, nm, gsd in _MSI)

# Sentinel-1: C band, 5.405 GHz. Means of terrain-flattened gamma nought over
# eastern Congo, one for both polarisations, by asm-mapping-deeplearning.
_C_BAND_NM = 299_792_458 / 5.405e9 * 1e9
_SAR = tuple(
    Band(name, (name.upper(),), _C_BAND_NM, 10, "decibel", mean=-7.494, std=2.043)
    for name in ("vv", "vh")
)

# Planet: edges of the four-band Dove imagers; one mean for all bands, likewise.
_PLANET = tuple(
    Band(*band, 4.77, scale=1e-4, mean=0.10512, std=0.11334)
    for band in (
        *(("blue", ("B",), 485), ("green", ("G",), 545)),
        *(("red", ("R",), 630), ("nir", ("N",), 820)),
    )
)
_AERIAL = tuple(
    Band(name, (name[0].upper(),), None, 0.3, "brightness", scale=1 / 255)
    for name in ("red", "green", "blue", "nir")
)

# WorldView-3 as in the DSTL competition: middles of the maker's band edges; 11 bits a
# number, 14 in the short-wave infrared. Pixels of A are 7.5 m there, 3.7 m at nadir.
_WORLDVIEW_M = (
    *(("coastal", 425), ("blue", 480), ("green", 545), ("yellow", 605), ("red", 660)),
    *(("red_edge", 725), ("nir", 832.5), ("nir_2", 950)),
)
_WORLDVIEW_A = (1210, 1570, 1660, 1730, 2165, 2205, 2260, 2330)
_SWIR_NAMES = ("swir_1210", "swir_1570", "swir1", "swir_1730", "swir_2165", "swir2")
_SWIR_NAMES += ("swir_2260", "swir_2330")

SENSORS: dict[str, Sensor] = {
    sensor.name: sensor
    for sensor in (
        Sensor(
            "landsat_composite",
            "Landsat Collection 2 Level 2, composite of a year, scaled",
            tuple(
                Band(name, (), nm, 30, quantity, mean=mean, std=std)
                for (name, nm), (mean, std) in zip(
                    _OLI.items(), _COMPOSITE.values(), strict=True
                )
                for quantity in ["kelvin" if name == "thermal" else "reflectance"]
            ),
        ),
        Sensor(
            "landsat_oli_l2",
            "Landsat 8 and 9 Collection 2 Level 2, as stored",
            _landsat_l2(_OLI, "SR_B2 SR_B3 SR_B4 SR_B5 SR_B6 SR_B7 ST_B10"),
            nodata=0,
        ),
        Sensor(
            "landsat_tm_l2",
            "Landsat 4, 5 and 7 Collection 2 Level 2, as stored",
            _landsat_l2(_TM, "SR_B1 SR_B2 SR_B3 SR_B4 SR_B5 SR_B7 ST_B6"),
            nodata=0,
        ),
        Sensor("sentinel2_l1c", "Sentinel-2 Level 1C", _L1C, nodata=0),
        Sensor(
            "sentinel2_l2a",
            "Sentinel-2 Level 2A",
            tuple(band for band in _L1C if band.name != "cirrus"),
            nodata=0,
        ),
        Sensor("sentinel1_db", "Sentinel-1 ground range, in decibel", _SAR),
        Sensor("planet_nicfi", "Planet-NICFI basemap", _PLANET, nodata=0),
        Sensor("aerial_rgb", "Aerial picture, 8 bits", _AERIAL[:3]),
        Sensor("aerial_rgbn", "Aerial picture with infrared, 8 bits", _AERIAL),
        Sensor(
            "dstl_rgb",
            "WorldView-3 pan-sharpened, 11 bits (DSTL three-band)",
            tuple(
                Band(name, (name[0].upper(),), nm, 0.31, "brightness", 1 / 2047)
                for name, nm in (("red", 660), ("green", 545), ("blue", 480))
            ),
        ),
        Sensor(
            "dstl_p",
            "WorldView-3 panchromatic, 11 bits (DSTL P)",
            (Band("pan", ("P",), 625, 0.31, "brightness", 1 / 2047),),
        ),
        Sensor(
            "dstl_m",
            "WorldView-3 multispectral, 11 bits (DSTL M)",
            tuple(
                Band(name, (f"M{i}",), nm, 1.24, "brightness", 1 / 2047)
                for i, (name, nm) in enumerate(_WORLDVIEW_M, start=1)
            ),
        ),
        Sensor(
            "dstl_a",
            "WorldView-3 short-wave infrared, 14 bits (DSTL A)",
            tuple(
                Band(name, (f"A{i}",), nm, 7.5, "brightness", 1 / 16383)
                for i, (name, nm) in enumerate(
                    zip(_SWIR_NAMES, _WORLDVIEW_A, strict=True), start=1
                )
            ),
        ),
    )
}
