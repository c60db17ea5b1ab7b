import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from minenet.data.scenes import Scene
from minenet.data.split import division, footprints, splits
from minenet.geo import raster, windows
from minenet.geo.raster import RasterInfo
from minenet.types import InputError
from tests import tiles

SHARES = (0.6, 0.2, 0.2)
SIZE, STRIDE = 32, 16


def info(height, width, *, crs=tiles.UTM, affine=None):
    return RasterInfo(
        path="a.tif",
        height=height,
        width=width,
        bands=("band_1",),
        numbers=(1,),
        described=False,
        dtype=np.dtype("uint8"),
        crs=crs,
        affine=affine or tiles.at(),
        nodata=(None,),
        scales=(1.0,),
        offsets=(0.0,),
        alpha=None,
    )


def world(*places, size=256, split=None, groups=None, crs=tiles.UTM, seed=0):
    """Scenes at places in metres, with an index of all their windows."""
    generator = np.random.default_rng(seed)
    scenes, infos, records = [], {}, []
    for i, (x, y) in enumerate(places):
        name, group = f"scene_{i}", groups[i] if groups else f"scene_{i}"
        part = split[i] if split else None
        scenes.append(
            Scene(name, (), "", group, part, grid=tiles.grid(size, size), gsd_m=10.0)
        )
        infos[name] = info(size, size, affine=tiles.at(x, y), crs=crs)
        for w in windows.grid(size, size, size=SIZE, stride=STRIDE):
            mine = float(generator.random() < 0.2)
            records.append((name, w.row, w.col, SIZE, SIZE, 1.0, 1 - mine, mine))
    columns = "scene row col height width valid share_0 share_1".split()
    return scenes, infos, pd.DataFrame(records, columns=columns)


def ground(index, infos, split, *, moved=False):
    """A canvas of cells of 10 m, true where windows of a split lie."""
    canvas = np.zeros((700, 6000), bool)
    for row in index[index.split == split].itertuples():
        far = row.reach if moved else 0
        place = infos[row.scene]
        x, y = ~tiles.at() @ (place.affine.c, place.affine.f)
        window = windows.expand(windows.Window(row.row, row.col, SIZE, SIZE), far)
        inside = windows.clip(window, place.height, place.width)
        canvas[windows.shift(inside, round(y) + 200, round(x)).slices] = True
    return canvas


def check_disjoint(index, infos):
    train = ground(index, infos, "train", moved=True)
    validation, test = (ground(index, infos, s) for s in ("validation", "test"))
    assert train.any() and validation.any() and test.any()
    assert not (train & validation | train & test | validation & test).any()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("by", "places", "groups"),
    [
        ("random", [(3000 * i, 0) for i in range(5)], None),
        # Scenes 0 and 1 overlap by half, so do 4 and 5.
        ("random", [(x, 0) for x in (0, 1280, 5000, 9000, 15000, 15000)], None),
        ("group", [(1280 * i, 0) for i in range(6)], list("aabbcc")),
        ("block", [(0, 0)], None),
        ("block", [(0, 0), (1280, 640), (2000, 0)], None),
    ],
)
def test_no_training_pixel_lies_in_another_split(by, places, groups, seed):
    if by == "group":  # of one group, a strip of overlapping scenes
        places = [
            (20_000 * "abc".index(g) + x, y)
            for g, (x, y) in zip(groups, places, strict=True)
        ]
    scenes, infos, index = world(*places, groups=groups, seed=seed)
    found, dropped = division.divide(
        scenes, infos, index, stride=STRIDE, by=by, seed=seed, block_m=640
    )
    assert len(found) + dropped == len(index)
    check_disjoint(found, infos)


def test_no_training_pixel_lies_in_another_split_without_a_crs():
    scenes, infos, index = world((0, 0), crs=None)
    found, dropped = division.divide(
        scenes, infos, index, stride=STRIDE, by="block", block_m=64
    )
    check_disjoint(found, infos)
    assert dropped > 0


def test_scenes_without_a_crs_do_not_overlap():
    boxes = [
        footprints.boxes(info(9, 9, crs=None), [[0, 0, 9, 9]], scene=i) for i in (0, 1)
    ]
    assert len(set(splits.merge_overlapping(np.concatenate(boxes), "ab"))) == 2


