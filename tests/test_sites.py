import hashlib

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from minenet.data.tiles import clusters, lookup, sites
from minenet.geo import vector, world
from minenet.types import InputError


def mines(*places, side=0.004, country="BRA", crs=4326):
    shapes = [shapely.box(x, y, x + side, y + side) for x, y in places]
    columns = {"ISO3_CODE": [country] * len(shapes)}
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=crs)


def test_mines_on_each_others_tiles_are_one_cluster():
    # A tile is 0.069°: the second mine lies on that of the first, the third far off.
    frame = mines((-45.0, -18.0), (-45.03, -18.0), (-40.0, -18.0))
    found, tiles = clusters.make(frame)
    assert sorted(found.polygons) == [1, 2]
    assert found.cluster_id.is_unique and (found.country == "BRA").all()
    grid = world.Grid()
    for cluster in found.itertuples():
        own = tiles[tiles.cluster_id == cluster.cluster_id]
        ground = [shapely.box(*grid.bounds(*t)) for t in own.to_numpy()[:, 1:].tolist()]
        room = cluster.geometry.buffer(clusters.BUFFER_DEG - 1e-9, cap_style="square")
        assert shapely.union_all(ground).buffer(1e-9).covers(room)


places = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=15, unique=True
)


@settings(max_examples=25)
@given(places, st.randoms())
def test_clusters_part_the_mines_whatever_their_order(at, random):
    found, tiles = clusters.make(mines(*at))
    shuffled = list(at)
    random.shuffle(shuffled)
    again, tiles_again = clusters.make(mines(*shuffled))
    assert found.polygons.sum() == len(at)
    assert sorted(found.polygons) == sorted(again.polygons)
    columns = ["tile_ix", "tile_iy"]
    first, second = (
        set(map(tuple, each[columns].to_numpy().tolist()))
        for each in (tiles, tiles_again)
    )
    assert first == second


def test_mines_link_where_one_reaches_the_others_box():
    shapes = np.array([shapely.box(i, 0, i + 1, 1) for i in (0, 10, 20)])
    boxes = np.array([[0, 0, 11, 1], [10, 0, 12, 1], [20, 0, 21, 1]], float)
    assert clusters.connected(shapes, boxes).tolist() == [0, 0, 1]


def test_a_clusters_number_is_the_first_64_bits_of_its_hash():
    shape = shapely.box(0, 0, 1, 1)
    text = (
        '{"country": "BRA", "footprint": {"coordinates": [[[1.0, 0.0], [1.0, 1.0], '
        '[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]], "type": "Polygon"}}'
    )
    expected = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) % 2**62
    assert clusters.identity("BRA", shape) == expected
    assert clusters.identity("IND", shape) != expected


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (mines((0, 0), crs=None), {}, "polygons: no CRS"),
        (mines((0, 0)), {"country": "land"}, "no column 'land'; it has ISO3_CODE"),
        (mines((0, 0)), {"countries": ["IND"]}, "no polygon of IND; ISO3_CODE has BRA"),
        (mines((0, 0)), {"buffer_deg": -1}, "buffer_deg: -1, expected 0 to 90"),
    ],
)
def test_mines_that_cannot_be_clustered_are_told(frame, options, message):
    with pytest.raises(InputError, match=message):
        clusters.make(frame, **options)


keys = st.lists(
    st.tuples(st.integers(-1, 3), st.integers(0, 3), st.integers(2000, 2002)),
    max_size=30,
)


@given(keys)
def test_rows_are_found_by_tile_and_year(rows):
    index = pd.DataFrame(rows, columns=list(lookup.COLUMNS), dtype=np.int64)
    found = lookup.Tiles(index)
    for ix in range(4):
        for iy in range(4):
            for year in (1999, 2000, 2001, 2002):
                expected = [i for i, row in enumerate(rows) if row == (ix, iy, year)]
                assert found.rows(ix, iy, year).tolist() == expected
                assert ((ix, iy, year) in found) == bool(expected)
    assert len(found) == len({row for row in rows if row[0] >= 0})


def test_an_index_without_tiles_is_told():
    with pytest.raises(InputError, match="index: no column 'tile_ix'; it has scene"):
        lookup.Tiles(pd.DataFrame({"scene": ["a"]}))


def test_a_site_is_the_mean_of_its_vertices():
    hole = shapely.Polygon(
        [(0, 0), (4, 0), (4, 2), (0, 2)], [[(1, 1), (2, 1), (1, 1.5)]]
    )
    two = shapely.MultiPolygon([hole, shapely.box(10, 10, 12, 14)])
    frame = geopandas.GeoDataFrame(geometry=[hole, two], crs=4326)
    np.testing.assert_allclose(sites.centres(frame), [[2, 1], [6.5, 6.5]])


