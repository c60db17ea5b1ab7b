import dataclasses
import math

import matplotlib.image
import numpy as np
import pandas as pd
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minenet.assess import (
    data_figures,
    figures,
    place_map,
    plotting,
    split_map,
    thumbnails,
)
from minenet.data import chips
from minenet.data.label import objects
from minenet.data.prepare import prepare
from minenet.data.scenes import Scene
from minenet.geo import preview, raster
from minenet.geo.bands import Stack
from minenet.geo.grids import Grid
from minenet.types import InputError
from tests import tiles

NAMES = ["class_shares", "band_histograms", "object_areas", "splits"]


def binary(folder, **options):
    made = tiles.folder(folder, count=6, size=48)
    return prepare(folder / "data", chip_size=16, **made | options)


def exclusive(folder):
    made = tiles.folder(folder, count=6, size=48, classes=2)
    classes = ("ground", "mine", "pond")
    return prepare(
        folder / "data",
        task="exclusive",
        classes=classes,
        values={i: i for i in range(3)},
        chip_size=16,
        **made,
    )


def multilabel(folder):
    made = tiles.folder(folder, count=6, size=48)
    for i in range(6):
        mask = raster.read(folder / f"mask/mask_{i}.tif")[0]
        place = {"transform": tiles.at(x_m=10_000 * i)}
        both = np.dstack([mask, np.roll(mask, 6, axis=0)])
        tiles.save(folder / f"mask/mask_{i}.tif", both, **place)
    return prepare(
        folder / "data",
        task="multilabel",
        classes=("mine", "pond"),
        chip_size=16,
        **made,
    )


def pictures(folder):
    for i in range(5):
        tiles.save(folder / f"img/p_{i}.png", tiles.picture(40, 30, seed=i))
        tiles.save(folder / f"mask/p_{i}.png", tiles.mask(40, 30, i))
    return prepare(
        folder / "data", images=folder / "img", masks=folder / "mask", chip_size=16
    )


def thirteen_bands(folder):
    tiles.folder(folder, count=4, size=32)
    for i in range(4):
        image = tiles.picture(32, 32, count=13, seed=i)
        image[..., 5] = 0
        place = {"transform": tiles.at(x_m=10_000 * i), "nodata": 0}
        tiles.save(folder / f"img/img_{i}.tif", image, **place)
    return prepare(
        folder / "data", images=folder / "img", masks=folder / "mask", chip_size=16
    )


def one_scene_in_blocks(folder):
    made = tiles.folder(folder, count=1, size=96)
    return prepare(
        folder / "data",
        chip_size=8,
        split={"by": "block", "block_m": 240},
        **made,
    )


def without_objects(folder):
    ready = binary(folder)
    return dataclasses.replace(
        ready,
        statistics=ready.statistics
        | {"objects": [{"name": "mine"} | objects.described(np.zeros(0))]},
    )


@pytest.mark.parametrize(
    "make",
    [
        binary,
        exclusive,
        multilabel,
        pictures,
        thirteen_bands,
        one_scene_in_blocks,
        without_objects,
    ],
)
def test_any_data_have_their_figures(tmp_path, make):
    found = data_figures.write(tmp_path / "figures", make(tmp_path))
    assert [path.stem for path in found] == NAMES
    assert sorted(found) == sorted((tmp_path / "figures").iterdir())
    for path in found:
        picture = matplotlib.image.imread(path)[..., :3]
        assert picture.std() > 0.01
        assert 200 < min(picture.shape[:2]) and max(picture.shape[:2]) < 3000


def test_a_figure_that_fails_leaves_none(tmp_path):
    ready = binary(tmp_path)
    image = ready.scenes[0].images[0]
    with open(image, "rb+") as file:
        file.truncate(200)
    with pytest.raises(InputError, match="img_0.tif"):
        data_figures.write(tmp_path / "figures", ready)
    left = sorted(path.stem for path in (tmp_path / "figures").iterdir())
    assert left == sorted(NAMES[:-1])


