import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from minenet.data.split import division, leakage, variogram
from minenet.geo import raster
from tests.test_splits import STRIDE, world


def divided(*places, split, size=64, **options):
    """Scenes given to splits as they are, whatever they share."""
    scenes, infos, index = world(*places, split=split, size=size, **options)
    return infos, division.divide(scenes, infos, index, stride=STRIDE, by="folder")[0]


def test_shared_pixels_are_counted():
    # The second scene of 64² pixels lies half on the first, the third far from both.
    at = (0, 0), (320, 0), (9000, 0)
    infos, index = divided(*at, split=["train", "test", "validation"])
    found = leakage.report(infos, index)
    shared = {pair: each["overlap_pixels"] for pair, each in found["pairs"].items()}
    assert shared == {
        "train-validation": 0,
        "train-test": 32 * 64,
        "validation-test": 0,
    }
    assert found["pairs"]["train-test"]["nearest_m"] == 0
    assert found["warnings"][0].startswith("train and test share 2048 pixels")
    assert "warning: train and test share 2048 pixels" in "\n".join(
        leakage.words(found)
    )


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=2))
def test_shared_pixels_are_those_of_a_canvas(at):
    at = at[:4]
    splits = ["train", "test", "train", "test"][: len(at)]
    places = [(10.0 * x, -10.0 * y) for x, y in at]
    infos, index = divided(*places, split=splits, size=40)
    canvas = np.zeros((2, 160, 160), bool)
    for (x, y), split in zip(at, splits, strict=True):
        canvas[int(split == "test"), y : y + 40, x : x + 40] = True
    expected = (canvas[0] & canvas[1]).sum()
    assert leakage.overlap_pixels(infos, index, "train", "test") == pytest.approx(
        expected, abs=2
    )


def test_the_nearest_window_is_told_in_metres():
    infos, index = divided((0, 0), (5640, 0), split=["train", "test"])
    pair = leakage.report(infos, index)["pairs"]["train-test"]
    assert pair["nearest_m"] == pytest.approx(5000, rel=2e-3)
    assert pair["median_m"] > 5000


def test_scenes_that_nothing_places_have_no_distance():
    infos, index = divided((0, 0), (0, 0), split=["train", "test"], crs=None)
    found = leakage.report(infos, index)
    pair = found["pairs"]["train-test"]
    assert (pair["overlap_pixels"], pair["nearest_m"]) == (0, None)
    assert pair["within_range"] == 0
    assert "nowhere near each other apart" in leakage.words(found)[0]
    json.dumps(found, allow_nan=False)


def field(side, smooth, seed):
    """Noise that is alike up to `smooth` cells, and the cells' places in metres."""
    generator = np.random.default_rng(seed)
    noise = ndimage.uniform_filter(generator.normal(size=(side, side)), smooth)
    rows, cols = np.indices(noise.shape).reshape(2, -1) * 100.0
    return np.stack([cols, rows, 0 * rows], axis=1), noise.ravel()


@pytest.mark.parametrize("smooth", [5, 10])
def test_the_range_is_that_of_the_field(smooth):
    """Means over squares share no noise beyond the squares' side."""
    found = [
        variogram.of(*field(40, smooth, seed), seed=seed)["range_m"]
        for seed in range(3)
    ]
    assert 0.8 * 100 * smooth < np.median(found) < 1.7 * 100 * smooth


def test_noise_has_no_range_and_a_constant_none():
    positions, values = field(30, 1, 0)
    found = variogram.of(positions, values)
    assert found["range_m"] < 150  # neighbours, 100 or 141 m apart, are unlike already
    np.testing.assert_allclose(found["semivariance"], found["sill"], rtol=0.15)
    none = variogram.of(positions, 0 * values)
    assert none["range_m"] is None and none["lags_m"] == []
    assert variogram.of(positions[:0], values[:0])["range_m"] is None


def test_the_semivariance_is_that_of_all_pairs():
    positions, values = field(7, 2, 1)
    found = variogram.of(positions, values)
    pairs = np.array(list(itertools.permutations(range(49), 2)))
    away = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    unlike = (values[pairs[:, 0]] - values[pairs[:, 1]]) ** 2 / 2
    near = away < 100 * 2**0.5 - 1e-6
    assert found["pairs"][0] == near.sum()
    assert found["semivariance"][0] == pytest.approx(unlike[near].mean())
    assert found["lags_m"][0] == pytest.approx(away[near].mean())


def smooth_labels(by, **options):
    """Three scenes whose mines are patches of about 1.6 km, divided."""
    scenes, infos, index = world((0, 0), (30_000, 0), (60_000, 0), size=320)
    generator = np.random.default_rng(3)
    patches = ndimage.uniform_filter(generator.normal(size=(20, 70)), 10)
    scene = index.scene.str[-1].astype(int)
    mine = (patches > 0).astype(float)[index.row // 16, index.col // 16 + 25 * scene]
    index = index.assign(share_0=1 - mine, share_1=mine)
    found, _ = division.divide(
        scenes, infos, index, stride=STRIDE, by=by, seed=2, **options
    )
    return leakage.report(infos, found, block_m=options.get("block_m"))


def test_splits_within_the_range_are_told():
    found = smooth_labels("block", block_m=700.0)
    assert 700 < found["labels"]["range_m"] < 3000
    said = "\n".join(found["warnings"])
    assert "blocks of 700 m are smaller than the" in said
    assert "of test lies nearer to train than the" in said
    assert smooth_labels("random")["warnings"] == []


def test_labels_that_never_level_off_are_told():
    scenes, infos, index = world((0, 0), (90_000, 0), split=["train", "test"], size=64)
    index["share_1"] = (index.scene == "scene_1") * 1.0
    index["share_0"] = 1 - index.share_1
    found, _ = division.divide(scenes, infos, index, stride=STRIDE, by="folder")
    said = leakage.report(infos, found)["warnings"]
    assert said and "labels differ more and more up to" in said[0]


def test_real_tiles_leak_unless_their_groups_stay_together(real_data):
    root = real_data / "tailings_s2_brazil"
    table = pd.read_csv(root / "index.csv")
    names = [f"img_{i}" for i in table.i]
    infos = {name: raster.info(root / f"img_u16/{name}.tif") for name in names}
    sides = [(infos[name].height, infos[name].width) for name in names]
    index = pd.DataFrame(sides, columns=["height", "width"]).assign(
        scene=names, row=0, col=0, valid=1.0, share_0=1 - table.maus_frac
    )
    by_tile = np.where(np.arange(len(table)) % 3 == 0, "test", "train")
    group = table.group.astype("category").cat.codes
    by_group = np.where(group % 3 == 0, "test", "train")
    leaking, sound = (
        leakage.report(infos, index.assign(split=split))
        for split in (by_tile, by_group)
    )
    assert leaking["pairs"]["train-test"]["overlap_pixels"] > 448**2
    assert "share" in leaking["warnings"][0]
    assert sound["pairs"]["train-test"]["overlap_pixels"] == 0
    assert sound["pairs"]["train-test"]["nearest_m"] > 0
