import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from minenet.geo import handles, raster
from minenet.geo.windows import Window
from minenet.types import InputError

HEIGHT, WIDTH, BANDS = 37, 53, ("blue", "green", "red")
UTM = CRS.from_epsg(32723)
AFFINE = Affine(10, 0, 500_000, 0, -10, 8_000_000)


def scene(dtype="uint16", seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 200, (HEIGHT, WIDTH, 3)).astype(dtype)
    image[:4] = 0
    return image


def save(path, image, **options):
    """Writes with rasterio itself, so that reading is not tested by our writer."""
    height, width, count = image.shape
    masks = options.pop("masks", None)
    names = options.pop("names", None)
    roles = options.pop("roles", None)
    settings = {"driver": "GTiff", "crs": UTM, "transform": AFFINE} | options
    with handles.open_quietly(
        path,
        "w",
        height=height,
        width=width,
        count=count,
        dtype=image.dtype,
        **settings,
    ) as file:
        file.write(np.moveaxis(image, -1, 0))
        if names:
            file.descriptions = names
        if roles:
            file.colorinterp = roles
        if masks is not None:
            file.write_mask(masks)
    return path


@pytest.fixture(scope="module")
def tif(tmp_path_factory):
    path = tmp_path_factory.mktemp("raster") / "scene.tif"
    return save(path, scene(), nodata=0, names=BANDS)


def test_info_says_what_stands_in_the_file(tif):
    info = raster.info(tif)
    assert (info.height, info.width, info.bands) == (HEIGHT, WIDTH, BANDS)
    assert info.described and info.alpha is None
    assert (info.crs, info.affine, info.dtype) == (UTM, AFFINE, np.uint16)
    assert info.nodata == (0, 0, 0)


@settings(max_examples=60)
@given(
    st.builds(
        Window,
        st.integers(-60, 60),
        st.integers(-60, 60),
        st.integers(1, 70),
        st.integers(1, 70),
    ),
    st.lists(st.sampled_from([1, 2, 3, *BANDS]), min_size=1, max_size=4),
)
def test_a_window_is_a_slice_of_the_scene_set_in_invalid_pixels(tif, window, bands):
    image, valid = raster.read(tif, window, bands=bands)

    places = [BANDS.index(b) if isinstance(b, str) else b - 1 for b in bands]
    far = 130  # wider than any window reaches
    wide = np.pad(scene()[..., places], [(far, far), (far, far), (0, 0)])
    rows = slice(window.row + far, window.row_stop + far)
    expected = wide[rows, window.col + far : window.col_stop + far]
    np.testing.assert_array_equal(valid, expected != 0)
    np.testing.assert_array_equal(image, expected)


def test_read_float_has_nan_exactly_where_invalid(tif):
    image, valid = raster.read(tif)
    as_float = raster.read_float(tif)
    assert as_float.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(as_float), ~valid)
    np.testing.assert_array_equal(as_float[valid], image[valid])


def test_nothing_is_invalid_without_nodata(tmp_path):
    path = save(tmp_path / "plain.tif", scene())
    assert raster.read(path)[1].all()
    assert raster.info(path).bands == ("band_1", "band_2", "band_3")


@pytest.mark.parametrize("nodata", [None, 7.0, np.nan])
def test_not_finite_is_never_valid(tmp_path, nodata):
    image = scene("float64")
    image[5, 5], image[6, 6, 1], image[7, 7, 2] = np.nan, np.inf, 1e300
    path = save(tmp_path / "float.tif", image, nodata=nodata)
    expected = np.isfinite(image) & (image != nodata)
    np.testing.assert_array_equal(raster.read(path)[1], expected)
    # Too large for float32 is as good as not there.
    expected[7, 7, 2] = False
    np.testing.assert_array_equal(~np.isnan(raster.read_float(path)), expected)


def test_an_alpha_band_is_no_data_band_but_says_what_is_valid(tmp_path):
    image = np.concatenate([scene("uint8")] * 2, axis=-1)[..., :4]
    roles = rasterio.enums.ColorInterp
    roles = (roles.red, roles.green, roles.blue, roles.alpha)
    path = save(tmp_path / "alpha.tif", image, roles=roles, nodata=3)
    info = raster.info(path)
    assert (info.bands, info.alpha) == (("band_1", "band_2", "band_3"), 4)
    valid = raster.read(path)[1]
    expected = (image[..., :3] != 3) & (image[..., 3:] != 0)
    np.testing.assert_array_equal(valid, expected)
    with pytest.raises(InputError, match="no band 4; it has 1 band_1, 2 band_2"):
        raster.read(path, bands=[4])


