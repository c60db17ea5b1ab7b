import dataclasses

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from minenet import losses
from minenet.data.label import classes, label_report, labels, outlines
from minenet.data.scenes import Scene
from minenet.geo import outlines as bands
from minenet.geo import raster, repair, vector
from minenet.geo.grids import Grid
from minenet.geo.windows import Window
from minenet.types import InputError
from tests import tiles

SCENE = Grid(tiles.UTM, tiles.at(), 40, 60)
ALL = Window(0, 0, 40, 60)
MINE = classes.rule("binary", ["mine"])
KINDS = classes.rule("exclusive", ["other", "pit", "pond"], attribute="kind")
BOTH = classes.rule("multilabel", ["pit", "pond"], attribute="kind")


def box(row, col, height, width):
    x, y = SCENE.affine @ (col, row)
    return shapely.box(x, y - 10 * height, x + 10 * width, y)


def frame(*shapes, **columns):
    return geopandas.GeoDataFrame(columns, geometry=list(shapes), crs=tiles.UTM)


def squares(count):
    side = st.integers(1, 20)
    return st.lists(
        st.tuples(st.integers(-5, 39), st.integers(-5, 59), side, side),
        min_size=1,
        max_size=count,
    )


@settings(max_examples=30)
@given(squares(5), st.data())
def test_overlapping_classes_are_each_what_they_are_alone(places, data):
    kinds = [data.draw(st.sampled_from(["pit", "pond"])) for _ in places]
    drawn = frame(*(box(*p) for p in places), kind=kinds)
    found = outlines.from_polygons(drawn, SCENE, BOTH)(ALL)
    assert found.shape == (40, 60, 2)
    for channel, kind in enumerate(("pit", "pond")):
        alone = drawn[drawn.kind == kind]
        expected = outlines.from_polygons(alone, SCENE, MINE)(ALL)
        np.testing.assert_array_equal(found[..., channel], expected)


def test_what_does_not_count_lies_over_all_channels():
    values = {"pond": 2, "cloud": 255, "field": 0}
    rule = dataclasses.replace(BOTH, ids=values)
    shapes = box(5, 5, 9, 9), box(0, 0, 9, 9), box(0, 0, 20, 20)
    drawn = frame(*shapes, kind=["cloud", "pond", "field"])
    found = outlines.from_polygons(drawn, SCENE, rule)(ALL)
    assert found[4, 4].tolist() == [0, 1] and found[20, 20].tolist() == [0, 0]
    assert found[6, 6].tolist() == [255, 255] and (found[..., 0] == 1).sum() == 0
    with pytest.raises(InputError, match="polygons must say which of pit, pond"):
        outlines.from_polygons(drawn, SCENE, dataclasses.replace(BOTH, attribute=None))


def layers():
    lease = frame(box(0, 0, 20, 20))
    lease.attrs = {"source": "lease.gpkg", "dropped": 2}
    detail = frame(box(5, 5, 30, 9), box(8, 8, 4, 4), kind=["pond", "pit"])
    rule = dataclasses.replace(KINDS, ids={"pond": 2, "pit": 3})
    return [(lease, MINE), (detail.to_crs(4326), rule)]


def burnt(joined):
    rule = classes.Rule({i: i for i in range(9)}, attribute=outlines.CLASS)
    return outlines.from_polygons(joined, SCENE, rule)(ALL)


def test_later_layers_lie_on_earlier_ones():
    joined = outlines.join(layers())
    assert joined.attrs == {"source": "lease.gpkg, polygons", "dropped": 2}
    found = burnt(joined)
    assert found[0, 0] == 1 and found[6, 6] == 2 and found[9, 9] == 3
    assert np.bincount(found.ravel())[1:].tolist() == [400 - 15 * 9, 270 - 16, 16]
    turned = burnt(outlines.join(layers()[::-1]))
    assert turned[6, 6] == 1 and turned[30, 6] == 2


def test_classes_may_decide_before_layers_do():
    found = burnt(outlines.join(layers(), order=[3, 2, 1]))
    assert (found[:20, :20] == 1).all() and found[30, 6] == 2
    bare = layers()[0][0].set_crs(None, allow_override=True)
    with pytest.raises(InputError, match="polygons: CRS .*4326.* lease.gpkg has None"):
        outlines.join([(bare, MINE), layers()[1]])


