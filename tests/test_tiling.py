import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from minenet import files
from minenet.data.tiles import lookup, tiling
from minenet.geo import vector, world
from minenet.types import InputError

WAYS = [
    {"how": "clusters"},
    {"how": "sites", "count": 2},
    {"how": "sites", "column": "group", "half_km": (3, 2)},
    {"how": "aoi", "size": 256, "gsd_m": 10},
]


def mines(*corners, crs=4326, **columns):
    shapes = [shapely.box(x, y, x + 0.01, y + 0.01) for x, y in corners]
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=crs)


@pytest.fixture
def polygons():
    return mines((10, 45), (10.02, 45), (30, 1), group=[4, 4, 9])


@pytest.mark.parametrize("options", WAYS)
def test_what_is_read_is_what_was_made(tmp_path, polygons, options):
    if options["how"] == "aoi":
        polygons = polygons.iloc[:2]
    made = tiling.write(tmp_path / "out", polygons, years=[2021, 2019], **options)
    tiles = pd.read_csv(tmp_path / "out" / "tiles.csv")
    assert tuple(tiles.columns) == tiling.COLUMNS
    pd.testing.assert_frame_equal(tiles, made.tiles)
    read = vector.read(tmp_path / "out" / "clusters.gpkg")
    assert read.crs.to_epsg() == 4326
    assert read.cluster.tolist() == made.clusters.cluster.tolist()
    assert read.geometry.geom_equals(made.clusters.geometry).all()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "clusters.gpkg",
        "tiles.csv",
    ]


@pytest.mark.parametrize("options", WAYS)
def test_every_cluster_has_tiles_and_they_show_it(tmp_path, polygons, options):
    if options["how"] == "aoi":
        polygons = polygons.iloc[:2]
    made = tiling.write(tmp_path, polygons.to_crs(3857), **options)
    assert set(made.tiles.cluster) == set(made.clusters.cluster)
    assert made.clusters.cluster.is_unique
    assert not made.tiles.duplicated().any()
    boxes = shapely.box(*made.tiles[list(tiling.BOX)].to_numpy().T)
    seen = {
        cluster: shapely.union_all(boxes[rows])
        for cluster, rows in made.tiles.groupby("cluster").indices.items()
    }
    everything = shapely.union_all(list(seen.values())).buffer(1e-9)
    assert shapely.covers(everything, polygons.geometry.to_numpy()).all()
    if options["how"] != "aoi":
        for row in made.clusters.itertuples():
            assert seen[row.cluster].buffer(1e-9).covers(row.geometry)


@given(
    st.lists(
        st.tuples(st.integers(-170, 170), st.integers(-80, 80)),
        min_size=1,
        max_size=6,
        unique=True,
    )
)
def test_tiles_of_clusters_are_those_of_the_world(corners):
    made = tiling.by_cluster(mines(*corners))
    for row in made.tiles.itertuples():
        assert world.Grid().bounds(row.tile_ix, row.tile_iy) == row[-4:]
    assert made.clusters.polygons.sum() == len(corners)


def test_each_tile_has_a_row_a_year_and_lookup_finds_it(tmp_path, polygons):
    made = tiling.write(tmp_path, polygons, years=[2020, 2017])
    plain = tiling.by_cluster(polygons).tiles
    assert len(made.tiles) == 2 * len(plain)
    found = lookup.Tiles(made.tiles)
    for row in plain.itertuples():
        for year in (2017, 2020):
            (place,) = found.rows(row.tile_ix, row.tile_iy, year)
            assert made.tiles.cluster[place] == row.cluster
    assert (row.tile_ix, row.tile_iy, 2018) not in found
    assert len(lookup.Tiles(tiling.write(tmp_path, polygons).tiles)) == 0


def test_groups_that_are_given_are_taken(tmp_path, polygons):
    made = tiling.by_site(polygons, column="group", half_km=(0.5, 5))
    assert made.clusters.cluster.tolist() == [4, 9]
    assert made.clusters.outside.tolist() == [True, True]
    assert not tiling.by_site(polygons, column="group").clusters.outside.any()
    assert (made.tiles[["tile_ix", "tile_iy"]] == -1).all(axis=None)


def test_heights_are_left_out(tmp_path, polygons):
    tiling.write(tmp_path, polygons.set_geometry(shapely.force_3d(polygons.geometry)))
    assert not vector.read(tmp_path / "clusters.gpkg").has_z.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"how": "squares"}, "how: 'squares', expected one of clusters, sites, aoi"),
        ({"size": 3, "count": 2}, "count: no option of 'clusters'; it has buffer_deg"),
        ({"countries": ["BRA"]}, "countries: give country too"),
        ({"how": "aoi", "size": 256}, "'aoi' needs gsd_m"),
        ({"how": "sites"}, "count, column: give one of the two"),
        ({"how": "sites", "count": 1, "column": "a"}, "count, column: give one"),
        ({"how": "sites", "column": "a"}, "polygons: no column 'a'; it has name"),
        ({"how": "sites", "column": "name"}, "name must hold a whole number"),
        ({"years": [2020.5]}, r"years: \[2020.5\], expected different whole numbers"),
        ({"years": [2020, 2020]}, "expected different whole numbers"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_written(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        tiling.write(tmp_path / "out", mines((0, 0), name=["a"]), **options)
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_what_was_there(tmp_path, polygons, monkeypatch):
    tiling.write(tmp_path, polygons)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(path, *_, **__):
        with files.replacing(path):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(vector, "write", fail)
    with pytest.raises(InputError, match="No space left on device"):
        tiling.write(tmp_path, polygons, years=[2020])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "options", "clusters"),
    [
        ("maus_v1_indian", {"country": "ISO3_CODE", "countries": ["IND"]}, 119),
        ("maus_v1_brazil", {"how": "sites", "column": "grId"}, 94),
        ("amw_2018", {}, None),
        ("Chile_LSM_sectors", {}, None),
    ],
)
def test_real_polygons_are_tiled(real_data, tmp_path, name, options, clusters):
    frame = vector.read(real_data / f"mine_polygons/{name}.geojson")
    made = tiling.write(tmp_path, frame, years=[2018], **options)
    assert clusters is None or len(made.clusters) == clusters
    assert made.clusters.polygons.sum() == len(frame)
    boxes = shapely.box(*made.tiles[list(tiling.BOX)].to_numpy().T)
    parts = shapely.get_parts(frame.to_crs(4326).geometry.to_numpy())
    tree = shapely.STRtree(boxes)
    held = np.unique(tree.query(parts, predicate="intersects")[0])
    assert len(held) == len(parts)
