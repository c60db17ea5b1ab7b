import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from minenet.geo import aoi, world
from minenet.types import InputError

GRID = world.Grid()
lons, lats = st.floats(-180, 180), st.floats(-90, 90)


def test_it_is_the_grid_of_mining_net():
    # Shape, origin and a tile of odc-geo's GeoBox of the world at this resolution.
    assert (GRID.height, GRID.width, GRID.shape) == (667_916, 1_335_832, (2610, 5219))
    origin = GRID.affine(0, 0)
    assert (origin.c, origin.f) == pytest.approx((-180.00002242, 90.00001121), abs=1e-9)
    found = GRID.tiles(shapely.box(-45.0, -18.1, -44.9, -18.05))
    assert found == [(1566, 1956), (1566, 1957), (1566, 1958)]
    affine = GRID.affine(1566, 1957)
    assert affine.c == pytest.approx(-44.98518338, abs=1e-9)
    assert affine.f == pytest.approx(-18.03945631, abs=1e-9)


@given(lons, lats)
def test_a_point_lies_in_its_tile(lon, lat):
    ix, iy = GRID.tile_of(lon, lat)
    west, south, east, north = GRID.bounds(ix, iy)
    assert west - 1e-9 <= lon <= east + 1e-9 and south - 1e-9 <= lat <= north + 1e-9
    assert (ix, iy) in GRID.tiles(shapely.Point(lon, lat))


@given(st.integers(1, 2608), st.integers(1, 5217))
def test_a_tile_lies_on_itself_alone(ix, iy):
    assert GRID.tiles(shapely.box(*GRID.bounds(ix, iy))) == [(ix, iy)]
    affine, bounds = GRID.affine(ix, iy), GRID.bounds(ix, iy)
    corners = [*(affine @ (0, 0)), *(affine @ (256, 256))]
    np.testing.assert_allclose(np.array(corners)[[0, 3, 2, 1]], bounds, atol=1e-9)
    right = GRID.affine(ix, iy + 1)
    assert affine @ (256, 0) == pytest.approx((right.c, right.f), abs=1e-9)
    window = GRID.window(ix, iy)
    assert (window.row, window.col, window.height) == (256 * ix, 256 * iy, 256)


@given(lons, lats, st.floats(0, 0.3), st.floats(0, 0.3))
def test_tiles_of_an_area_are_those_that_its_parts_reach(lon, lat, wide, high):
    east, north = min(lon + wide, 180), min(lat + high, 90)
    area = shapely.Polygon([(lon, lat), (east, lat), (lon, north)])
    found = GRID.tiles(area)
    assert len(set(found)) == len(found) and found == sorted(found)
    if area.area > 1e-6:
        grown = area.buffer(1e-9)
        boxes = shapely.union_all([shapely.box(*GRID.bounds(*tile)) for tile in found])
        assert boxes.buffer(1e-9).covers(area)
        assert all(shapely.box(*GRID.bounds(*tile)).intersects(grown) for tile in found)


def test_another_size_divides_the_same_pixels():
    small = world.Grid(size=64)
    assert small.affine(4 * 1566, 4 * 1957) == GRID.affine(1566, 1957)
    assert GRID.tiles(shapely.Polygon()) == []


def test_places_that_are_not_on_earth_are_told():
    with pytest.raises(InputError, match="bounds: .*give polygons in EPSG:4326"):
        GRID.tile_of(500_000, 8_000_000)
    with pytest.raises(InputError, match="bounds"):
        GRID.tile_of(0, np.nan)
    with pytest.raises(ValueError, match=r"tile \(2610, 0\) is not one of 2610 x 5219"):
        GRID.bounds(2610, 0)
    with pytest.raises(InputError, match="resolution: 0, size: 256, expected"):
        world.Grid(resolution=0)


def area(*shapes, crs=4326):
    return geopandas.GeoDataFrame(geometry=list(shapes), crs=crs)


def test_an_area_of_interest_is_covered_by_cells_that_reach_it():
    shape = shapely.Polygon([(28, -2), (28.1, -2), (28, -1.9)])
    cells = aoi.grid(area(shape), size=375, gsd_m=4.77)
    wide, high = 375 * 4.77 / 111_320, 375 * 4.77 / 110_540
    first = cells.geometry.iloc[0].bounds
    expected = (28, -1.9 - high, 28 + wide, -1.9)
    np.testing.assert_allclose(first, expected, atol=1e-12)
    assert cells.geometry.intersects(shape).all()
    assert shapely.union_all(cells.geometry).buffer(1e-9).covers(shape)
    full = int(np.ceil(0.1 / wide)) * int(np.ceil(0.1 / high))
    assert full / 2 < len(cells) < full
    order = cells[["row", "col"]].apply(tuple, axis=1).tolist()
    assert order == sorted(order) and cells.tile.tolist() == list(range(len(cells)))


def test_an_area_in_metres_has_the_cells_of_its_degrees():
    shape = area(shapely.box(28, -2, 28.1, -1.9))
    projected = area(shape.geometry.segmentize(0.001).iloc[0]).to_crs(32735)
    there, here = (aoi.grid(each, size=375, gsd_m=10) for each in (projected, shape))
    assert len(there) == len(here)
    np.testing.assert_allclose(there.total_bounds, here.total_bounds, atol=1e-6)


@pytest.mark.parametrize(
    ("frame", "gsd_m", "message"),
    [
        (area(shapely.box(0, 0, 1, 1), crs=None), 10, "area of interest: no CRS"),
        (area(shapely.Polygon()), 10, "area of interest: empty"),
        (area(shapely.box(0, 0, 1, 1)), 0, "gsd_m: 0, expected numbers above 0"),
    ],
)
def test_an_area_that_cannot_be_is_told(frame, gsd_m, message):
    with pytest.raises(InputError, match=message):
        aoi.grid(frame, size=375, gsd_m=gsd_m)
