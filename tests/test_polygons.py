import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.crs import CRS
from scipy import ndimage

from minenet.geo import vector

UTM = CRS.from_epsg(32723)
AFFINE = Affine(10, 0, 500_000, 0, -10, 8_000_000)
NAMES = {1: "mine", 2: "tailings", 3: "pond"}

maps = arrays.arrays(
    np.uint8,
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    elements=st.sampled_from([0, 1, 1, 2, 3, 255]),
)
affines = st.sampled_from(
    [AFFINE, AFFINE @ Affine.scale(1, -1), AFFINE @ Affine.rotation(25)]
)


def polygonize(labels, **options):
    options = {"affine": AFFINE, "crs": UTM, "class_names": NAMES} | options
    return vector.polygonize(labels, **options)


def burn(found, labels, affine=AFFINE):
    return vector.rasterize(
        found,
        affine=affine,
        crs=UTM,
        height=labels.shape[0],
        width=labels.shape[1],
        attribute="class",
        classes={name: value for value, name in NAMES.items()},
    )


@settings(max_examples=100)
@given(maps, affines)
def test_polygons_burn_back_to_the_map_they_come_from(labels, affine):
    found = polygonize(labels, affine=affine)
    np.testing.assert_array_equal(
        burn(found, labels, affine), np.where(labels == 255, 0, labels)
    )
    assert found.is_valid.all()
    patches = {v: ndimage.label(labels == v)[1] for v in NAMES}
    assert len(found) == sum(patches.values())
    for value, name in NAMES.items():
        mine = found[found["class"] == name]
        assert len(mine) == patches[value]
        assert mine.area.sum() == pytest.approx(100 * (labels == value).sum())
        area = mine["area_m2"].sum()
        assert area == pytest.approx(mine.area.sum() / 0.9996**2, rel=1e-3)


@settings(max_examples=60)
@given(maps, st.integers(0, 99), st.booleans())
def test_probabilities_are_those_of_the_patch_and_its_class(labels, seed, banded):
    shape = labels.shape + ((3,) if banded else ())
    probability = np.random.default_rng(seed).random(shape, np.float32)
    probability[..., 0][labels[..., 0] == 1 if banded else 0] = np.nan
    found = polygonize(labels, probability=probability)
    for row in found.itertuples():
        one = geopandas.GeoDataFrame(geometry=[row.geometry], crs=UTM)
        options = {"affine": AFFINE, "crs": UTM}
        height, width = labels.shape
        here = vector.rasterize(one, height=height, width=width, **options) == 1
        value = [v for v, name in NAMES.items() if name == row[1]][0]
        inside = (probability[..., value - 1] if banded else probability)[here]
        inside = inside[np.isfinite(inside)]
        if len(inside):
            assert row.mean_probability == pytest.approx(inside.mean(), rel=1e-5)
            assert row.max_probability == inside.max()
        else:
            assert np.isnan([row.mean_probability, row.max_probability]).all()


@settings(max_examples=100)
@given(maps, st.floats(1, 200))
def test_simplified_polygons_are_valid_and_do_not_overlap(labels, simplify_m):
    exact = polygonize(labels)
    found = polygonize(labels, simplify_m=simplify_m)
    assert found["class"].tolist() == exact["class"].tolist()
    assert found.is_valid.all() and not found.is_empty.any()
    union = shapely.union_all(found.geometry.to_numpy())
    assert union.area == pytest.approx(found.area.sum(), rel=1e-9, abs=1e-6)
    assert shapely.coverage_is_valid(found.geometry.to_numpy())  # no gaps either
    for row in found.itertuples():
        expected = vector.geodesic_area_m2(row.geometry, UTM)
        assert row.area_m2 == pytest.approx(expected)


def disc(size=200, radius=80):
    rows, cols = np.indices((size, size)) - size / 2
    return (np.hypot(rows, cols) < radius).astype(np.uint8)