@pytest.mark.parametrize("crs", [32723, 4326, 3857])
def test_a_band_is_as_wide_on_the_ground_in_any_crs(crs):
    at = 500_300, 7_999_800
    shape = frame(shapely.Point(*at).buffer(500, quad_segs=99)).to_crs(crs)
    (middle,) = frame(shapely.Point(*at)).to_crs(crs).geometry
    (band,) = bands.bands(
        shape.geometry.to_numpy(),
        width_m=50,
        crs=CRS.from_epsg(crs),
        at=(middle.x, middle.y),
    )
    found = vector.geodesic_area_m2(band, crs)
    expected = np.pi * (550**2 - 450**2)
    assert found == pytest.approx(expected, rel=0.004)


@settings(max_examples=20)
@given(squares(4), st.integers(1, 40))
def test_nothing_counts_near_an_outline_and_the_rest_stays(places, width_m):
    drawn = frame(*(box(*p) for p in places))
    rule = dataclasses.replace(MINE, ignore_m=width_m + 0.5)
    plain = outlines.from_polygons(drawn, SCENE, MINE)(ALL)
    found = outlines.from_polygons(drawn, SCENE, rule)(ALL)
    rows, cols = np.mgrid[:40, :60] + 0.5
    x, y = SCENE.affine @ (cols, rows)
    edge = shapely.boundary(shapely.union_all(drawn.geometry.to_numpy()))
    apart = shapely.distance(edge, shapely.points(x, y)) / 0.9996
    clear = np.abs(apart - rule.ignore_m) > 0.1  # a circle is drawn with corners
    expected = np.where(apart < rule.ignore_m, 255, plain)
    np.testing.assert_array_equal(found[clear], expected[clear])


def test_an_outline_beyond_the_edge_has_its_band_too():
    drawn = frame(box(0, 63, 40, 9))
    rule = dataclasses.replace(MINE, ignore_m=100)
    found = outlines.from_polygons(drawn.to_crs(4326), SCENE, rule)(ALL)
    assert (found[20] == 255).tolist() == [False] * 53 + [True] * 7


def test_windows_of_labels_are_parts_of_the_whole():
    drawn = frame(box(3, 5, 10, 20), box(9, 9, 30, 9), kind=["pit", "pond"])
    area = frame(box(-5, 2, 40, 40))
    for rule in (KINDS, BOTH):
        rule = dataclasses.replace(rule, ignore_m=25)
        read = outlines.from_polygons(drawn, SCENE, rule, area=area)
        whole = read(ALL)
        for row, col in ((0, 0), (7, 3), (20, 40)):
            part = read(Window(row, col, 20, 20))
            np.testing.assert_array_equal(part, whole[row : row + 20, col : col + 20])


@pytest.mark.parametrize("crs", [tiles.UTM, 4326])
def test_outside_of_the_area_of_interest_nothing_counts(crs):
    area = frame(box(0, 0, 20, 30), box(99, 99, 5, 5)).to_crs(crs)
    found = outlines.from_polygons(frame(box(5, 5, 30, 9)), SCENE, MINE, area=area)(ALL)
    assert (found[:20, :30] != 255).all() and (found[:20, :30] == 1).sum() == 15 * 9
    assert (found[20:] == 255).all() and (found[:, 30:] == 255).all()
    far = frame(box(900, 900, 5, 5))
    assert (outlines.from_polygons(far, SCENE, MINE, area=far)(ALL) == 255).all()


def yearly(**options):
    rule = dataclasses.replace(MINE, year_column="year", **options)
    shapes = box(0, 0, 5, 5), box(10, 0, 5, 5), box(20, 0, 5, 5)
    drawn = frame(*shapes, year=["2018", "2020-06-30", None])
    return lambda year: outlines.from_polygons(drawn, SCENE, rule, year=year)(ALL)