def test_blocks_leave_room_to_move_inside_and_none_at_borders():
    scenes, infos, index = world((0, 0), size=512)
    found, _ = division.divide(
        scenes, infos, index, stride=STRIDE, by="block", block_m=2000, seed=1
    )
    assert {0, STRIDE // 2} <= set(found.reach) <= {0, 2, 4, STRIDE // 2}


def test_blocks_are_the_same_ground_for_every_crs():
    degrees = CRS.from_epsg(4326)
    affine = tiles.Affine(1e-4, 0, -45.0, 0, -1e-4, -18.0)
    box = footprints.boxes(
        info(9, 9, crs=degrees, affine=affine), [[0, 0, 100, 100]], scene=0
    )
    area = (box[0, 2] - box[0, 0]) * (box[0, 3] - box[0, 1])
    # 0.01° by 0.01° on the ellipsoid at 18° South: a plane of equal area.
    assert area == pytest.approx(1106_980 * 1058.9 / 1000, rel=2e-3)


@pytest.mark.parametrize("by", ["random", "block"])
def test_the_seed_alone_decides(by):
    scenes, infos, index = world(*((4000 * i, 0) for i in range(12)))

    def divide(seed):
        options = {"by": by, "seed": seed, "block_m": 1000}
        return division.divide(scenes, infos, index, stride=STRIDE, **options)[0]

    pd.testing.assert_frame_equal(divide(3), divide(3))
    assert any(not divide(3).equals(divide(seed)) for seed in (4, 5))


def test_given_splits_are_kept():
    given_ = ["train", "test", "validation", "train"]
    scenes, infos, index = world(*((4000 * i, 0) for i in range(4)), split=given_)
    for by in "folder", "column":
        found, _ = division.divide(scenes, infos, index, stride=STRIDE, by=by)
        first = found.groupby("scene").split.unique()
        assert [list(s) for s in first] == [[s] for s in given_]


def test_given_splits_that_overlap_are_told(caplog):
    scenes, infos, index = world((0, 0), (1000, 0), split=["train", "test"])
    with caplog.at_level(logging.WARNING):
        division.divide(scenes, infos, index, stride=STRIDE, by="folder")
    assert "scene_0, scene_1 overlap on the ground" in caplog.text


@pytest.mark.parametrize(
    ("places", "options", "message"),
    [
        (1, {"by": "blocks"}, "split.by: 'blocks', expected one of random, group"),
        (2, {}, "2 scenes, groups or blocks cannot fill 3 splits"),
        (
            4,
            {"by": "folder"},
            "no folder of its path tells the split of scene 'scene_0'",
        ),
        (1, {"by": "block", "block_m": 330}, "split: no window for"),
        (1, {"by": "block", "block_m": -1}, "split.block_m: -1, expected metres"),
        (4, {"shares": (0, 1, 1)}, "split.shares: .*expected three numbers"),
        (4, {"shares": (1, 1)}, "split.shares"),
    ],
)
def test_a_division_that_cannot_be_is_told(places, options, message):
    scenes, infos, index = world(*((4000 * i, 0) for i in range(places)))
    with pytest.raises(InputError, match=message):
        division.divide(scenes, infos, index, stride=STRIDE, **options)


sizes = st.lists(
    st.tuples(st.floats(0.1, 10), st.sampled_from([0.0, 0.0, 0.5, 3.0])),
    min_size=3,
    max_size=40,
)


@given(sizes, st.integers(0, 5))
def test_every_split_gets_units_and_positives_while_they_last(units, seed):
    units = np.array(units)
    found = splits.assign(units, shares=SHARES, seed=seed)
    assert set(found) == {0, 1, 2}
    positive = units[:, 1] > 0
    assert len(set(found[positive])) == min(3, positive.sum())


@given(st.integers(20, 200), st.integers(0, 9))
def test_units_come_out_near_their_shares(count, seed):
    generator = np.random.default_rng(seed)
    area = generator.random(count) * (generator.random(count) < 0.5)
    units = np.stack([np.ones(count), area], axis=1)
    found = splits.assign(units, shares=SHARES, seed=seed)
    for i, share in enumerate(SHARES):
        dealt = units[found == i].sum(0) / units.sum(0)
        np.testing.assert_allclose(dealt, share, atol=0.12)


def test_a_share_of_0_stays_empty():
    found = splits.assign(np.ones((9, 1)), shares=(2, 1, 0), seed=0)
    assert np.bincount(found, minlength=3).tolist() == [6, 3, 0]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=25))
def test_overlapping_boxes_are_one_unit_and_neighbours_are_not(lefts):
    boxes = np.array([[x, 0, x + 3, 1] for x in lefts], float)
    found = splits.merge_overlapping(boxes, list(range(len(lefts))))
    runs, last = {}, None
    for x in sorted(set(lefts)):  # connected by steps shorter than a box
        runs[x] = x if last is None or x - last >= 3 else runs[last]
        last = x
    same = np.equal.outer(found, found)
    np.testing.assert_array_equal(same, np.equal.outer(*[[runs[x] for x in lefts]] * 2))


def test_real_tiles_overlap_within_their_groups_alone(real_data):
    root = real_data / "tailings_s2_brazil"
    table = pd.read_csv(root / "index.csv")
    tiles_ = [raster.info(root / f"img_u16/img_{i}.tif") for i in table.i]
    boxes = [
        footprints.boxes(tile, [[0, 0, tile.height, tile.width]], scene=i)
        for i, tile in enumerate(tiles_)
    ]
    boxes = np.concatenate(boxes)
    alone = splits.merge_overlapping(boxes, range(len(table)))
    grouped = splits.merge_overlapping(boxes, table.group.tolist())
    assert len(set(alone)) < len(table)
    assert len(set(grouped)) == table.group.nunique()
