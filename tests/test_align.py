import dataclasses

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from minenet.geo import align, bands, grids, raster, windows
from minenet.geo.grids import Grid
from minenet.geo.windows import Window
from minenet.types import InputError
from tests import tiles

HEIGHT, WIDTH = 90, 110
METHODS = list(align.RADIUS)


def smooth(height=HEIGHT, width=WIDTH, count=2):
    rows, cols = np.mgrid[:height, :width]
    waves = [np.sin(rows / 9 + k) + np.cos(cols / 11 - k) for k in range(count)]
    return (100 + 10 * np.stack(waves, -1)).astype(np.float32)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    values = smooth()
    values[30:40, 50:60, 1] = -9  # nodata in one band only
    values[:5] = -9
    folder = tmp_path_factory.mktemp("align")
    return tiles.save(folder / "a.tif", values, nodata=-9, names=["one", "two"])


@pytest.fixture(scope="module")
def info(image):
    return raster.info(image)


@pytest.mark.parametrize("resampling", METHODS)
def test_on_its_own_grid_a_raster_is_itself(image, info, resampling):
    found = align.read(image, Grid.of(info), resampling=resampling)
    np.testing.assert_array_equal(found, raster.read_float(image))


@given(st.integers(-150, 150), st.integers(-150, 150), st.integers(1, 99))
def test_a_shift_of_whole_pixels_is_a_slice(image, info, row, col, size):
    affine = info.affine @ Affine.translation(col, row)
    grid = dataclasses.replace(Grid.of(info), affine=affine, height=size, width=size)
    expected = raster.read_float(image, Window(row, col, size, size))
    np.testing.assert_array_equal(align.read(image, grid), expected)


@pytest.fixture(scope="module")
def other(info):
    """A grid of degrees, finer in rows and coarser in columns."""
    made = grids.choose([info], crs="EPSG:4326", pixel=7e-5)
    return dataclasses.replace(
        made,
        affine=made.affine @ Affine.scale(1.9, 1),
        width=made.width // 2,
    )


@pytest.fixture(scope="module")
def whole(image, other):
    return {method: align.read(image, other, resampling=method) for method in METHODS}


@settings(max_examples=25)
@given(
    st.tuples(st.integers(-9, 150), st.integers(-9, 80)),
    st.tuples(st.integers(1, 150), st.integers(1, 99)),
    st.sampled_from(METHODS),
)
def test_windows_of_an_aligned_raster_are_parts_of_it(
    image, other, whole, origin, size, method
):
    window = Window(*origin, *size)
    found = align.read(image, other, window, resampling=method)
    assert found.shape == (*size, 2)
    inside = windows.clip(window, other.height, other.width)
    if inside is None:
        assert np.isnan(found).all()
        return
    here = windows.shift(inside, -window.row, -window.col).slices
    np.testing.assert_array_equal(found[here], whole[method][inside.slices])
    found[here] = np.nan
    assert np.isnan(found).all()


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
def test_values_lie_where_they_did(image, info, other, whole, method):
    rows, cols = np.mgrid[: other.height, : other.width]
    x, y = other.affine @ (cols.ravel() + 0.5, rows.ravel() + 0.5)
    there = tiles.UTM, CRS.from_epsg(4326)
    x, y = align.rasterio.warp.transform(*there[::-1], x, y)
    col, row = ~info.affine @ (np.array(x), np.array(y))
    row, col = row.reshape(rows.shape) - 0.5, col.reshape(rows.shape) - 0.5
    expected = 100 + 10 * (np.sin(row / 9) + np.cos(col / 11))
    inside = (row > 8) & (row < HEIGHT - 3) & (col > 3) & (col < WIDTH - 3)
    assert inside.sum() > 5000
    found = whole[method][..., 0]
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.3)


