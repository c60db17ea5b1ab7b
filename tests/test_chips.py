import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minenet.data import chips
from minenet.data.scenes import Scene
from minenet.geo import bands, raster
from minenet.geo.windows import Window, grid
from tests import tiles


def made(folder, image, labels):
    """A prepared scene and its stack of bands."""
    path = tiles.save(folder / "image.tif", image, nodata=0)
    label = tiles.save(folder / "label.tif", labels, nodata=255)
    height, width = labels.shape[:2]
    scene = Scene("a", (str(path),), str(label), "a", grid=tiles.grid(height, width))
    return scene, bands.select([[raster.info(path)]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("chips")


@settings(max_examples=25)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 16),
    st.data(),
)
def test_shares_are_those_of_each_window(folder, height, width, size, data):
    stride = data.draw(st.integers(1, size))
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = generator.integers(0, 3, (height, width, 2)).astype(np.uint8)
    labels = generator.choice(np.uint8([0, 1, 2, 255]), (height, width))
    image[: height // 2] = 0  # nodata, so that some windows hold nothing
    scene, stack = made(folder, image, labels)
    index = chips.index(scene, stack, size=size, stride=stride, ids=3)

    known = np.where((image != 0).any(-1), labels, 255)
    expected = {}
    for window in grid(height, width, size=size, stride=stride):
        part = known[window.slices]
        counts = [(part == i).sum() / size**2 for i in range(3)]
        if any(counts):
            expected[window] = counts
    found = {chips.window(row): row for row in index.itertuples()}
    assert list(found) == list(expected)
    for window, counts in expected.items():
        row = found[window]
        assert [row.share_0, row.share_1, row.share_2] == pytest.approx(counts)
        assert row.valid == pytest.approx(sum(counts))
    holds = [any(counts[1:]) for counts in expected.values()]
    np.testing.assert_array_equal(chips.positive(index), holds)


@settings(max_examples=15)
@given(st.integers(1, 30), st.integers(1, 16), st.integers(0, 99))
def test_shares_of_overlapping_classes_are_each_their_own(folder, height, size, seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, (height, 20, 3)).astype(np.uint8)
    labels[generator.random((height, 20)) < 0.3] = 255
    scene, stack = made(folder, tiles.picture(height, 20), labels)
    index = chips.index(scene, stack, size=size, stride=-(-size // 2), ids=4)
    for row in index.itertuples():
        part = labels[chips.window(row).slices].astype(int)
        counts = (part != 255).all(-1)
        assert row.valid * size**2 == pytest.approx(counts.sum())
        found = np.array([row.share_1, row.share_2, row.share_3]) * size**2
        np.testing.assert_allclose(found, (part == 1).sum((0, 1)))
        assert row.share_0 * size**2 == pytest.approx((part == 0).all(-1).sum())
    np.testing.assert_array_equal(
        chips.positive(index),
        [(labels[chips.window(row).slices] == 1).any() for row in index.itertuples()],
    )


def test_a_pixel_counts_with_one_valid_band_and_a_known_class():
    image = np.array([[[1, 1], [1, np.nan], [np.nan, 1], [np.nan, np.nan], [1, 1]]])
    labels = np.uint8([[0, 1, 2, 1, 255]])
    assert chips.known(image, labels).tolist() == [[0, 1, 2, 255, 255]]
    planes = np.stack([labels, labels], -1)
    np.testing.assert_array_equal(
        chips.known(image, planes)[..., 1], chips.known(image, labels)
    )


def test_nothing_is_known_beyond_the_edge(folder):
    scene, _ = made(folder, tiles.picture(8, 8), tiles.mask(8, 8))
    found = chips.read_labels(scene, Window(-2, 4, 8, 8))
    np.testing.assert_array_equal(found[2:, :4], tiles.mask(8, 8)[:6, 4:])
    assert (found[:2] == 255).all() and (found[:, 4:] == 255).all()


def test_a_scene_of_nodata_has_no_windows(folder):
    scene, stack = made(folder, np.zeros((9, 9, 1), np.uint8), tiles.mask(9, 9))
    index = chips.index(scene, stack, size=4, stride=4, ids=2)
    assert len(index) == 0
    assert list(index.columns) == chips.columns(2)
