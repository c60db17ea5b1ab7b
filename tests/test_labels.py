import dataclasses

import geopandas
import numpy as np
import pytest
import shapely

from minenet.data.label import classes, labels
from minenet.data.label import outlines as drawn
from minenet.data.scenes import Scene
from minenet.geo import raster
from minenet.geo.windows import Window
from minenet.types import InputError
from tests import tiles

ALL = Window(0, 0, 4, 6)
BINARY = classes.rule("binary", ["mine"])
TWO = ("background", "mine", "tailings")


def read(tmp_path, values, rule=BINARY, **options):
    array = np.asarray(values)
    if array.shape[:2] != (4, 6):
        array = np.resize(array, (4, 6, *array.shape[1:]))
    path = tiles.save(tmp_path / "mask.tif", array, **options)
    return labels.from_mask(str(path), rule.ids, channels=rule.channels)(ALL)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_a_binary_mask_is_0_and_1_or_255(tmp_path, dtype):
    for one in {"uint8": [1, 255], "int16": [1, 255], "float32": [1]}[dtype]:
        found = read(tmp_path, np.array([0, one, 0], dtype))
        assert found.ravel()[:3].tolist() == [0, 1, 0]


def test_nodata_does_not_count(tmp_path):
    assert read(tmp_path, np.uint8([0, 1, 255]), nodata=255)[0, 2] == 255
    assert read(tmp_path, np.int16([0, 1, -9]), nodata=-9)[0, 2] == 255
    assert read(tmp_path, np.float32([0, 1, np.nan]))[0, 2] == 255


def test_a_background_declared_as_nodata_is_background(tmp_path):
    found = read(tmp_path, np.uint8([0, 1, 0]), nodata=0)
    assert found.ravel()[:3].tolist() == [0, 1, 0]


def test_values_name_the_ids(tmp_path):
    rule = classes.rule("exclusive", TWO, {"-1": 255, "7": 2, "2.5": 1, "0": 0})
    found = read(tmp_path, np.float32([-1, 7, 2.5, 0]), rule)
    assert found.ravel()[:4].tolist() == [255, 2, 1, 0]


def test_values_that_are_not_named_are_told(tmp_path):
    with pytest.raises(InputError, match=r"mask\.tif: values 2, 3 without a class"):
        read(tmp_path, np.uint8([0, 1, 2, 3]))
    rule = classes.rule("binary", ["mine"], {1: 0, 2: 1})
    assert read(tmp_path, np.uint8([0, 1, 2]), rule, nodata=0)[0, 0] == 255
    with pytest.raises(InputError, match="values 0 without a class; known are 1, 2"):
        read(tmp_path, np.uint8([0, 1, 2]), rule)


def test_a_mask_of_equal_bands_is_one_band(tmp_path):
    grey = np.uint8([[0] * 3, [255] * 3])
    assert read(tmp_path, grey).ravel()[:2].tolist() == [0, 1]
    with pytest.raises(InputError, match="3 bands that differ"):
        read(tmp_path, np.uint8([[0, 0, 255]]))


def bands(tmp_path, pixels, values=None, **options):
    """What `[N, 2]` pixels of a mask with two bands are read as."""
    rule = classes.rule("multilabel", ["pit", "pond"], values)
    return read(tmp_path, np.array(pixels), rule, **options).reshape(-1, 2)


def two(*pixels):
    """Bands of the 24 pixels of a mask, the given ones first."""
    return np.uint8([*pixels, *[(0, 0)] * (24 - len(pixels))]).reshape(4, 6, 2)


@pytest.mark.parametrize("one", [1, 7, 254])
def test_a_mask_of_overlapping_classes_has_a_band_for_each(tmp_path, one):
    found = bands(tmp_path, two((one, 0), (one, one), (0, one), (0, 255), (255, one)))
    expected = [[1, 0], [1, 1], [0, 1], [255, 255], [255, 255], [0, 0]]
    assert found[:6].tolist() == expected


def test_values_name_what_bands_hold(tmp_path):
    mask = two((255, 0), (255, 255), (9, 255))
    found = bands(tmp_path, mask, {0: 0, 255: 1, "9": 255})
    assert found[:4].tolist() == [[1, 0], [1, 1], [255, 255], [0, 0]]
    with pytest.raises(InputError, match=r"mask\.tif: values 3, 4 without a class"):
        bands(tmp_path, two((3, 0), (0, 4)))


def test_what_is_not_valid_in_one_band_does_not_count(tmp_path):
    found = bands(tmp_path, two((1, 0), (9, 1)), nodata=9)
    assert found[:3].tolist() == [[1, 0], [255, 255], [0, 0]]
    found = bands(tmp_path, two((1, 0), (1, 1)), nodata=0)
    assert found[:3].tolist() == [[1, 0], [1, 1], [0, 0]]


def test_bands_are_taken_by_name_where_they_have_those_of_the_classes(tmp_path):
    mask = two((1, 0), (1, 1))
    turned = bands(tmp_path, mask, names=("pond", "pit"))
    assert turned[:3].tolist() == [[0, 1], [1, 1], [0, 0]]
    assert bands(tmp_path, mask, names=("a", "pit"))[0].tolist() == [1, 0]


