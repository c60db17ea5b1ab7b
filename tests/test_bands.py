import numpy as np
import pytest

from minenet.geo import bands, raster
from minenet.geo.windows import Window
from minenet.types import InputError
from tests import tiles

RGB = ("blue", "green", "red")


def infos(*scenes):
    return [[raster.info(path) for path in scene] for scene in scenes]


@pytest.fixture
def rgb(tmp_path):
    return tiles.save(tmp_path / "a.tif", tiles.picture(seed=1), names=RGB)


@pytest.fixture
def swapped(tmp_path):
    image = tiles.picture(seed=2)
    return tiles.save(tmp_path / "b.tif", image, names=RGB[::-1])


@pytest.fixture
def plain(tmp_path):
    return tiles.save(tmp_path / "c.tif", tiles.picture(count=2, seed=3))


def test_names_are_those_of_the_raster(rgb):
    stack = bands.select(infos([rgb]))
    assert stack.names == RGB and stack.described


def test_bands_are_found_by_name_wherever_they_stand(rgb, swapped):
    stack = bands.select(infos([rgb], [swapped]))
    assert stack.names == RGB
    for path, order in (rgb, [1, 2, 3]), (swapped, [3, 2, 1]):
        found = bands.read([str(path)], stack, None)
        np.testing.assert_array_equal(found, raster.read_float(path, bands=order))


@pytest.mark.parametrize("chosen", [("red", "blue"), (3, 1)])
def test_bands_come_in_the_order_chosen(rgb, chosen):
    stack = bands.select(infos([rgb]), bands=chosen)
    assert stack.names == ("red", "blue") and stack.described
    found = bands.read([str(rgb)], stack, None)
    np.testing.assert_array_equal(found, raster.read_float(rgb, bands=[3, 1]))


def test_several_images_stack_and_carry_their_folder(rgb, plain):
    stack = bands.select(infos([rgb, plain]), labels=["S2", "S1"])
    assert stack.names == (*(f"S2_{band}" for band in RGB), "S1_band_1", "S1_band_2")
    assert not stack.described
    window = Window(-3, 50, 20, 20)
    found = bands.read([str(rgb), str(plain)], stack, window)
    parts = [raster.read_float(path, window) for path in (rgb, plain)]
    np.testing.assert_array_equal(found, np.concatenate(parts, axis=-1))


def test_bands_of_several_images_may_be_chosen_and_mixed(rgb, plain):
    for chosen in ("S1_band_2", "S2_red", "S1_band_1"), (5, 3, 4):
        stack = bands.select(infos([rgb, plain]), labels=["S2", "S1"], bands=chosen)
        found = bands.read([str(rgb), str(plain)], stack, None)
        red = raster.read_float(rgb)[..., 2]
        two = raster.read_float(plain)
        expected = np.stack([two[..., 1], red, two[..., 0]], axis=-1)
        np.testing.assert_array_equal(found, expected)


def test_values_are_scaled_when_asked_for(tmp_path):
    with raster.create(
        tmp_path / "s.tif",
        height=4,
        width=4,
        count=1,
        dtype="uint16",
        crs=tiles.UTM,
        affine=tiles.at(),
        scales=[0.5],
    ) as write:
        write(np.full((4, 4, 1), 7, np.uint16), 0)
    for scaled, value in (False, 7), (True, 3.5):
        stack = bands.select(infos([tmp_path / "s.tif"]), scaled=scaled)
        assert (bands.read([str(tmp_path / "s.tif")], stack, None) == value).all()


def test_bands_that_differ_must_be_chosen(rgb, plain, tmp_path):
    other = tiles.save(
        tmp_path / "d.tif", tiles.picture(), names=("red", "nir", "swir")
    )
    for second in plain, other:
        with pytest.raises(InputError, match=r"\.tif: bands .*a\.tif has blue, green"):
            bands.select(infos([rgb], [second]))
    assert bands.select(infos([rgb], [other]), bands=["red"]).described
    by_place = bands.select(infos([rgb], [other]), bands=[1, 2])
    assert by_place.names == ("band_1", "band_2") and not by_place.described


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["nir"], "a.tif: no band 'nir'; its scene has blue, green, red"),
        ([4], "a.tif: no band 4; its scene has 3"),
        ([0], "a.tif: no band 0"),
        (["red", "red"], "bands: red, red; name each band once"),
        (["red", 3], "bands: red, red; name each band once"),
        ([], "bands: ; name each band once"),
    ],
)
def test_bands_that_cannot_be_had_are_told(rgb, chosen, message):
    with pytest.raises(InputError, match=message):
        bands.select(infos([rgb]), bands=chosen)


@pytest.mark.parametrize("gsd_m", [0.5, 10.0])
def test_the_ground_size_of_a_pixel(tmp_path, gsd_m):
    path = tiles.save(
        tmp_path / "g.tif", tiles.picture(), transform=tiles.at(gsd_m=gsd_m)
    )
    assert bands.gsd_m(raster.info(path)) == pytest.approx(gsd_m, rel=1e-3)


def test_the_ground_size_is_unknown_without_a_crs(tmp_path):
    path = tiles.save(tmp_path / "g.png", tiles.picture().astype(np.uint8))
    assert bands.gsd_m(raster.info(path)) is None


def test_the_ground_size_of_degrees(real_data):
    info = raster.info(real_data / "tailings_s2_brazil/img_u16/img_2.tif")
    assert bands.gsd_m(info) == pytest.approx(9.8, abs=0.2)
