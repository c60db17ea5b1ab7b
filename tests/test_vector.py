import os
import subprocess
import sys

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from minenet.geo import vector
from minenet.types import InputError

UTM = CRS.from_epsg(32723)
GRID = {
    "affine": Affine(10, 0, 500_000, 0, -10, 8_000_000),
    "crs": UTM,
    "height": 40,
    "width": 50,
}


def frame(*shapes, crs=UTM, **columns):
    return geopandas.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


def box(row, col, height, width):
    """A polygon over whole pixels of GRID."""
    x, y = GRID["affine"] @ (col, row)
    return shapely.box(x, y - 10 * height, x + 10 * width, y)


def centres(affine, height, width, **_):
    cols, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return affine @ (cols, rows)


class TestRead:
    def test_gives_back_what_was_written(self, tmp_path):
        polygons = frame(box(0, 0, 5, 5), box(9, 9, 3, 3), kind=["pit", "pond"])
        vector.write(tmp_path / "mines.gpkg", polygons, layer="mines")
        found = vector.read(tmp_path / "mines.gpkg")
        assert found.crs == polygons.crs and found["kind"].tolist() == ["pit", "pond"]
        assert found.geometry.geom_equals(polygons.geometry).all()
        assert set(found.geom_type) == {"Polygon"}
        assert os.listdir(tmp_path) == ["mines.gpkg"]

    @pytest.mark.parametrize("crs", [UTM, None])
    def test_gives_back_no_polygons_too(self, tmp_path, crs):
        none = frame(crs=crs, kind=np.array([], object), area_m2=np.array([], float))
        vector.write(tmp_path / "none.gpkg", none, layer="mines")
        found = vector.read(tmp_path / "none.gpkg")
        assert len(found) == 0 and found.crs == crs
        assert list(found.columns) == ["kind", "area_m2", "geometry"]

    def test_wants_a_layer_where_there_are_several(self, tmp_path):
        path = tmp_path / "two.gpkg"
        frame(box(0, 0, 1, 1)).to_file(path, layer="mines")
        frame(box(0, 0, 2, 2)).to_file(path, layer="roads")
        with pytest.raises(InputError, match="choose one of its layers: mines, roads"):
            vector.read(path)
        with pytest.raises(InputError, match="no layer 'pits'; it has mines, roads"):
            vector.read(path, layer="pits")
        assert vector.read(path, layer="roads").area.tolist() == [400]

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("absent.gpkg", None, "no such vector file"),
            ("broken.gpkg", "nothing", "not a vector file that GDAL can read"),
            ("table.csv", "a,b\n1,2\n", "a table without geometry"),
            (
                "points.geojson",
                '{"type": "Point", "coordinates": [1, 2]}',
                "Point where polygons are needed",
            ),
            (
                "untyped.geojson",
                '{"type": "FeatureCollection", "features": [{"geometry": {"type": '
                '"Polygon", "coordinates": [[[0, 0], [0, 1], [1, 1], [0, 0]]]}}]}',
                'none of its 1 features; each needs "type": "Feature"',
            ),
        ],
    )
    def test_says_what_is_wrong_in_one_line(self, tmp_path, name, text, message):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            vector.read(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)

    def test_reads_the_real_files_of_mines(self, real_data):
        counts = {"maus_v1_brazil": 459, "maus_v1_indian": 781}
        for name, count in counts.items():
            found = vector.read(real_data / "mine_polygons" / f"{name}.geojson")
            assert len(found) == count and found.crs.to_epsg() == 4326

    def test_notices_the_real_file_of_which_gdal_reads_nothing(self, real_data):
        folder = real_data / "sandmining_india_rgb" / "Observation0"
        with pytest.raises(InputError, match="GDAL reads none of its 29 features"):
            vector.read(folder / "annotations.geojson")