@pytest.mark.parametrize("method", METHODS)
def test_each_band_lacks_its_own_pixels_and_no_others(whole, method):
    one, two = np.isnan(whole[method]).transpose(2, 0, 1)
    hole = two & ~one
    assert not (one & ~two).any()
    share = hole.sum() / (~one).sum() * (HEIGHT - 5) * WIDTH
    assert 8 * 8 * 0.8 < share < 10 * 10 * 1.2
    assert np.nanmin(whole[method]) > 75  # no nodata value was mixed in


@pytest.mark.parametrize("method", ["cubic", "mode"])
def test_a_part_is_read_by_itself_where_the_source_is_large(
    image, other, whole, monkeypatch, method
):
    monkeypatch.setattr(align, "TOGETHER", 700)
    monkeypatch.setattr(align, "PART", 100)
    found = align.read(image, other, resampling=method)
    np.testing.assert_array_equal(found, whole[method])


def test_a_much_finer_source_is_averaged_in_small_parts(tmp_path):
    fine = np.random.default_rng(0).random((640, 640)).astype(np.float32)
    path = tiles.save(tmp_path / "fine.tif", fine)
    coarse = Grid(tiles.UTM, tiles.at(gsd_m=320), 20, 20)
    expected = fine.reshape(20, 32, 20, 32).mean((1, 3))
    read = []
    original = raster.read_float

    def counted(path, window, **options):
        read.append(window.height * window.width)
        return original(path, window, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(align, "TOGETHER", 1)
        patch.setattr(align, "SOURCE", 256)
        patch.setattr(raster, "read_float", counted)
        found = align.read(path, coarse, resampling="average")
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-5)
    assert len(read) == 9 and max(read) < 340**2


def test_labels_stay_labels(tmp_path):
    ids = np.random.default_rng(0).integers(0, 3, (60, 60)).astype(np.uint8)
    ids[:9] = 255
    path = tiles.save(tmp_path / "ids.tif", ids, nodata=255)
    double = Grid(tiles.UTM, tiles.at(gsd_m=5), 120, 120)
    found = align.read(path, double, resampling="nearest")[..., 0]
    expected = np.where(ids == 255, np.nan, ids).repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(found, expected)
    coarse = Grid(tiles.UTM, tiles.at(gsd_m=30), 20, 20)
    found = align.read(path, coarse, resampling="mode")[..., 0]
    parts = ids.reshape(20, 3, 20, 3).transpose(0, 2, 1, 3).reshape(400, 9)
    counts = np.stack([(parts == i).sum(1) for i in range(3)], 1)
    clear = (counts == counts.max(1, keepdims=True)).sum(1) == 1
    clear &= counts.sum(1) == 9
    assert clear.sum() > 100 and np.isnan(found[:3]).all()
    np.testing.assert_array_equal(found.ravel()[clear], counts.argmax(1)[clear])


def test_a_stack_lacks_what_a_scene_lacks(image, info, tmp_path):
    sar = tiles.save(
        tmp_path / "s1.tif", smooth(45, 55, 1), transform=tiles.at(gsd_m=20)
    )
    sar_info = raster.info(sar)
    stack = bands.select([[info, sar_info]], labels=["s2", "s1"])
    assert stack.names == ("s2_one", "s2_two", "s1_band_1")
    stack = dataclasses.replace(stack, resampling=("cubic", "bilinear"))
    grid = Grid.of(info)
    paths = [str(image), str(sar)]
    both = bands.read(paths, stack, None, grid=grid)
    np.testing.assert_array_equal(both[..., :2], raster.read_float(image))
    assert np.isfinite(both[..., 2]).all()
    one = bands.read([paths[0], None], stack, None, grid=grid)
    np.testing.assert_array_equal(one[..., :2], both[..., :2])
    assert np.isnan(one[..., 2]).all()


