"""Values between pixels are those of GDAL's warp, and each point's are its own."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject

from minenet.geo import align, gather, grids, lattice, raster
from minenet.geo.windows import Window
from tests import tiles

METHODS = ["nearest", *gather.KERNELS]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    values = np.random.default_rng(0).random((150, 140, 3), np.float32)
    values[40:52, 60:75, 1] = np.nan
    path = tmp_path_factory.mktemp("gather") / "a.tif"
    return tiles.save(path, values, nodata=np.nan)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32724", "EPSG:32723"])
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.3])
@pytest.mark.parametrize("method", METHODS)
def test_values_are_those_of_gdal(image, crs, factor, method):
    info = raster.info(image)
    pixel = 10 * factor * (1 / 111_000 if crs == "EPSG:4326" else 1)
    grid = grids.choose([info], crs=crs, pixel=pixel)
    found = align.read(image, grid, resampling=method)
    scale = align.source_pixels(info, grid)
    assert None not in [gather.stretch(method, each) for each in scale]
    source = np.ascontiguousarray(np.moveaxis(raster.read_float(image), -1, 0))
    expected = np.full((3, grid.height, grid.width), np.nan, np.float32)
    reproject(
        source,
        expected,
        src_transform=info.affine,
        src_crs=info.crs,
        src_nodata=np.nan,
        dst_transform=grid.affine,
        dst_crs=grid.crs,
        dst_nodata=np.nan,
        resampling=Resampling[method],
        tolerance=0,
        UNIFIED_SRC_NODATA="NO",
        XSCALE=min(1.0, 1 / scale[1]),
        YSCALE=min(1.0, 1 / scale[0]),
    )
    expected = np.moveaxis(expected, 0, -1)
    # A place that is off by a thousandth of a pixel may lie beyond an edge.
    known = np.isfinite(found)
    assert (known != np.isfinite(expected)).mean() < 5e-4
    assert 0.6 < known[..., 0].mean() and known[..., 1].sum() < known[..., 0].sum()
    apart = np.abs(found - expected)[known & np.isfinite(expected)]
    if method == "nearest":
        assert (apart > 0).mean() < 1e-3
    else:
        # A widened cubic kernel that meets a hole: see `gather.values`.
        share = 0.9 if (method, factor) == ("cubic", 1.3) else 1
        assert np.quantile(apart, share) < 3e-3  # of noise between 0 and 1


@given(
    st.sampled_from(METHODS),
    st.sampled_from([(1.0, 1.0), (1.4, 1.0), (2.0, 1.7)]),
    st.integers(0, 2**32 - 1),
)
def test_a_point_has_one_value(method, stretch, seed):
    generator = np.random.default_rng(seed)
    image = generator.random((24, 20, 2), np.float32)
    image[generator.random(image.shape) < 0.05] = np.nan
    around = max(gather.reach(method, each) for each in stretch)
    options = {"method": method, "stretch": stretch}
    low, high = around + 3, 17 - around
    rows, cols = generator.uniform(low, high, (2, 30))
    all_ = gather.values(image, rows, cols, origin=(0, 0), **options)
    some = generator.permutation(30)[: generator.integers(1, 30)]
    row, col = (int(at[some].min()) - around for at in (rows, cols))
    part = image[row : int(rows[some].max()) + around + 1, col:]
    found = gather.values(part, rows[some], cols[some], origin=(row, col), **options)
    np.testing.assert_array_equal(found, all_[some])


@pytest.mark.parametrize("pixel", [10, 30_000])
def test_places_between_the_lattice_are_close(image, pixel):
    """On a grid of 30 km cells nothing is linear; the transform itself is asked."""
    info = raster.info(image)
    affine = Affine(pixel, 0, 4e5 - 60 * pixel, 0, -pixel, 8.1e6 + 70 * pixel)
    grid = grids.Grid(CRS.from_epsg(32724), affine, 200, 200)
    window = Window(37, 50, 100, 90)
    rows, cols = lattice.places(info, grid, window)
    down, right = np.mgrid[window.slices] + 0.5
    exact = lattice.to_source(info, grid, down.ravel(), right.ravel())
    for found, wanted in zip((rows, cols), exact, strict=True):
        assert np.abs(found - wanted.reshape(100, 90)).max() < 2 * lattice.CLOSE