def test_groups_are_what_lies_together():
    generator = np.random.default_rng(0)
    middles = np.array([[0, 60], [1, 60], [0, 61], [40, -20]])
    of = np.repeat(np.arange(4), 25)
    centres = middles[of] + 0.05 * generator.normal(size=(100, 2))
    order = generator.permutation(100)
    found = sites.group(centres[order], count=4)
    pairs = set(zip(of[order].tolist(), found.tolist(), strict=True))
    assert len(pairs) == 4
    first = pd.Series(found).drop_duplicates().tolist()
    assert first == [0, 1, 2, 3]
    np.testing.assert_array_equal(found, sites.group(centres[order], count=4))


@settings(max_examples=25)
@given(places, st.integers(0, 3), st.data())
def test_no_group_is_empty(at, seed, data):
    count = data.draw(st.integers(1, len({(x, y) for x, y in at})))
    centres = 60 * np.array(at)
    if len(np.unique(centres.round(6), axis=0)) == len(at):
        found = sites.group(centres, count=count, seed=seed)
        assert sorted(set(found)) == list(range(count))


def test_degrees_of_longitude_count_less_in_the_north():
    centres = np.array([[0, 70], [2, 70], [0, 71.0], [2, 71.0]])
    assert sites.group(centres, count=2).tolist() == [0, 0, 1, 1]


def test_boxes_hold_their_groups():
    frame = mines((10, 45), (10.1, 45), (30, 0))
    groups = np.array([7, 7, 3])
    boxes = sites.extent_boxes(frame, groups)
    assert boxes.group.tolist() == [3, 7] and boxes.polygons.tolist() == [1, 2]
    expected = [10 - 0.02, 45 - 0.02, 10.104 + 0.02, 45.004 + 0.02]
    np.testing.assert_allclose(boxes.geometry.iloc[1].bounds, expected)
    assert sites.outside(frame, groups, boxes) == []
    squares = sites.square_boxes(frame, groups, half_km=(5, 3))
    assert sites.outside(frame, groups, squares) == []
    west, south, east, north = squares.geometry.iloc[1].bounds
    width = (east - west) * np.cos(np.radians((south + north) / 2)) * 111.2
    assert (width, (north - south) * 111.2) == pytest.approx((10, 6), rel=5e-3)
    small = sites.square_boxes(frame, groups, half_km=(1, 1))
    assert sites.outside(frame, groups, small) == [7]


def test_sites_that_cannot_be_are_told():
    with pytest.raises(InputError, match="count: 3 groups, expected 1 to 2"):
        sites.group(np.array([[0, 0], [1, 1], [1, 1]]), count=3)
    with pytest.raises(InputError, match="groups: 1 for 2 polygons"):
        sites.extent_boxes(mines((0, 0), (1, 1)), np.array([0]))
    with pytest.raises(InputError, match="no CRS"):
        sites.centres(mines((0, 0), crs=None))
    empty = geopandas.GeoDataFrame(geometry=[shapely.Polygon()], crs=4326)
    with pytest.raises(InputError, match="feature 0 has no polygon; drop it"):
        sites.centres(empty)


@pytest.mark.parametrize(
    ("name", "count", "median", "largest"),
    [("indian", 170, 1079, 2717), ("brazil", 94, 1218, 3912)],
)
def test_published_groups_have_their_boxes(real_data, name, count, median, largest):
    """Widths of the images of Detecting_Mining_Areas_India, in pixels of 10 m."""
    frame = vector.read(real_data / f"mine_polygons/maus_v1_{name}.geojson")
    published = frame.grId.to_numpy()
    boxes = sites.extent_boxes(frame, published)
    sides = np.diff(boxes.bounds[["minx", "maxx"]], axis=1)[:, 0] * 111_320 / 10
    assert len(boxes) == count
    assert np.median(sides) == pytest.approx(median, rel=0.02)
    assert sides.max() == pytest.approx(largest, rel=0.001)
    centres = sites.centres(frame)

    def spread(groups):
        means = pd.DataFrame(centres).groupby(groups).transform("mean").to_numpy()
        away = (centres - means) * [1, 1 / np.cos(np.radians(20))]
        return (away**2).sum()

    # k-means of scikit-learn made the published groups: ours are as tight.
    assert spread(sites.group(centres, count=count)) < 1.1 * spread(published)
    found, tiles = clusters.make(frame)
    assert found.cluster_id.is_unique and found.polygons.sum() == len(frame)
    assert not tiles.duplicated().any()