def test_shares_are_those_of_the_pixels(tmp_path):
    ready = exclusive(tmp_path)
    found = data_figures.shares_by_split(ready.index, 3)
    assert found.index.tolist() == ["train", "validation", "test"]
    for split, share in found.iterrows():
        names = set(ready.index.scene[ready.index.split == split])
        labels = np.concatenate(
            [
                raster.read(scene.label)[0].ravel()
                for scene in ready.scenes
                if scene.name in names
            ]
        )
        counts = np.bincount(labels, minlength=3)
        np.testing.assert_allclose(share, counts / counts.sum())


def test_windows_that_count_in_part_weigh_in_part():
    index = pd.DataFrame(
        {"split": "train", "valid": [1, 0.25], "share_0": [1, 0], "share_1": [0, 0.25]}
    )
    found = data_figures.shares_by_split(index, 2)
    assert found.loc["train"].tolist() == [0.8, 0.2]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, open still."""
    figures = []
    monkeypatch.setattr(plotting, "save", lambda figure, path: figures.append(figure))
    yield figures
    for figure in figures:
        plotting.pyplot().close(figure)


def test_bars_are_as_long_as_shares(tmp_path, drawn):
    ready = exclusive(tmp_path)
    names = ["ground", "mine", "pond"]
    data_figures.class_shares(tmp_path / "a.png", ready.index, names=names)
    (axes,) = drawn[0].axes
    shares = data_figures.shares_by_split(ready.index, 3)
    lengths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(lengths, 100 * shares.iloc[:, 1:].to_numpy().ravel())
    assert [text.get_text() for text in axes.get_yticklabels()] == names[1:]
    centres = [bar.get_y() + bar.get_height() / 2 for bar in axes.patches]
    np.testing.assert_array_equal(np.round(centres), [1, 2] * 3)
    assert len(set(centres)) == 6
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    for text, (split, share) in zip(legend, shares.iterrows(), strict=True):
        windows = (ready.index.split == split).sum()
        assert (
            text == f"{split}: {windows:,} windows, {100 * share.iloc[0]:.3g} % ground"
        )


counts = st.lists(st.integers(0, 999), min_size=1, max_size=9).filter(any)


@given(counts, st.floats(-1e4, 1e4), st.floats(0.01, 1e4))
def test_a_histogram_has_area_one_and_keeps_its_shape(counts, low, span):
    edges = np.linspace(low, low + span, len(counts) + 1)
    found, heights = data_figures.density({"edges": edges, "counts": counts})
    np.testing.assert_array_equal(found, edges)
    assert (heights * np.diff(edges)).sum() == pytest.approx(1)
    np.testing.assert_allclose(heights / heights.max(), np.divide(counts, max(counts)))


def test_each_band_has_its_histogram(tmp_path, drawn):
    ready = thirteen_bands(tmp_path)
    data_figures.band_histograms(tmp_path / "a.png", ready.statistics["bands"])
    shown = [axis for axis in drawn[0].axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == list(ready.bands)
    told = [[text.get_text() for text in axis.texts] for axis in shown]
    assert told == [["no valid pixel"] if i == 5 else [] for i in range(13)]
    (line,) = shown[0].lines
    assert set(line.get_xdata()) == {ready.statistics["bands"][0]["p50"]}


def test_boxes_are_the_percentiles_of_areas(tmp_path):
    labels = np.zeros((20, 20), np.uint8)
    labels[0, 0] = labels[3:5, 3:6] = labels[10:20, 10:20] = 1
    path = tiles.save(tmp_path / "label.tif", labels)
    grid = Grid(None, tiles.at(), 20, 20)
    scene = Scene("a", ("a.tif",), str(path), "a", grid=grid, gsd_m=20.0)
    mine, none = objects.areas(scene, 3)
    told = [
        {"name": "mine"} | objects.described(mine),
        {"name": "none"} | objects.described(none),
    ]
    (box,) = data_figures.boxes(told)
    areas = np.array([1, 6, 100]) * 400 / 10_000
    names = {"whislo": 5, "q1": 25, "med": 50, "q3": 75, "whishi": 95}
    for name, percent in names.items():
        assert box[name] == pytest.approx(np.percentile(areas, percent))
    assert box["fliers"] == pytest.approx([areas[0], areas[-1]])
    assert box["label"] == "mine\n3 objects"


def test_areas_without_a_crs_are_pixels(tmp_path, drawn):
    ready = pictures(tmp_path)
    data_figures.write(tmp_path / "figures", ready)
    (axes,) = drawn[NAMES.index("object_areas")].axes
    assert axes.get_xlabel() == "area of an object, pixels"
    (told,) = ready.statistics["objects"]
    ends = {x for line in axes.lines for x in line.get_xdata()}
    assert {told["min_m2"], told["median_m2"], told["max_m2"]} <= ends


def windows(*rows):
    columns = ["scene", "row", "col", "height", "width", "split"]
    return pd.DataFrame(rows, columns=columns)


def test_a_picture_is_painted_where_the_windows_lie():
    rows = windows(("a", 0, 4, 4, 4, "test"), ("a", 4, 8, 4, 4, "train"))
    found = split_map.painted(rows, height=6, width=10, shape=(6, 10))
    expected = np.full((6, 10), -1)
    expected[:4, 4:8], expected[4:, 8:] = 2, 0
    np.testing.assert_array_equal(found, expected)
    half = split_map.painted(rows, height=6, width=10, shape=(3, 5))
    np.testing.assert_array_equal(half, expected[::2, ::2])
    double = split_map.painted(rows, height=6, width=10, shape=(12, 20))
    np.testing.assert_array_equal(double, expected.repeat(2, 0).repeat(2, 1))


def test_windows_before_the_edge_are_painted_inside():
    rows = windows(("a", -3, -3, 4, 4, "train"))
    found = split_map.painted(rows, height=6, width=6, shape=(6, 6))
    assert (found >= 0).sum() == 1 and found[0, 0] == 0


def test_pictured_scenes_are_of_each_split_by_its_share():
    rows = [(f"s_{i:03}", 0, 0, 8, 8, "train") for i in range(60)]
    rows += [(f"v_{i}", 0, 0, 8, 8, "validation") for i in range(20)]
    rows += [(f"t_{i}", 0, 0, 8, 8, "test") for i in range(20)]
    found = split_map.chosen(windows(*rows), 10)
    assert [name[0] for name in found] == list("ssssssvvtt")
    assert found == split_map.chosen(windows(*rows[::-1]), 10)
    assert len(split_map.chosen(windows(*rows), 200)) == 100


def test_places_are_the_middles_on_the_ground(tmp_path):
    ready = binary(tmp_path)
    grids = ready.grids
    found = place_map.places(grids, ready.index)
    assert len(found) == 6 and (found.windows == 9).all()
    to_degrees = pyproj.Transformer.from_crs(32723, 4326, always_xy=True)
    for row in found.itertuples():
        lon, lat = to_degrees.transform(*(grids[row.scene].affine @ (24, 24)))
        assert (row.lon, row.lat) == pytest.approx((lon, lat))
    bare = {name: dataclasses.replace(grid, crs=None) for name, grid in grids.items()}
    assert place_map.places(bare, ready.index).empty
    some = bare | {"img_2": grids["img_2"]}
    assert place_map.places(some, ready.index).scene.tolist() == ["img_2"]


def test_each_window_lies_on_the_map(tmp_path, drawn):
    ready = binary(tmp_path)
    split_map.draw(tmp_path / "a.png", ready)
    axis = drawn[0].axes[0]
    (squares,) = [c for c in axis.collections if len(c.get_paths()) > 6]
    assert len(squares.get_paths()) == len(ready.index)
    west, east = axis.get_xlim()
    south, north = axis.get_ylim()
    colours = [
        plotting.pyplot().matplotlib.colors.to_rgb(plotting.SPLITS[split])
        for split in ready.index.split
    ]
    np.testing.assert_allclose(squares.get_facecolor()[:, :3], colours)
    for path in squares.get_paths():
        assert ((west, south) < path.vertices).all()
        assert (path.vertices < (east, north)).all()
    assert axis.get_aspect() == pytest.approx(
        1 / math.cos(math.radians((south + north) / 2)), rel=1e-3
    )
    pictured = [axis.get_title() for axis in drawn[0].axes[1:]]
    assert sorted(pictured) == sorted(scene.name for scene in ready.scenes)


def test_of_many_scenes_a_few_are_pictured(tmp_path, drawn, monkeypatch):
    monkeypatch.setattr(split_map, "PANELS", 4)
    monkeypatch.setattr(place_map, "ON_MAP", 10)
    ready = binary(tmp_path)
    split_map.draw(tmp_path / "a.png", ready)
    assert len(drawn[0].axes) == 1 + 4
    assert [text.get_text() for text in drawn[0].texts] == ["4 of 6 scenes pictured"]
    dots = sum(len(c.get_offsets()) for c in drawn[0].axes[0].collections)
    assert dots == 6


@pytest.mark.parametrize("size", [(60, 40), (7, 300), (1, 1)])
def test_a_preview_is_small_and_knows_no_data(tmp_path, size):
    image = tiles.picture(*size, count=3)
    image[0, 0, 1] = 0
    path = tiles.save(tmp_path / "a.tif", image, nodata=0, names=["r", "g", "b"])
    whole = preview.read(path, bands=["g", 3], side=1000)
    expected = image[..., 1:].astype(np.float32)
    expected[0, 0, 0] = np.nan
    np.testing.assert_array_equal(whole, expected)
    small = preview.read(path, bands=["g"], side=20)
    assert max(small.shape[:2]) == min(20, max(size))
    known = small[np.isfinite(small)]
    assert np.isin(known, image[..., 1]).all()


def test_thumbnails_show_what_a_scene_has(tmp_path):
    ready = binary(tmp_path)
    scene, stack = ready.scenes[0], ready.stack
    found = thumbnails.read(scene, stack, side=100)
    image = raster.read_float(scene.images[0])
    np.testing.assert_allclose(found, figures.true_colour(image, stack.names))
    two = dataclasses.replace(scene, images=(None, scene.images[0]))
    names, picks = ("old_1", "vv"), ((0, 1), (1, 2))
    grey = thumbnails.read(two, Stack(names, picks, described=True), side=10)
    assert grey.shape == (10, 10, 3) and (grey == grey[..., :1]).all()
    darkest = float(image[..., 1].min())
    holed = Stack(("vv",), ((1, 2),), described=True, nodata=(darkest,))
    white = (thumbnails.read(two, holed, side=48) == 1).all(-1)
    assert white[image[..., 1] == darkest].all()


def test_a_scene_on_another_grid_is_pictured_there(tmp_path):
    """The grid is twice as coarse as the image and begins 8 of its pixels east."""
    steps = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint16) + 1
    path = tiles.save(tmp_path / "a.tif", steps)
    grid = Grid(tiles.UTM, tiles.at(x_m=80, gsd_m=20.0), 32, 28)
    scene = Scene("a", (str(path),), None, "a", grid=grid, aligned=True)
    stack = Stack(("band_1",), ((0, 1),), described=False)
    found = thumbnails.read(scene, stack, side=16)
    assert found.shape == (16, 14, 3)
    expected = steps[:, 8:].reshape(16, 4, 14, 4).mean((1, 3))[..., None]
    np.testing.assert_allclose(
        found, figures.true_colour(expected, ["band_1"]), atol=0.02
    )


def test_real_scenes_are_pictured(real_data, tmp_path):
    folder = real_data / "tailings_s2_brazil"
    ready = prepare(
        tmp_path / "data",
        images=str(folder / "img_u16" / "img_[1-2][0-2].tif"),
        masks=str(folder / "mask_tailings_union" / "mask_[1-2][0-2].tif"),
        chip_size=224,
    )
    assert len(data_figures.write(tmp_path / "figures", ready)) == 4
    assert chips.positive(ready.index).any()
