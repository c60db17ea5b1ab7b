"""Folds, places, buffers: what is dealt out beside shares of scenes and blocks."""

import dataclasses

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from minenet.data.split import distances, division, footprints, splits
from minenet.types import InputError
from tests import tiles
from tests.test_splits import SIZE, STRIDE, world

NAMES = list(splits.NAMES)


def nearest_m(index, infos):
    """The least distance between windows of two splits, moved as far as they may."""
    least = np.inf
    outlines = footprints.outlines(infos, index)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        a, b = (index.split == NAMES[i] for i in (first, second))
        away, _ = distances.nearest(outlines[b], outlines[a])
        least = min(least, away.min(initial=np.inf))
    train = index[index.split == "train"]
    for reach, rows in train.groupby("reach"):
        grown = footprints.outlines(infos, rows, grow=reach)
        away, _ = distances.nearest(grown, outlines[index.split != "train"])
        least = min(least, away.min(initial=np.inf))
    return least


def overlapping(index, infos):
    """Whether ground that training may read lies in a window that judges."""
    train = index[index.split == "train"]
    judges = footprints.outlines(infos, index[index.split != "train"], grow=-0.5)
    union = shapely.union_all(judges)
    for reach, rows in train.groupby("reach"):
        grown = footprints.outlines(infos, rows, grow=reach - 0.5)
        if shapely.intersects(grown, union).any():
            return True
    return False


layouts = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=4, max_size=7
)


@settings(max_examples=20)
@given(
    layouts,
    st.sampled_from(["random", "group", "block", "place"]),
    st.integers(0, 3),
    st.sampled_from([0.0, 150.0, 700.0]),
    st.sampled_from([0, 3]),
    st.booleans(),
)
def test_no_layout_leaks(at, by, seed, buffer_m, folds, in_metres):
    """Scenes of 960 m at any places, overlapping, in metres or in pixels alone."""
    groups = [f"group_{i % 4}" for i in range(len(at))]
    scenes, infos, index = world(
        *((400.0 * x, 400.0 * y) for x, y in at),
        size=96,
        groups=groups if by in ("group", "place") else None,
        crs=tiles.UTM if in_metres else None,
        seed=seed,
    )
    options = {"by": by, "seed": seed, "buffer_m": buffer_m, "block_m": 800}
    if by != "place":
        options["folds"] = folds
    try:
        found, dropped = division.divide(scenes, infos, index, stride=STRIDE, **options)
    except InputError as error:
        # Too little ground for three splits is told, never dealt out all the same.
        assert "cannot fill" in str(error) or "no window for" in str(error)
        return
    assert len(found) + dropped == len(index)
    assert not overlapping(found, infos)
    if buffer_m:
        assert nearest_m(found, infos) >= buffer_m * 0.999


def test_a_buffer_takes_windows_that_train_and_no_more_than_it_must():
    scenes, infos, index = world((0, 0), size=512)
    options = {"by": "block", "block_m": 1200, "seed": 1}
    (near, _), (far, dropped) = (
        division.divide(scenes, infos, index, stride=STRIDE, buffer_m=b, **options)
        for b in (0.0, 500.0)
    )
    tests = [each[each.split == "test"].shape[0] for each in (near, far)]
    assert tests[0] == tests[1]
    assert 500 <= nearest_m(far, infos) < 700 and nearest_m(near, infos) < 400
    assert dropped == len(index) - len(far)
    # What was dropped lay too near to what judges.
    lost = near.merge(far[["row", "col"]], how="left", indicator=True)
    lost = lost[(lost._merge == "left_only") & (lost.split == "train")]
    judges = footprints.outlines(infos, far[far.split != "train"])
    away, _ = distances.nearest(footprints.outlines(infos, lost), judges)
    assert len(lost) and (away < 500).all()


@pytest.mark.parametrize("lat", [0, -18, 60])
def test_a_buffer_is_in_metres_at_any_latitude(lat):
    zone = 32733 if lat < 0 else 32633
    crs = tiles.CRS.from_epsg(zone)
    _, infos, index = world((0, 0), (0, 0), crs=crs)
    north = 10_000_000 + lat * 110_700 if lat < 0 else lat * 110_700
    shift = north - 8_000_000
    for i, name in enumerate(list(infos)):
        affine = tiles.at(x_m=5000.0 * i, y_m=shift)
        infos[name] = dataclasses.replace(infos[name], affine=affine)
    outlines = footprints.outlines(infos, index)
    first = (index.scene == "scene_0").to_numpy()
    away, _ = distances.nearest(outlines[first], outlines[~first])
    # UTM is short by 0.04 % in the middle of its zone.
    edge = 5000 - 10 * (index.col[first] + SIZE).clip(upper=256)
    np.testing.assert_allclose(away, edge, rtol=2e-3)


def test_distances_are_those_of_the_ellipsoid():
    points = np.array([[0.0, 0.0], [111_319.49, 0.0], [1e9 + 5, 7.0], [1e9 + 9, 4.0]])
    assert distances.metres(points[:1], points[1:2]) == pytest.approx(111_319.49)
    assert distances.metres(points[2:3], points[3:]) == pytest.approx(5)
    assert np.isinf(distances.metres(points[:1], points[2:3]))
    chords = distances.positions(points)
    assert np.linalg.norm(chords[1] - chords[0]) == pytest.approx(111_319.49, rel=1e-4)
    none = distances.nearest(np.empty(0, object), np.empty(0, object))
    assert [len(each) for each in none] == [0, 0]


units = st.lists(
    st.tuples(st.floats(0.1, 10), st.sampled_from([0.0, 0.5, 3.0])),
    min_size=6,
    max_size=30,
)