def test_the_other_value_of_bands_is_one_in_all_strips(tmp_path):
    mask = two((7, 0))
    mask[3] = 9
    path = tiles.save(tmp_path / "mask.tif", mask)
    rule = classes.rule("multilabel", ["pit", "pond"])
    read = labels.from_mask(str(path), rule.ids, channels=rule.channels)
    assert read(Window(0, 0, 2, 6))[0, 0].tolist() == [1, 0]
    with pytest.raises(InputError, match="values 9 without a class; known are 0, 255"):
        read(Window(2, 0, 2, 6))


def test_a_mask_of_too_few_bands_is_told(tmp_path):
    with pytest.raises(InputError, match=r"mask\.tif: 1 bands, expected .* pit, pond"):
        bands(tmp_path, two()[..., :1])


@pytest.mark.parametrize(
    ("task", "names", "values", "message"),
    [
        ("ternary", ["a"], None, "task: 'ternary', expected one of binary, exclusive"),
        ("multilabel", ["a"], None, "classes: a multilabel task has several"),
        ("exclusive", ["a"], None, "classes: an exclusive task has a background"),
        ("binary", ["a", "b"], None, "classes: a binary task has one, got a, b"),
        ("binary", ["a"], {5: 2}, "values: 5 → 2, expected an id from 0 to 1, or 255"),
    ],
)
def test_a_rule_that_cannot_be_is_told(task, names, values, message):
    with pytest.raises(InputError, match=message):
        classes.rule(task, names, values)


def test_an_empty_scene_is_negative_or_ignored():
    with pytest.raises(InputError, match="empty: 'skip', expected negative or ignore"):
        classes.rule("binary", ["mine"], empty="skip")


def box(row, col, height, width):
    x, y = 500_000 + 10 * col, 8_000_000 - 10 * row
    return shapely.box(x, y - 10 * height, x + 10 * width, y)


def outlines(*shapes, **columns):
    return geopandas.GeoDataFrame(columns, geometry=list(shapes), crs=tiles.UTM)


@pytest.fixture
def image(tmp_path):
    return raster.info(tiles.save(tmp_path / "a.tif", tiles.picture(40, 60)))


@pytest.mark.parametrize("crs", [tiles.UTM, "EPSG:4326", "EPSG:3857"])
def test_polygons_burn_where_they_lie_in_any_crs(image, crs):
    far = box(5_000, 0, 10, 10)
    polygons = outlines(far, box(3, 5, 10, 20), box(30, 50, 99, 99)).to_crs(crs)
    found = drawn.from_polygons(polygons, image, BINARY)(Window(0, 0, 40, 60))
    expected = np.zeros((40, 60), np.uint8)
    expected[3:13, 5:25] = 1
    expected[30:, 50:] = 1
    np.testing.assert_array_equal(found, expected)


def test_strips_of_polygons_are_parts_of_the_whole(image):
    rule = drawn.from_polygons(outlines(box(3, 5, 10, 20)), image, BINARY)
    whole = rule(Window(0, 0, 40, 60))
    parts = [rule(Window(row, 0, 8, 60)) for row in range(0, 40, 8)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (["mine", "tailings", "mine"], None),
        (["pit", "pond", "pit"], {"pit": 1, "pond": 2}),
        ([4, 5, 4], {"4": 1, "5": 2}),
        (["4", "5", "4"], {"4": 1, "5": 2}),
    ],
)
def test_an_attribute_tells_the_class(image, column, values):
    boxes = box(0, 0, 2, 2), box(4, 0, 2, 2), box(8, 0, 2, 2)
    rule = classes.rule("exclusive", TWO, values, attribute="kind")
    read = drawn.from_polygons(outlines(*boxes, kind=column), image, rule)
    assert read(Window(0, 0, 12, 1))[::4, 0].tolist() == [1, 2, 1]


def scene(image):
    images = (image.path,)
    return Scene("a", images, None, "a", grid=tiles.grid(image.height, image.width))


def test_labels_are_written_on_the_scenes_grid(image, tmp_path):
    polygons = outlines(box(3, 5, 10, 20))
    made = labels.make(scene(image), image, polygons, BINARY, tmp_path / "labels")
    assert made.label == str(tmp_path / "labels/a.tif")
    assert not made.empty and not made.ignored
    info = raster.info(made.label)
    raster.match([image, info])
    assert info.dtype == np.uint8 and info.nodata == (255,)
    assert raster.read(made.label)[0].sum() == 200


@pytest.mark.parametrize("empty", ["negative", "ignore"])
def test_a_scene_that_no_polygon_meets_is_empty(image, tmp_path, empty):
    rule = classes.rule("binary", ["mine"], empty=empty)
    polygons = outlines(box(900, 900, 1, 1))
    made = labels.make(scene(image), image, polygons, rule, tmp_path)
    assert made.empty and made.ignored == (empty == "ignore")
    labels.check_any([made, dataclasses.replace(made, empty=False)], polygons)
    with pytest.raises(
        InputError, match=r"1 polygons .* touch none of 1 scenes.*a\.tif"
    ):
        labels.check_any([made], polygons)
    with pytest.raises(InputError, match="no pixel of any class in 1 scenes"):
        labels.check_any([made], None)
