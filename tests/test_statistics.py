import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from minenet.data import chips, statistics
from minenet.data.label import objects
from minenet.data.scenes import Scene
from minenet.data.statistics import Moments
from minenet.geo import bands, raster
from tests import tiles


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 99), st.floats(0, 1e6))
def test_moments_merge_to_those_of_the_whole(n, m, seed, shift):
    generator = np.random.default_rng(seed)
    pixels = generator.normal(shift, 3, (n + m, 2))
    pixels[generator.random((n + m, 2)) < 0.2] = np.nan
    merged = Moments.of(pixels[:n]).merge(Moments.of(pixels[n:])).summary("ab")
    whole = Moments.of(pixels).summary("ab")
    for one, other in zip(merged, whole, strict=True):
        assert one["count"] == other["count"]
        if one["count"]:
            for key in ("mean", "std", "min", "max", "p2", "p98"):
                assert one[key] == pytest.approx(other[key], rel=1e-9, abs=1e-9)


def test_moments_are_those_of_numpy():
    pixels = np.random.default_rng(0).gamma(2, 300, (5000, 1))
    (found,) = Moments.of(pixels).summary(["nir"])
    assert found == {
        "name": "nir",
        "mean": pytest.approx(pixels.mean()),
        "std": pytest.approx(pixels.std()),
        "min": pixels.min(),
        "max": pixels.max(),
        **{
            f"p{p}": pytest.approx(np.percentile(pixels, p))
            for p in statistics.PERCENTILES
        },
        "count": 5000,
        "histogram": statistics.histogram(pixels.ravel()),
    }
    counts, edges = np.array(found["histogram"]["counts"]), found["histogram"]["edges"]
    assert counts.sum() == 5000
    inner = np.histogram(pixels, edges)[0]
    np.testing.assert_array_equal(counts[1:-1], inner[1:-1])


def test_a_band_of_one_value_has_a_histogram():
    found = statistics.histogram(np.full(9, 7.0))
    assert sum(found["counts"]) == 9 and len(found["edges"]) == statistics.BINS + 1


def test_a_band_without_a_valid_pixel_has_no_numbers():
    (found,) = Moments.of(np.full((9, 1), np.nan)).summary(["nir"])
    assert found["count"] == 0 and found["mean"] is None and found["p98"] is None


def made(folder, seed, **options):
    image, labels = tiles.picture(70, 50, seed=seed), tiles.mask(70, 50, seed=seed)
    image[:9, :, 1] = 0
    path = tiles.save(folder / f"{seed}.tif", image, nodata=0)
    label = tiles.save(folder / f"{seed}_label.tif", labels)
    scene = Scene(f"{seed}", (str(path),), str(label), "", grid=tiles.grid(70, 50))
    return scene, bands.select([[raster.info(path)]]), image, labels


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("statistics")
    return made(folder, 0), made(folder, 1)


def index_of(scene, stack):
    return chips.index(scene, stack, size=32, stride=16, ids=2)


def test_each_training_pixel_counts_once_whatever_windows_overlap(two):
    scenes, stacks, images, labels = zip(*two, strict=True)
    index = pd.concat([index_of(scene, stacks[0]) for scene in scenes])
    found = statistics.collect(scenes, index, stacks[0], classes=["other", "mine"])
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(float)
    pixels[pixels == 0] = np.nan
    for band, values in zip(found["bands"], pixels.T, strict=True):
        assert band["count"] == np.isfinite(values).sum()
        assert band["mean"] == pytest.approx(np.nanmean(values))
        assert band["std"] == pytest.approx(np.nanstd(values))
        assert band["p98"] == pytest.approx(np.nanpercentile(values, 98))
    mine = int(sum(label.sum() for label in labels))
    assert [c["pixels"] for c in found["classes"]] == [7000 - mine, mine]
    assert found["classes"][1]["share"] == pytest.approx(mine / 7000)


def test_pixels_outside_the_windows_do_not_count(two):
    (scene, stack, image, _), _ = two
    index = index_of(scene, stack)
    index = index[(index.row == 16) & (index.col == 0)]
    found = statistics.collect([scene], index, stack, classes=["other", "mine"])
    part = image[16:48, :32, 0]
    assert found["bands"][0]["mean"] == pytest.approx(part.mean())
    assert found["bands"][0]["count"] == part.size


def test_pixels_without_a_label_still_tell_of_bands(two, tmp_path):
    (scene, stack, image, labels), _ = two
    index = index_of(scene, stack)
    labels = np.where(np.arange(50) < 25, labels, np.uint8(255))
    path = tiles.save(tmp_path / "label.tif", labels, nodata=255)
    half = dataclasses.replace(scene, label=str(path))
    found = statistics.collect([half], index, stack, classes=["other", "mine"])
    assert found["bands"][0]["count"] == image[..., 0].size
    assert sum(c["pixels"] for c in found["classes"]) == 70 * 25


def test_percentiles_of_a_sample_are_near_those_of_all(two, monkeypatch):
    (scene, stack, image, _), _ = two
    monkeypatch.setattr(statistics, "SAMPLE", 600)
    index = index_of(scene, stack)
    found = statistics.collect([scene], index, stack, classes=["other", "mine"])
    assert found["bands"][0]["p98"] == pytest.approx(
        np.percentile(image[..., 0], 98), abs=40
    )
    assert found["bands"][0]["max"] == image[..., 0].max()


@given(st.integers(0, 9999), st.floats(0.1, 0.7), st.integers(1, 12))
def test_patches_do_not_depend_on_the_strips(seed, share, rows):
    labels = np.random.default_rng(seed).random((12, 9)) < share
    scene = Scene("a", (), None, "", grid=tiles.grid(12, 9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "ROWS", rows)
        patch.setattr(objects, "read_labels", lambda _, w: labels[w.slices].astype(int))
        found = np.sort(objects.patches(scene, 1))
    numbers, _ = ndimage.label(labels)
    np.testing.assert_array_equal(found, np.sort(np.bincount(numbers.ravel())[1:]))


def test_objects_have_the_sizes_that_were_drawn(two, tmp_path):
    (scene, _, _, _), _ = two
    labels = np.zeros((70, 50), np.uint8)
    labels[3:13, 3:13], labels[20:25, 3:5], labels[13, 13], labels[40:, :9] = (
        1,
        1,
        1,
        255,
    )
    path = tiles.save(tmp_path / "label.tif", labels, nodata=255)
    drawn = dataclasses.replace(scene, label=str(path), gsd_m=10.0)
    mine, pond = (
        objects.described(np.concatenate([areas, areas]))
        for areas in objects.areas(drawn, 3)
    )
    assert mine["count"] == 6 and mine["total_m2"] == 2 * 111 * 100
    assert (mine["min_m2"], mine["median_m2"], mine["max_m2"]) == (100, 1000, 10_000)
    assert pond["count"] == 0 and pond["median_m2"] is None


def test_statistics_are_plain_json(two):
    scenes, stacks, _, labels = zip(*two, strict=True)
    index = pd.concat([index_of(scene, stacks[0]) for scene in scenes])
    found = statistics.collect(scenes, index, stacks[0], classes=["other", "mine"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    drawn = [label.sum() for label in labels if label.any()]
    assert found["objects"][0]["count"] == len(drawn)
    assert found["objects"][0]["total_m2"] == sum(drawn)
