import jax
import numpy as np
import pytest
from scipy import ndimage

from minenet.ops import filters, palette, resize
from minenet.types import IGNORE

IMAGE = np.random.default_rng(0).normal(size=(9, 10, 3)).astype(np.float32)
HOLED = IMAGE.copy()
HOLED[2:4, 3] = np.nan
HOLED[7, 7, 1] = np.nan
EMPTY = IMAGE.copy()
EMPTY[..., 1] = np.nan


@pytest.mark.parametrize("size", [1, 3, 5])
def test_the_median_filter_is_that_of_scipy(size):
    expected = ndimage.median_filter(IMAGE, (size, size, 1))
    np.testing.assert_array_equal(filters.median_filter(IMAGE, size=size), expected)


def test_the_median_passes_over_what_is_invalid():
    made = np.asarray(jax.jit(filters.median_filter)(HOLED))
    np.testing.assert_array_equal(np.isnan(made), np.isnan(HOLED))
    window = HOLED[1:4, 3:6, 0]
    assert np.isnan(window).any() and made[2, 4, 0] == np.nanmedian(window)


def test_holes_are_filled_with_the_median():
    by_band = np.asarray(filters.fill_median(HOLED))
    known = ~np.isnan(HOLED)
    np.testing.assert_array_equal(by_band[known], HOLED[known])
    np.testing.assert_allclose(by_band[2, 3], np.nanmedian(HOLED, (0, 1)), rtol=1e-6)
    of_all = np.asarray(filters.fill_median(HOLED, over="image"))
    np.testing.assert_allclose(of_all[~known], np.nanmedian(HOLED), rtol=1e-5)


def test_a_band_of_nothing_has_no_median_of_its_own():
    assert np.isnan(filters.fill_median(EMPTY)[..., 1]).all()
    filled = np.asarray(filters.fill_median(EMPTY, over="image"))
    np.testing.assert_allclose(filled[..., 1], np.nanmedian(EMPTY), rtol=1e-5)
    np.testing.assert_array_equal(
        np.isnan(filters.median_filter(EMPTY)), np.isnan(EMPTY)
    )


@pytest.mark.parametrize("shape", [(18, 5), (9, 10), (4, 23)])
def test_resize_is_that_of_torch(shape):
    torch = pytest.importorskip("torch", reason="the oracle of resize")
    tensor = torch.from_numpy(IMAGE).permute(2, 0, 1)[None]
    for method, options in (
        ("nearest", {"mode": "nearest-exact"}),
        ("bilinear", {"mode": "bilinear", "align_corners": False}),
    ):
        expected = torch.nn.functional.interpolate(tensor, shape, **options)
        made = resize.resize(IMAGE, shape, method=method)
        np.testing.assert_allclose(
            made, expected[0].permute(1, 2, 0).numpy(), atol=1e-5
        )


def test_resize_blends_nothing_with_nodata():
    made = np.asarray(resize.resize(HOLED, (18, 20), method="bilinear"))
    nearest = np.asarray(resize.resize(HOLED, (18, 20)))
    np.testing.assert_array_equal(np.isnan(made), np.isnan(nearest))
    valid = np.asarray(resize.resize(IMAGE, (18, 20), method="bilinear"))
    far = ndimage.distance_transform_edt(~np.isnan(nearest[..., 0])) > 3
    np.testing.assert_allclose(made[far][:, 0], valid[far][:, 0], atol=1e-6)
    labels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert resize.resize(labels, (4, 3)).dtype == np.uint8


def test_colours_and_classes_round_trip():
    table = ((11, 195, 72), (226, 19, 15), (51, 0, 250))
    ids = np.random.default_rng(0).integers(0, 3, (6, 7))
    painted = palette.to_colors(ids, table)
    assert painted.shape == (6, 7, 3) and painted.dtype == np.uint8
    np.testing.assert_array_equal(palette.to_classes(painted, table), ids)
    np.testing.assert_array_equal(
        palette.to_classes(painted, palette.DEFORESTATION), ids
    )
    off = np.clip(np.asarray(painted).astype(int) + 3, 0, 255)
    assert (np.asarray(palette.to_classes(off, table)) == IGNORE).all()
    np.testing.assert_array_equal(palette.to_classes(off, table, tolerance=3), ids)
    np.testing.assert_array_equal(
        palette.to_colors(np.array([IGNORE]), table), [[0] * 3]
    )


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")  # it is a PNG
def test_the_published_pair_has_the_published_colours(real_data):
    rasterio = pytest.importorskip("rasterio", reason="reads the mask")
    path = real_data / "deforestation_pair" / "mask.png"
    if not path.exists():
        pytest.skip(f"real mask absent: {path}")
    with rasterio.open(path) as source:
        mask = source.read().transpose(1, 2, 0)
    ids = np.asarray(palette.to_classes(mask, palette.DEFORESTATION))
    counts = np.bincount(ids.ravel(), minlength=256)
    assert counts[:2].tolist() == [139613, 122531] and counts[2:].sum() == 0


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="size=4: must be odd"):
        filters.median_filter(IMAGE, size=4)
    with pytest.raises(ValueError, match="over='pixel': must be 'band' or 'image'"):
        filters.fill_median(IMAGE, over="pixel")
    with pytest.raises(ValueError, match=r"shape=\(0, 3\): must be at least 1"):
        resize.resize(IMAGE, (0, 3))
    with pytest.raises(ValueError, match="method='cubic': must be 'nearest'"):
        resize.resize(IMAGE, (3, 3), method="cubic")
    with pytest.raises(ValueError, match=r"palette=\(\(1,\), \(2, 3\)\): must be 1 to"):
        palette.to_colors(np.zeros(2), ((1,), (2, 3)))
    with pytest.raises(ValueError, match=r"shape=\(2, 1\)\) must have the palette's 3"):
        palette.to_classes(np.zeros((2, 1)), ((1, 2, 3),))