class TestRasterize:
    @settings(max_examples=50)
    @given(
        st.lists(st.tuples(st.floats(-20, 70), st.floats(-20, 60)), min_size=3),
        st.sampled_from(["north-up", "south-up", "rotated"]),
    )
    def test_a_pixel_belongs_where_its_centre_lies(self, corners, orientation):
        affine = (
            GRID["affine"]
            @ {
                "north-up": Affine.identity(),
                "south-up": Affine.scale(1, -1),
                "rotated": Affine.rotation(33) @ Affine.scale(1, 1.3),
            }[orientation]
        )
        hull = shapely.MultiPoint(corners).convex_hull
        if hull.area < 1:
            return
        polygon = shapely.transform(hull, lambda p: np.stack(affine @ p.T, -1))
        grid = GRID | {"affine": affine}
        labels = vector.rasterize(frame(polygon), **grid)
        x, y = centres(**grid)
        inside = shapely.contains_xy(polygon, x, y)
        edge = shapely.distance(polygon.exterior, shapely.points(x, y)) < 1e-3
        np.testing.assert_array_equal(labels[~edge], inside[~edge])

    def test_holes_and_parts_and_repairs(self):
        ring = box(0, 0, 9, 9) - box(3, 3, 3, 3)
        parts = shapely.MultiPolygon([box(20, 0, 2, 2), box(20, 30, 2, 2)])
        bow_tie = shapely.transform(
            shapely.Polygon([(40, 0), (40, 8), (48, 0), (48, 8)]),
            lambda p: np.stack(GRID["affine"] @ p.T, -1),
        )
        assert not bow_tie.is_valid
        twice = shapely.MultiPolygon([box(30, 0, 6, 6), box(33, 3, 6, 6)])
        assert not twice.is_valid
        labels = vector.rasterize(frame(ring, parts, bow_tie, twice, None), **GRID)
        assert labels.dtype == np.uint8
        assert labels[:9, :9].sum() == 81 - 9 and not labels[3:6, 3:6].any()
        assert labels[20:22].sum() == 8
        assert 20 <= labels[:8, 40:48].sum() <= 40
        assert labels[30:].sum() == 36 + 36 - 9
        assert labels[:30, 10:40].sum() == 4
        moved = frame(ring, parts, bow_tie, twice).to_crs(4326)
        assert (vector.rasterize(moved, **GRID) != labels).sum() <= 8

    def test_any_crs_meets_the_grid(self):
        rng = np.random.default_rng(0)
        points = rng.random((9, 2)) * [500, 400] + [500_000, 7_999_600]
        polygon = shapely.MultiPoint(points).convex_hull
        expected = vector.rasterize(frame(polygon), **GRID)
        for crs in ["EPSG:4326", "EPSG:3857", "EPSG:32724"]:
            labels = vector.rasterize(frame(polygon).to_crs(crs), **GRID)
            assert 500 < (labels == expected).sum() and (labels != expected).sum() <= 2

    def test_an_edge_is_straight_in_the_crs_of_the_polygon(self):
        # One 4° edge along a parallel: a chord of it in UTM would be km off.
        affine = Affine(1000, 0, 300_000, 0, -1000, 6_750_000)
        grid = {"affine": affine, "crs": CRS.from_epsg(32633)}
        grid |= {"height": 200, "width": 400}
        polygon = shapely.box(11, 60, 19, 65)
        labels = vector.rasterize(frame(polygon, crs=4326), **grid)
        to_degrees = pyproj.Transformer.from_crs(32633, 4326, always_xy=True)
        lon, lat = to_degrees.transform(*centres(**grid))
        inside = shapely.contains_xy(polygon, lon, lat)
        clear = np.minimum(np.abs(lat - 60), np.abs(lat - 65)) > 1e-3
        assert inside[clear].any() and not inside[clear].all()
        clear &= (np.abs(lon - 11) > 1e-3) & (np.abs(lon - 19) > 1e-3)
        np.testing.assert_array_equal(labels[clear], inside[clear])

    def test_the_whole_world_covers_any_scene_and_the_far_side_none(self):
        world, far = shapely.box(-180, -90, 180, 90), shapely.box(100, 50, 120, 60)
        assert vector.rasterize(frame(world, crs=4326), **GRID).all()
        assert not vector.rasterize(frame(far, crs=4326), **GRID).any()

    def test_all_touched_takes_what_a_centre_does_not(self):
        sliver = box(5, 5, 1, 1).buffer(1)
        assert vector.rasterize(frame(sliver), **GRID).sum() == 1
        assert vector.rasterize(frame(sliver), all_touched=True, **GRID).sum() == 9

    def test_classes_come_from_an_attribute_and_the_last_wins(self):
        shapes = box(0, 0, 9, 9), box(0, 0, 3, 3), box(1, 1, 1, 1)
        polygons = frame(*shapes, kind=["mine", "pond", "mine"], id=[4, 200, 4])
        options = {"attribute": "kind", "classes": {"mine": 1, "pond": 2}}
        labels = vector.rasterize(polygons, **options, **GRID)
        assert np.bincount(labels.ravel())[1:].tolist() == [81 - 9 + 1, 8]
        by_id = vector.rasterize(polygons, attribute="id", **GRID)
        np.testing.assert_array_equal(by_id, np.array([0, 4, 200])[labels])

    def test_a_window_of_the_grid_is_a_part_of_it(self):
        polygons = frame(box(3, 7, 11, 17).buffer(23))
        whole = vector.rasterize(polygons, **GRID)
        affine = GRID["affine"] @ Affine.translation(9, 5)
        part = vector.rasterize(polygons, affine=affine, crs=UTM, height=12, width=13)
        np.testing.assert_array_equal(part, whole[5:17, 9:22])

    @pytest.mark.parametrize(
        ("polygons", "options", "message"),
        [
            (frame(box(0, 0, 1, 1), crs=None), {}, "polygons: no CRS, so"),
            (frame(box(0, 0, 1, 1)), {"crs": None}, "the raster: no CRS, so"),
            (frame(box(0, 0, 1, 1), kind=[1]), {"attribute": "type"}, "it has kind"),
            (
                frame(box(0, 0, 1, 1), kind=["pit"]),
                {"attribute": "kind", "classes": {"mine": 1}},
                "values without a class: 'pit'; known are 'mine'",
            ),
            (
                frame(box(0, 0, 1, 1), kind=[-1]),
                {"attribute": "kind"},
                "without a class: -1; known are 0 to 255",
            ),
            (
                frame(box(0, 0, 1, 1), kind=["pit"]),
                {"attribute": "kind", "classes": {"pit": 256}},
                r"must be 0 to 255, got \[256\]",
            ),
        ],
    )
    def test_says_what_is_wrong(self, polygons, options, message):
        with pytest.raises(InputError, match=message):
            vector.rasterize(polygons, **(GRID | options))

    def test_without_any_crs_coordinates_are_the_grids_own(self):
        grid = GRID | {"crs": None, "affine": Affine.identity()}
        labels = vector.rasterize(frame(shapely.box(2, 3, 5, 9), crs=None), **grid)
        assert labels.sum() == 18 and labels[3:9, 2:5].all()