def test_labels_of_a_year_are_those_of_the_image():
    stock, until = yearly(), yearly(until=True)
    assert stock(2018)[::10, 0].tolist() == [1, 0, 1, 0]
    assert stock(2020)[::10, 0].tolist() == [0, 1, 1, 0]
    assert until(2017)[::10, 0].tolist() == [0, 0, 1, 0]
    assert until(2024)[::10, 0].tolist() == [1, 1, 1, 0]
    with pytest.raises(InputError, match="that of the image is not known"):
        stock(None)


def test_a_year_that_nobody_looked_at_does_not_count():
    rule = dataclasses.replace(MINE, year_column="year")
    drawn = frame(box(0, 0, 5, 5), year=[2019])
    assert (outlines.from_polygons(drawn, SCENE, rule, year=2020)(ALL) == 255).all()
    assert outlines.from_polygons(drawn, SCENE, rule, year=2019)(ALL).sum() == 25
    with pytest.raises(InputError, match="no column 'when'; it has year"):
        outlines.years(drawn, "when")
    with pytest.raises(InputError, match="year has 'spring', expected a year"):
        outlines.years(drawn.assign(year="spring"), "year")


def test_rules_that_cannot_be_are_told():
    with pytest.raises(InputError, match="ignore_m: -3, expected a width of 0"):
        classes.rule("binary", ["mine"], ignore_m=-3)
    for attribute, highest in (("kind", 2), (None, 1)):
        with pytest.raises(InputError, match=f"'a' → 3, .* id from 0 to {highest}"):
            classes.rule("multilabel", ["a", "b"], {"a": 3}, attribute=attribute)


@settings(max_examples=20)
@given(st.integers(0, 99), st.floats(0.05, 0.95))
def test_signed_distances_are_those_of_the_loss_less_half_a_pixel(seed, share):
    inside = np.random.default_rng(seed).random((12, 12)) < share
    inside[0, 0], inside[0, 1] = True, False
    found = outlines.signed_distance(inside, pixel_m=(10, 10), limit_m=1e6)
    expected = losses.signed_distance(inside[None, ..., None].astype(np.float32))
    np.testing.assert_allclose(found / 10 + 0.5, expected[0, ..., 0], atol=1e-5)


def test_a_window_with_enough_around_has_the_distances_of_the_scene():
    inside = tiles.mask(60, 60, seed=1) > 0
    whole = outlines.signed_distance(inside, pixel_m=(10, 20), limit_m=100)
    part = outlines.signed_distance(inside[10:50, 15:55], pixel_m=(10, 20), limit_m=100)
    np.testing.assert_array_equal(part[11:-11, 6:-6], whole[21:39, 21:49])
    for alone, expected in ((np.ones, -100), (np.zeros, 100)):
        far = outlines.signed_distance(alone((3, 3)), pixel_m=(1, 1), limit_m=100)
        assert (far == expected).all()


def test_each_feature_is_accounted_for():
    bow_tie = shapely.Polygon(
        [SCENE.affine @ c for c in [(5, 5), (9, 9), (9, 5), (5, 9)]]
    )
    corner = shapely.Polygon([SCENE.affine @ c for c in [(58, 44), (64, 38), (64, 44)]])
    drawn = frame(
        *(box(0, 0, 5, 5), bow_tie, box(200, 200, 5, 5), corner),
        *(None, shapely.Point(SCENE.affine @ (3, 3)), box(30, 30, 5, 5)),
        year=[2019, 2019, 2019, 2019, 2019, 2019, 2018],
    )
    drawn.attrs = {"source": "mines.geojson", "dropped": 3}
    found = label_report.features(drawn, [SCENE])
    assert found == {
        "features": 7,
        "used": 3,
        "outside": 2,
        "other_years": 0,
        "empty": 2,
        "repaired": 1,
        "dropped": 3,
    }
    rule = dataclasses.replace(MINE, year_column="year")
    of_2019 = label_report.features(drawn, [SCENE], rule=rule, years=[2019])
    assert of_2019["used"] == 2 and of_2019["other_years"] == 1
    two = label_report.features(drawn, [SCENE, SCENE], rule=rule, years=[2018, 2019])
    assert two["used"] == 3 and two["other_years"] == 0
    words = label_report.lines(found, source="mines.geojson")
    assert "2 of 7 features lie outside of all scenes" in words[1] and len(words) == 4