@given(units, st.integers(3, 6), st.integers(0, 5))
def test_folds_test_each_unit_once(sizes, folds, seed):
    sizes = np.array(sizes)
    dealt = np.stack(
        [
            splits.cross_validate(sizes, folds=folds, fold=fold, seed=seed)
            for fold in range(folds)
        ]
    )
    assert ((dealt == 2).sum(0) == 1).all() and ((dealt == 1).sum(0) == 1).all()
    assert all({0, 1, 2} == set(each) for each in dealt)


@given(st.integers(30, 120), st.integers(3, 6), st.integers(0, 9))
def test_folds_are_alike_in_area_and_classes(count, folds, seed):
    generator = np.random.default_rng(seed)
    area = generator.random(count) * (generator.random(count) < 0.6)
    sizes = np.stack([np.ones(count), area], axis=1)
    for fold in range(folds):
        found = splits.cross_validate(sizes, folds=folds, fold=fold, seed=seed)
        tested = sizes[found == 2].sum(0) / sizes.sum(0)
        np.testing.assert_allclose(tested, 1 / folds, atol=0.1)


@pytest.mark.parametrize("by", ["random", "group", "block"])
def test_folds_of_an_index_part_it(by):
    scenes, infos, index = world(
        *((4000 * i, 0) for i in range(6)), size=96, groups=list("aabbcd")
    )
    options = {"by": by, "folds": 4, "block_m": 1000}
    tested = [
        division.divide(scenes, infos, index, stride=STRIDE, fold=fold, **options)[0]
        for fold in range(4)
    ]
    tested = [each[each.split == "test"] for each in tested]
    keys = [set(zip(t.scene, t.row, t.col, strict=True)) for t in tested]
    assert sum(map(len, keys)) == len(set.union(*keys))
    if by != "block":  # blocks drop what lies on their borders
        assert sum(map(len, keys)) == len(index)


def test_a_repeat_is_another_draw_and_always_the_same():
    scenes, infos, index = world(*((4000 * i, 0) for i in range(9)), size=64)

    def divide(**options):
        return division.divide(scenes, infos, index, stride=STRIDE, **options)[0]

    draws = [divide(repeat=repeat).split.tolist() for repeat in range(5)]
    assert draws[0] == divide(seed=0).split.tolist()
    assert draws[3] == divide(repeat=3).split.tolist()
    assert len({tuple(each) for each in draws}) > 2


def test_stratified_splits_share_classes_and_others_need_not():
    def worst(stratify):
        apart = []
        for seed in range(4):
            scenes, infos, index = world(
                *((4000 * i, 0) for i in range(12)), size=64, seed=seed
            )
            rich = index.scene.isin(["scene_0", "scene_1", "scene_2", "scene_3"])
            index["share_1"] = np.where(rich, 0.5, 0.0)
            index["share_0"] = 1 - index.share_1
            found, _ = division.divide(
                scenes,
                infos,
                index,
                stride=STRIDE,
                shares=(0.5, 0.25, 0.25),
                stratify=stratify,
                seed=seed,
            )
            dealt = found.groupby("split").share_1.sum() / found.share_1.sum()
            apart.append(np.abs(dealt[NAMES] - [0.5, 0.25, 0.25]).max())
        return max(apart)

    assert worst(True) < 0.05 < worst(False)


def test_a_place_is_left_out_whole():
    places = [(20_000 * "abc".index(g), 3000 * i) for i, g in enumerate("aabbbcc")]
    scenes, infos, index = world(*places, size=64, groups=list("aabbbcc"))

    def divide(**options):
        options = {"by": "place", "shares": (0.7, 0.3, 0), **options}
        return division.divide(scenes, infos, index, stride=STRIDE, **options)[0]

    for fold, place in enumerate("abc"):
        found = divide(fold=fold)
        assert (found.group[found.split == "test"] == place).all()
        assert ((found.group == place) == (found.split == "test")).all()
        assert set(found.split) == set(NAMES)
        named = divide(held_out=[place])
        assert named.equals(found)
    both = divide(held_out=("a", "c"))
    assert set(both.group[both.split == "test"]) == {"a", "c"}


def test_a_place_that_reaches_into_another_keeps_its_ground():
    scenes, infos, index = world(
        (0, 0), (500, 0), (9000, 0), (20_000, 0), size=96, groups=list("abbb")
    )
    found, dropped = division.divide(
        scenes, infos, index, stride=STRIDE, by="place", held_out=["a"]
    )
    assert dropped > 0 and not overlapping(found, infos)
    assert (found.split == "test").sum() == (index.scene == "scene_0").sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 2}, "split.folds: 2, split.fold: 0, expected 3 folds or more"),
        ({"folds": 4, "fold": 4}, "split.folds: 4, split.fold: 4"),
        ({"folds": 4, "by": "place"}, "split.folds: 4, but split.by='place' says"),
        ({"buffer_m": -1}, "split.buffer_m: -1, expected metres, 0 or above"),
        ({"by": "block", "block_m": 900, "buffer_m": 9000}, "or too near to another"),
        ({"by": "place", "fold": 4}, "split.fold: 4, expected 0 to 3 for 4 groups"),
        ({"by": "place", "held_out": ["x"]}, "no group x; there are scene_0, scene_1"),
        (
            {"by": "place", "held_out": [f"scene_{i}" for i in range(4)]},
            "split.held_out: all groups, so none is left to train on",
        ),
    ],
)
def test_a_division_that_cannot_be_is_told(options, message):
    scenes, infos, index = world(*((4000 * i, 0) for i in range(4)), size=96)
    with pytest.raises(InputError, match=message):
        division.divide(scenes, infos, index, stride=STRIDE, **options)