NO_SPACE = """
import os, resource, sys
import geopandas, numpy as np, shapely
from minenet.geo import vector
from minenet.types import InputError

circles = shapely.buffer(shapely.points(np.arange(2000.0), 0), 1)
polygons = geopandas.GeoDataFrame(geometry=circles, crs=32723)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    vector.write(sys.argv[1], polygons, layer="mines")
except InputError as error:
    assert sys.argv[1] in str(error) and "\\n" not in str(error)
    print("refused", os.listdir(os.path.dirname(sys.argv[1])))
"""


@pytest.mark.parametrize("limit", [1_000, 1_000_000])
def test_without_space_no_polygons_are_left(tmp_path, limit):
    done = subprocess.run(
        [sys.executable, "-c", NO_SPACE, tmp_path / "mines.gpkg", str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "refused []", done.stderr


def cell_m2(degrees, south, north):
    """The area between two parallels, in closed form (WGS 84)."""
    flattening = 1 / 298.257223563
    eccentricity = (flattening * (2 - flattening)) ** 0.5

    def zone(latitude):
        s = eccentricity * np.sin(np.radians(latitude))
        return s / (1 - s**2) / 2 + np.arctanh(s) / 2

    b = 6378137 * (1 - flattening)
    return b**2 * np.radians(degrees) * (zone(north) - zone(south)) / eccentricity


@pytest.mark.parametrize("south", [-89, -30, 0, 59])
def test_area_is_that_of_the_ellipsoid(south):
    for width in (1, 20):
        cell = shapely.box(7, south, 7 + width, south + 1)
        hole = shapely.box(7.2, south + 0.2, 7.3, south + 0.3)
        expected = cell_m2(width, south, south + 1)
        assert vector.geodesic_area_m2(cell, 4326) == pytest.approx(expected, rel=1e-6)
        both = shapely.MultiPolygon(
            [cell - hole, shapely.box(40, south, 41, south + 1)]
        )
        expected += cell_m2(1, south, south + 1)
        expected -= cell_m2(0.1, south + 0.2, south + 0.3)
        assert vector.geodesic_area_m2(both, 4326) == pytest.approx(expected, rel=1e-6)


def test_area_is_the_same_in_every_crs():
    square = shapely.box(500_000, 7_999_000, 501_000, 8_000_000)
    area = 1e6 / 0.9996**2  # UTM's scale in the middle of a zone
    for crs in (32723, 4326, 3857, 6933):
        (shape,) = frame(square).to_crs(crs).geometry
        assert vector.geodesic_area_m2(shape, crs) == pytest.approx(area, rel=1e-5)


def test_area_knows_feet():
    square = shapely.box(6_000_000, 2_000_000, 6_010_000, 2_010_000)
    expected = (10_000 * 1200 / 3937) ** 2
    found = vector.geodesic_area_m2(square, "EPSG:2225")
    assert found == pytest.approx(expected, rel=1e-3)


def test_area_is_nan_without_a_place_on_earth():
    local = 'LOCAL_CS["site",UNIT["metre",1]]'
    for crs in (None, local):
        assert np.isnan(vector.geodesic_area_m2(shapely.box(0, 0, 1, 1), crs))