def test_a_mask_band_says_what_is_valid(tmp_path):
    mask = np.random.default_rng(1).random((HEIGHT, WIDTH)) > 0.5
    path = save(tmp_path / "masked.tif", scene(), masks=mask)
    valid = raster.read(path, Window(-2, -2, 9, 9))[1]
    assert not valid[:2].any() and not valid[:, :2].any()
    for band in range(3):
        np.testing.assert_array_equal(valid[2:, 2:, band], mask[:7, :7])


def test_scale_and_offset_apply_only_when_asked_for(tmp_path):
    path = save(tmp_path / "scaled.tif", scene(), nodata=0)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1e-4, 1, 2), (0, -5, 7)
    raw, valid = raster.read(path, bands=[3, 1])
    scaled, same = raster.read(path, bands=[3, 1], scaled=True)
    assert raw.dtype == np.uint16 and scaled.dtype == np.float32
    np.testing.assert_array_equal(valid, same)
    np.testing.assert_allclose(scaled, raw * [2, 1e-4] + [7, 0], rtol=1e-6)


def test_bands_of_different_types_share_one_that_holds_them_all(tmp_path):
    first = save(tmp_path / "a.tif", scene("uint16")[..., :1])
    second = save(tmp_path / "b.tif", scene("float32")[..., :1] - 0.5)
    vrt = tmp_path / "stack.vrt"
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{i}"><SimpleSource><SourceFilename '
        f'relativeToVRT="1">{path.name}</SourceFilename></SimpleSource></VRTRasterBand>'
        for i, (kind, path) in enumerate([("UInt16", first), ("Float32", second)], 1)
    )
    vrt.write_text(
        f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}">{bands}</VRTDataset>'
    )
    image, _ = raster.read(vrt)
    assert image.dtype == raster.info(vrt).dtype == np.float32
    np.testing.assert_array_equal(image[..., 1], image[..., 0] - 0.5)


def test_a_picture_has_no_crs_and_raises_no_warning(tmp_path):
    path = tmp_path / "picture.png"
    save(path, scene("uint8"), driver="PNG", crs=None, transform=Affine.identity())
    Path(f"{path}.aux.xml").unlink(missing_ok=True)
    info = raster.info(path)
    assert info.crs is None and info.affine == Affine.identity()
    np.testing.assert_array_equal(raster.read(path)[0], scene("uint8"))


def test_names_that_repeat_are_not_names(tmp_path):
    path = save(tmp_path / "twice.tif", scene(), names=("a", "a", "b"))
    info = raster.info(path)
    assert not info.described and info.bands == ("band_1", "band_2", "band_3")


@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 16}])
@pytest.mark.parametrize("compress", ["none", "deflate"])
def test_a_truncated_file_is_told_and_never_read_as_something_else(
    tmp_path, layout, compress
):
    if layout:
        layout = layout | {"blockysize": 16}
    whole = save(tmp_path / "whole.tif", scene() + 1, compress=compress, **layout)
    data = whole.read_bytes()
    refused = 0
    for size in np.linspace(0, len(data) - 1, 23).astype(int):
        path = tmp_path / f"cut_{size}.tif"
        path.write_bytes(data[:size])
        try:
            image, _ = raster.read(path)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(image, scene() + 1)
    assert refused >= 20


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "no such raster; check the path"),
        (lambda p: p.write_text("not a raster"), "not a raster that GDAL can read"),
        (lambda p: p.mkdir(), "not a raster that GDAL can read"),
        (lambda p: save(p, scene("complex64")), "complex numbers"),
        (
            lambda p: save(
                p,
                scene(),
                transform=Affine.identity(),
                gcps=[
                    rasterio.control.GroundControlPoint(i, i, i, i) for i in range(4)
                ],
            ),
            "4 ground control points alone, no affine grid; warp it first",
        ),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, make, message):
    path = tmp_path / "bad.tif"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        raster.info(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_band_is_told_with_those_there(tif):
    with pytest.raises(
        InputError, match="no band 'nir'; it has 1 blue, 2 green, 3 red"
    ):
        raster.read(tif, bands=["nir"])
    with pytest.raises(TypeError, match="bands must be a sequence"):
        raster.read(tif, bands="red")


def test_match_names_both_files(tmp_path):
    def at(name, rows=HEIGHT, **options):
        return raster.info(save(tmp_path / name, scene()[:rows], **options))

    one, nearly = (
        at("one.tif"),
        at("near.tif", transform=AFFINE @ Affine.translation(0.05, 0)),
    )
    picture = at("picture.tif", crs=None, transform=Affine.identity())
    raster.match([one, nearly, picture])
    for other, message in [
        (at("small.tif", 5), "5 x 53 pixels, but .*one.tif has 37 x 53"),
        (at("zone.tif", crs=CRS.from_epsg(32722)), "EPSG:32722, but .*one.tif has"),
        (
            at("moved.tif", transform=AFFINE @ Affine.translation(0, 2)),
            "up to 2 pixels away from those of .*one.tif",
        ),
    ]:
        with pytest.raises(InputError, match=message):
            raster.match([one, other])


def test_a_replaced_file_is_read_anew(tmp_path):
    path = save(tmp_path / "scene.tif", scene())
    raster.read(path)
    os.replace(save(tmp_path / "next.tif", scene(seed=9)), path)
    np.testing.assert_array_equal(raster.read(path)[0], scene(seed=9))


def test_threads_read_what_one_thread_reads(tmp_path):
    paths = [save(tmp_path / f"{i}.tif", scene(seed=i), nodata=0) for i in range(3)]
    rng = np.random.default_rng(0)
    corners = rng.integers(-8, 40, (300, 2)).tolist()
    jobs = [(paths[i % 3], Window(*corner, 16, 16)) for i, corner in enumerate(corners)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda job: raster.read_float(*job), jobs))
    for job, image in zip(jobs, found, strict=True):
        np.testing.assert_array_equal(image, raster.read_float(*job))


