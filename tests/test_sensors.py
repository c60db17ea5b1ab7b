import numpy as np
import pytest

from minenet.geo import raster, sensors
from minenet.ops import indices
from minenet.types import InputError

EVERY = list(sensors.SENSORS.values())
S2 = sensors.get("sentinel2_l2a")


@pytest.mark.parametrize("sensor", EVERY, ids=lambda s: s.name)
def test_no_two_bands_of_a_sensor_answer_to_one_name(sensor):
    for band in sensor.bands:
        for name in (band.name, *band.own):
            assert sensor.band(name) == band and sensor.band(name.lower()) == band
    assert len(set(sensor.names)) == len(sensor.names)


@pytest.mark.parametrize("sensor", EVERY, ids=lambda s: s.name)
def test_usual_values_are_plausible(sensor):
    for band in sensor.bands:
        if band.std is not None:
            low, high = (
                (band.mean + k * band.std - band.offset) / band.scale for k in (-1, 2)
            )
            assert sensors.complaint(band, low, high) is None


def test_indices_find_their_bands():
    for name in ("ndvi", "ndwi", "mndwi", "nbr", "bsi", "ccci"):
        for band in indices.needs(name):
            S2.band(band)


def test_colours_of_all_sensors_lie_where_colours_lie():
    limits = {"blue": (450, 500), "green": (530, 570), "red": (630, 670)}
    limits |= {"nir": (770, 900), "swir1": (1550, 1700), "swir2": (2100, 2300)}
    seen = 0
    for sensor in EVERY:
        for band in sensor.bands:
            if band.name in limits and band.wavelength_nm is not None:
                low, high = limits[band.name]
                assert low <= band.wavelength_nm <= high, (sensor.name, band)
                seen += 1
    assert seen > 30


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_bands_are_found_by_name_in_any_order(order):
    names = ["B02", "B03", "B04", "B08"]
    names = [names[i] for i in order]
    found = sensors.pick([*names, "ndvi"], ["red", "B8", "blue"], S2)
    assert found == ["B04", "B08", "B02"]
    assert sensors.pick(["red", "nir"], ["B08", "b4"], S2) == ["nir", "red"]


def test_a_band_that_is_not_there_is_told():
    with pytest.raises(InputError, match="sentinel2_l2a: no band 'thermal'; it has"):
        sensors.pick(["B02"], ["thermal"], S2)
    with pytest.raises(
        InputError, match="'red' .*B04.* is not in the file; it has B02"
    ):
        sensors.pick(["B02"], ["red"], S2)
    with pytest.raises(InputError, match="sensor: 'spot', expected one of landsat"):
        sensors.get("spot")


def test_landsat_comes_to_reflectance_and_kelvin_as_usgs_says():
    stored = np.array([[[18639, 44947], [0, 0]]], np.uint16)
    found = sensors.physical(stored, sensors.get("landsat_oli_l2"), ["SR_B4", "ST_B10"])
    np.testing.assert_allclose(found[0, 0], [0.313, 302.6], atol=0.05)
    assert np.isnan(found[0, 1]).all() and found.dtype == np.float32


def test_sentinel_2_has_an_offset_from_baseline_04_00_on():
    for baseline, expected in {
        "02.14": 0.2,
        "N0301": 0.2,
        "04.00": 0.1,
        "N0511": 0.1,
    }.items():
        sensor = sensors.at_baseline(S2, baseline)
        found = sensors.physical(np.full((1, 1, 1), 2000), sensor, ["red"])
        assert found.item() == pytest.approx(expected)
    with pytest.raises(InputError, match="baseline: '4', expected one like 04.00"):
        sensors.at_baseline(S2, "4")
    with pytest.raises(InputError, match="baseline: aerial_rgb has none"):
        sensors.at_baseline(sensors.get("aerial_rgb"), "04.00")


def described(**bands):
    return [
        {"name": name, "p2": low, "p98": high} for name, (low, high) in bands.items()
    ]


def test_an_absurd_scale_is_told_with_what_it_looks_like():
    composite = sensors.get("landsat_composite")
    ten_thousand = described(red=(210, 3300), nir=(1500, 5000), swir1=(900, 9000))
    with pytest.raises(InputError) as caught:
        sensors.check_scale(ten_thousand, composite)
    message = str(caught.value)
    assert "sensor=landsat_composite: red holds 210 to 3300" in message
    assert "10 000 is full reflection" in message and "(and 2 bands more)" in message
    assert "give one of sensor=sentinel2_l1c, " in message and "\n" not in message
    sensors.check_scale(ten_thousand, S2)
    divided = described(B04=(0.02, 0.3))
    with pytest.raises(
        InputError, match="expected 2 % of pixels above 0.004.*1 is full"
    ):
        sensors.check_scale(divided, S2)


@pytest.mark.parametrize(
    ("name", "low", "high", "words"),
    [
        ("thermal", 20, 35, "degrees Celsius"),
        ("thermal", 40_000, 45_000, "Landsat Collection 2"),
        ("red", 8_200, 14_000, "Landsat Collection 2"),
        ("red", 1_100, 3_000, "1000 is none"),
        ("red", 3, 30, "percent"),
    ],
)
def test_other_ways_to_store_are_recognised(name, low, high, words):
    band = sensors.get("landsat_composite").band(name)
    assert words in sensors.complaint(band, low, high)


def test_radar_in_linear_power_is_no_decibel():
    vv = sensors.get("sentinel1_db").band("vv")
    assert sensors.complaint(vv, -14, -3) is None
    assert "expected the darkest between -60 and -1" in sensors.complaint(vv, 0.01, 0.6)


def test_the_sensor_that_fits_is_found():
    assert sensors.fitting(described(VV=(-18, -5), VH=(-25, -12))) == ["sentinel1_db"]
    found = sensors.fitting(described(red=(0.02, 0.3), thermal=(280, 310)))
    assert found == ["landsat_composite"]
    eight_bits = sensors.fitting(described(red=(12, 250), green=(12, 255)))
    assert "aerial_rgb" in eight_bits and "landsat_composite" not in eight_bits
    assert not sensors.fitting(described(red=(1e6, 1e7)))
    nothing = [{"name": "red", "p2": None, "p98": None}]
    sensors.check_scale(nothing, S2)


def test_real_radar_fits_and_real_reflectance_of_another_scale_is_told(real_data):
    def percentiles(path, names):
        image = raster.read_float(path)
        values = np.nanpercentile(image, [2, 98], axis=(0, 1)).T
        return described(**dict(zip(names, values, strict=True)))

    folder = real_data / "sen1floods11" / "S1"
    for path in folder.iterdir():
        assert sensors.fitting(percentiles(path, ["VV", "VH"])) == ["sentinel1_db"]
    tile = real_data / "tailings_s2_brazil" / "img_u16" / "img_0.tif"
    if tile.exists():  # reflectance x 40 000
        with pytest.raises(InputError, match="sensor=landsat_composite: blue holds"):
            sensors.check_scale(
                percentiles(tile, ["blue", "green", "red"]),
                sensors.get("landsat_composite"),
            )