@given(st.floats(-1e5, 1e5), st.floats(3, 300), st.integers(1, 40))
def test_a_grid_of_its_own_covers_all_at_multiples_of_its_pixel(
    info, shift, pixel, size
):
    far = dataclasses.replace(
        info, affine=tiles.at(shift, -shift), height=size, width=9
    )
    grid = grids.choose([info, far], pixel=pixel)
    left, bottom, right, top = grid.bounds
    for each in (info, far):
        box = Grid.of(each).bounds
        slack = 2 * grids.SAME * pixel
        assert left <= box[0] + slack and bottom <= box[1] + slack
        assert right >= box[2] - slack and top >= box[3] - slack
        assert left > min(info.affine.c, far.affine.c) - pixel - slack
    assert left / pixel == pytest.approx(round(left / pixel), abs=1e-6)
    assert top / pixel == pytest.approx(round(top / pixel), abs=1e-6)


def moved(info, **changes):
    return dataclasses.replace(info, path="b.tif", **changes)


def test_a_grid_is_chosen_by_the_user(info):
    assert grids.choose([info]) == Grid.of(info)
    finer = moved(info, affine=tiles.at(gsd_m=5), height=180, width=220)
    assert grids.choose([info, finer], like=1) == Grid.of(finer)
    assert grids.choose([info, moved(info)]) == Grid.of(info)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"crs": CRS.from_epsg(4326)}, {}, r"b\.tif: EPSG:4326, but .*a\.tif has EPSG"),
        ({"crs": CRS.from_epsg(4326)}, {"pixel": 10}, "a CRS and a pixel size"),
        ({"affine": tiles.at(3)}, {}, "b.tif: other pixels than those of"),
        ({}, {"crs": "EPSG:4326"}, "EPSG:4326 needs a pixel size too"),
        ({}, {"crs": "EPSG:4326", "pixel": 10}, "units of EPSG:4326"),
        ({}, {"crs": "UTM 23", "pixel": 10}, "'UTM 23' is no CRS; give one like"),
        (
            {"crs": None},
            {"crs": "EPSG:4326", "pixel": 1e-4},
            "no CRS cannot be brought",
        ),
    ],
)
def test_a_grid_that_cannot_be_chosen_is_told(info, changes, options, message):
    with pytest.raises(InputError, match=message):
        grids.choose([info, moved(info, **changes)], **options)


def test_what_shares_no_place_is_told(image, info):
    far = dataclasses.replace(Grid.of(info), affine=tiles.at(1e5))
    with pytest.raises(InputError, match=r"a\.tif: x 500000 to .* share nothing with"):
        grids.check_overlap(info, far)
    assert np.isnan(align.read(image, far)).all()
    bare = dataclasses.replace(Grid.of(info), crs=None)
    for refuse in (
        lambda: grids.check_overlap(info, bare),
        lambda: align.read(image, bare),
    ):
        with pytest.raises(InputError, match="EPSG:32723, but the grid has no CRS"):
            refuse()
    grids.check_overlap(info, grids.choose([info], crs="EPSG:3857", pixel=30))
    with pytest.raises(InputError, match="resampling: 'lanczos', expected one of"):
        align.read(image, Grid.of(info), resampling="lanczos")


def test_a_grid_where_the_source_is_not_defined_has_no_pixels(image):
    pole = Grid(CRS.from_epsg(3413), Affine(1e5, 0, -1e6, 0, -1e5, 1e6), 20, 20)
    assert np.isnan(align.read(image, pole)).all()


def test_a_real_stack_comes_to_the_grid_of_another(real_data):
    stack = real_data / "edge_rasters" / "galamsey-sentinel__galamsey_001.tif"
    info = raster.info(stack)
    grid = grids.choose([info], crs="EPSG:32630", pixel=10)
    found = align.read(stack, grid)
    assert found.shape[2] == 8 and np.isfinite(found).mean() > 0.9
    before = np.nanmean(raster.read_float(stack), (0, 1))
    np.testing.assert_allclose(np.nanmean(found, (0, 1)), before, rtol=0.02, atol=0.01)