FORKS = """
import os, sys
import numpy as np
from minenet.geo import handles, raster
from minenet.geo.windows import Window

path = sys.argv[1]
windows = [Window(row, 0, 5, 53) for row in range(30)]
expected = [raster.read(path, window)[0] for window in windows]
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        inherited = sum(map(len, handles._idle.values()))
        same = all(
            np.array_equal(raster.read(path, window)[0], image)
            for _ in range(20)
            for window, image in zip(windows, expected)
        )
        os._exit(0 if same and inherited == 0 else 1)
    children.append(child)
for _ in range(20):  # at the same time as they
    for window, image in zip(windows, expected):
        assert np.array_equal(raster.read(path, window)[0], image)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
"""


def test_forks_read_what_their_parent_reads(tif):
    subprocess.run([sys.executable, "-c", FORKS, str(tif)], check=True, timeout=60)


def test_few_files_stay_open(tmp_path, tif, monkeypatch):
    monkeypatch.setattr(handles, "IDLE", 5)
    paths = []
    for i in range(12):
        paths.append(tmp_path / f"{i}.tif")
        os.link(tif, paths[-1])
    for path in paths:
        raster.info(path)
    waiting = sum(map(len, handles._idle.values()))
    assert 0 < waiting <= 5
    handles.close()
    assert not handles._idle


EDGE = {
    "galamsey-sentinel__galamsey_001.tif": 8,
    "opengeos__1985.tif": 4,
    "opengeos__2020.tif": 4,
    "rasterio__RGB.byte.tif": 3,
    "rasterio__all-nodata.tif": 4,
    "rasterio__alpha.tif": 3,
    "rio-tiler__cog_nodata_nan.tif": 1,
    "rio-tiler__cog_scale.tif": 2,
    "rio-tiler__inverted_lat.tif": 1,
    "stars__L7_ETMs.tif": 6,
}


@pytest.mark.parametrize("name", EDGE)
def test_awkward_real_files_read_as_rasterio_masks_them(real_data, name):
    path = real_data / "edge_rasters" / name
    info = raster.info(path)
    assert len(info.bands) == EDGE[name]
    with rasterio.open(path) as file:
        wanted = np.moveaxis(file.read(list(info.numbers), masked=True), 0, -1)
        assert (info.crs, info.affine) == (file.crs, file.transform)
    image, valid = raster.read(path)
    expected = ~np.ma.getmaskarray(wanted) & np.isfinite(wanted.data)
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(image[valid], wanted.data[valid])
    if name == "rio-tiler__cog_scale.tif":
        in_units = wanted.data * [1e-4, 1e-3] + [1000, 2000]
        scaled = raster.read_float(path, scaled=True)
        np.testing.assert_allclose(scaled[valid], in_units[valid], rtol=1e-6)


def test_a_real_file_with_control_points_alone_is_refused(real_data):
    with pytest.raises(InputError, match="cog_gcps.tif: placed by 210 ground control"):
        raster.info(real_data / "edge_rasters" / "rio-tiler__cog_gcps.tif")