def test_simplification_follows_the_outline_with_fewer_points():
    labels = disc()
    labels[:, 100:] *= 2
    exact, simple = polygonize(labels), polygonize(labels, simplify_m=30)
    points = [
        shapely.get_num_coordinates(f.geometry.to_numpy()) for f in (exact, simple)
    ]
    assert (points[1] < points[0] / 4).all()
    np.testing.assert_allclose(simple.area_m2, exact.area_m2, rtol=0.02)
    hausdorff = shapely.hausdorff_distance(
        *(f.geometry.to_numpy() for f in (exact, simple))
    )
    assert hausdorff.max() < 60
    (left, right) = simple.geometry
    assert left.intersection(right).length == pytest.approx(1600, rel=0.05)


def test_neighbours_of_a_long_edge_keep_to_it():
    labels = np.ones((997, 4), np.uint8)
    labels[:371, 2:], labels[371:, 2:] = 2, 3
    found = polygonize(labels, affine=Affine.identity(), simplify_m=0.5)
    assert shapely.coverage_is_valid(found.geometry.to_numpy())
    assert found.area.tolist() == [997 * 2, 371 * 2, 626 * 2]


def test_holes_are_kept():
    labels = disc() - disc(radius=30)
    for simplify_m in (0, 30):
        (polygon,) = polygonize(labels, simplify_m=simplify_m).geometry
        assert len(polygon.interiors) == 1
        assert shapely.Polygon(polygon.interiors[0]).area == pytest.approx(
            disc(radius=30).sum() * 100, rel=0.03
        )


def test_small_patches_are_dropped_by_their_area_on_the_ground():
    labels = np.zeros((40, 40), np.uint8)
    labels[:3, :3], labels[10:20, 10:20] = 1, 1
    degrees = Affine(1e-4, 0, -50, 0, -1e-4, 60)  # a pixel of 11.1 m x 5.6 m
    for options, pixel_m2 in [
        ({}, 100),
        ({"affine": degrees, "crs": CRS.from_epsg(4326)}, 62),
    ]:
        kept = [
            len(polygonize(labels, min_area_m2=pixels * pixel_m2, **options))
            for pixels in (8, 11, 95, 105)
        ]
        assert kept == [2, 1, 1, 0]


def test_without_a_crs_there_are_no_metres():
    labels = disc(20, 8)
    found = polygonize(labels, crs=None, min_area_m2=1e9, simplify_m=99)
    exact = polygonize(labels, crs=None)
    assert found.crs is None and found["area_m2"].isna().all()
    assert found.geometry.geom_equals(exact.geometry).all()


@pytest.mark.parametrize("crs", [UTM, None])
def test_an_empty_map_gives_a_frame_that_can_be_written(tmp_path, crs):
    found = polygonize(np.zeros((9, 9), np.uint8), crs=crs, simplify_m=20)
    assert list(found.columns) == [
        "class",
        "mean_probability",
        "max_probability",
        "area_m2",
        "geometry",
    ]
    vector.write(tmp_path / "none.gpkg", found, layer="mines")
    back = vector.read(tmp_path / "none.gpkg")
    assert back.dtypes.iloc[1:4].tolist() == [np.dtype(float)] * 3


def test_names_by_place_and_a_lone_name_is_that_of_id_1():
    labels = np.array([[1, 0, 2]], np.uint8)
    found = polygonize(labels, class_names=("background", "mine", "tailings"))
    assert found["class"].tolist() == ["mine", "tailings"]
    found = polygonize(labels[:, :2], class_names=("mine",))
    assert found["class"].tolist() == ["mine"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": ("mine",)}, "ids without a name: .3.; named"),
        ({"probability": np.zeros((4, 4))}, "a band for each of 3 names, got"),
        ({"probability": np.zeros((5, 5, 2))}, r"got \(5, 5, 2\)"),
    ],
)
def test_misuse_is_told(options, message):
    with pytest.raises(ValueError, match=message):
        polygonize(np.full((5, 5), 3, np.uint8), **options)