def test_pixels_are_counted_as_they_were_written(tmp_path):
    info = raster.info(tiles.save(tmp_path / "a.tif", tiles.picture(40, 60)))
    scene = Scene("a", (info.path,), None, "a", grid=tiles.grid(40, 60))
    drawn = frame(box(0, 0, 10, 10), box(5, 5, 10, 10), kind=["pit", "pond"])
    area = frame(box(0, 0, 30, 60))
    made = labels.make(scene, info, drawn, KINDS, tmp_path / "one", area=area)
    found = label_report.pixels([made], ["other", "pit", "pond"])
    assert found["classes"] == {"other": 1800 - 175, "pit": 75, "pond": 100}
    assert found["ignored"] == 600 and found["empty_scenes"] == 0
    made = labels.make(scene, info, drawn, BOTH, tmp_path / "two", area=area)
    assert raster.info(made.label).numbers == (1, 2)
    found = label_report.pixels([made], ["none", "pit", "pond"])
    assert found["classes"] == {"none": 1800 - 175, "pit": 100, "pond": 100}
    assert found["ignored"] == 600 and raster.info(made.label).bands == ("pit", "pond")
    mask = tiles.save(tmp_path / "mask.tif", tiles.mask(40, 60))
    scene = dataclasses.replace(scene, label=str(mask))
    made = labels.make(scene, info, None, MINE, tmp_path / "three", area=area)
    written = raster.read(made.label)[0][..., 0]
    np.testing.assert_array_equal(written[:30], tiles.mask(40, 60)[:30])
    assert (written[30:] == 255).all()


@settings(max_examples=40)
@given(st.integers(1, 14), st.integers(1, 14), st.integers(0, 9999), st.integers(1, 3))
def test_rasters_become_polygons_and_rasters_again(height, width, seed, ids):
    labels_ = np.random.default_rng(seed).integers(0, ids + 1, (height, width))
    labels_ = labels_.astype(np.uint8)
    grid = {"crs": tiles.UTM, "affine": tiles.at(30, -50, 7.5)}
    names = {i: f"class {i}" for i in range(ids + 1)}
    drawn = vector.polygonize(labels_, class_names=names, **grid)
    codes = {name: i for i, name in names.items()}
    burn = {"attribute": "class", "classes": codes, "height": height, "width": width}
    again = vector.rasterize(drawn, **burn, **grid)
    np.testing.assert_array_equal(again, labels_)
    redrawn = vector.polygonize(again, class_names=names, **grid)
    assert redrawn.geometry.geom_equals(drawn.geometry).all()
    dissolved = drawn.dissolve("class").reset_index()  # holes and parts
    np.testing.assert_array_equal(vector.rasterize(dissolved, **burn, **grid), labels_)


def test_repairs_are_counted_in_the_real_files(real_data):
    for path in sorted((real_data / "mine_polygons").glob("*.geojson")):
        drawn = vector.read(path)
        broken, empty = repair.faults(drawn.geometry.to_numpy())
        assert drawn.attrs["dropped"] == 0 and not empty.any()
        assert broken.sum() == (~drawn.geometry.is_valid).sum()


def test_features_that_gdal_drops_are_counted(tmp_path):
    path = tmp_path / "some.geojson"
    frame(box(0, 0, 1, 1), box(3, 3, 1, 1)).to_crs(4326).to_file(path)
    text = path.read_text()
    assert vector.read(path).attrs["dropped"] == 0
    path.write_text(text.replace('"type": "Feature",', "", 1))
    found = vector.read(path)
    assert len(found) == 1 and found.attrs["dropped"] == 1


def test_real_outlines_burn_to_the_masks_that_were_made_of_them(real_data):
    drawn = vector.read(real_data / "mine_polygons" / "maus_v1_brazil.geojson")
    folder = real_data / "tailings_s2_brazil"
    for path in sorted((folder / "mask_maus").iterdir())[:10]:
        info = raster.info(path)
        window = Window(0, 0, info.height, info.width)
        found = outlines.from_polygons(drawn, info, MINE)(window)
        np.testing.assert_array_equal(found, raster.read(path)[0][..., 0] > 0)
