import types

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from minenet.data import pipeline, prepare, sampling
from minenet.data.sampling import Shares
from minenet.data.source import ChipSource, Place
from minenet.geo import raster
from minenet.types import InputError
from tests import tiles

SIZE = 32


def index_of(areas):
    areas = np.asarray(areas, float)
    return pd.DataFrame({"share_0": 1 - areas, "share_1": areas})


areas = st.lists(st.sampled_from([0.0, 0.0, 0.1, 0.3, 1.0]), min_size=2, max_size=12)
parts = st.sampled_from([0.0, 0.1, 0.25, 0.3])


@given(areas, parts, parts, parts, st.integers(0, 9))
def test_corrected_draws_are_those_of_all_chips(area, positive, foreground, hard, seed):
    generator = np.random.default_rng(seed)
    index, values = index_of(area), generator.normal(size=len(area))
    told = generator.random(len(area)) + 0.01
    shares = Shares(positive, foreground, hard)
    chance = sampling.inclusion(index, shares, hard=told)
    assert chance.sum() == pytest.approx(1) and (chance > 0).all()
    mean = (chance * sampling.correction(chance) * values).sum()
    assert mean == pytest.approx(values.mean())


def test_each_way_has_its_chances():
    index = index_of([0, 0.1, 0.3, 0])
    hard = np.array([3.0, 0, 0, 1])

    def chances(**shares):
        return sampling.inclusion(index, Shares(**shares), hard=hard).tolist()

    assert chances() == [0.25] * 4
    assert chances(positive=1) == [0, 0.5, 0.5, 0]
    assert chances(foreground=1) == pytest.approx([0, 0.25, 0.75, 0])
    assert chances(hard=1) == [0.75, 0, 0, 0.25]
    mixed = chances(positive=0.2, foreground=0.2, hard=0.2)
    assert mixed == pytest.approx([0.25, 0.25, 0.35, 0.15])
    nothing = sampling.inclusion(index_of([0, 0]), Shares(0.5, 0.5))
    assert nothing.tolist() == [0.5, 0.5]


def stand_in(area):
    """A source of places alone, each at its own row."""
    places = [Place(0, row, 0, 0) for row in range(len(area))]
    return types.SimpleNamespace(places=places, index=index_of(area))


@pytest.mark.parametrize(
    ("shares", "count"),
    [
        (Shares(foreground=1), 3000),
        (Shares(hard=1), 3000),
        (Shares(0.2, 0.3, 0.2), 800),
    ],
)
def test_chips_are_drawn_as_often_as_told(shares, count):
    source = stand_in([0, 0.1, 0.4, 0, 0.2, 0])
    hard = np.array([1.0, 0, 2, 5, 0, 0])
    weights = sampling.weights(source.index, shares, hard=hard)
    stream = pipeline.draws(source, weights, seed=0, centred=False)
    rows = np.bincount([stream[i].row for i in range(count)], minlength=6)
    expected = count * sampling.inclusion(source.index, shares, hard=hard)
    never = expected == 0
    assert rows[never].sum() == 0
    assert stats.chisquare(rows[~never], expected[~never]).pvalue > 1e-3


def test_a_wrong_chance_would_be_seen():
    """The test above can fail: draws by area are not draws alike."""
    source = stand_in([0, 0.1, 0.4, 0, 0.2, 0])
    weights = sampling.weights(source.index, Shares(foreground=1))
    stream = pipeline.draws(source, weights, seed=0, centred=False)
    rows = np.bincount([stream[i].row for i in range(600)], minlength=6)
    assert stats.chisquare(rows[[1, 2, 4]]).pvalue < 1e-6


@given(st.integers(0, 2**31), st.integers(0, 10**12))
@settings(max_examples=15)
def test_a_draw_is_a_function_of_seed_and_number(seed, number):
    source = stand_in([0, 0.1, 0.4, 0, 0.2, 0])
    weights = sampling.weights(source.index, Shares(0.2, 0.3))
    first, again = (
        pipeline.draws(source, weights, seed=seed, centred=False)[number]
        for _ in range(2)
    )
    assert first == again


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sampling")
    data = tiles.folder(folder, count=4, size=96, share=0.03)
    return prepare.prepare(folder / "out", **data, chip_size=SIZE, stride=16)


@pytest.fixture(scope="module")
def chips(prepared):
    return ChipSource(prepared, split="train")


def test_the_middle_of_a_chip_is_foreground_where_it_may_move(chips):
    weights = sampling.weights(chips.index, Shares(foreground=1))
    stream = pipeline.draws(chips, weights, seed=0)
    inside, middles = 0, []
    for i in range(40):
        place = stream[i]
        assert place.reach == 0
        assert chips.move(place, np.random.default_rng(0)) == place
        target = chips.read(place)["target"][..., 0]
        assert target.any()
        middles.append(target[SIZE // 2, SIZE // 2])
        inside += 0 <= place.row <= 96 - SIZE and 0 <= place.col <= 96 - SIZE
    still = pipeline.draws(chips, weights, seed=0, centred=False)
    resting = [
        chips.read(still[i])["target"][SIZE // 2, SIZE // 2, 0] for i in range(40)
    ]
    assert np.mean(middles) > 0.5 > np.mean(resting)
    assert inside > 20


def test_a_centred_chip_stays_within_reach(chips):
    generator = np.random.default_rng(0)
    for place in chips.places:
        found = chips.centre(place, generator)
        assert abs(found.row - place.row) <= place.reach
        assert abs(found.col - place.col) <= place.reach
        fixed = chips.centre(place._replace(reach=0), generator)
        assert fixed == place._replace(reach=0)


def test_any_number_of_processes_draws_the_same(chips):
    hard = np.arange(len(chips), dtype=float)
    options = {"foreground_share": 0.3, "hard_share": 0.3, "hard": hard}
    options |= {"batch_size": 4, "seed": 5}
    alone = pipeline.train(chips, **options)[3]
    parts = [
        pipeline.train(chips, **options, process_index=p, process_count=2)[3]
        for p in range(2)
    ]
    for key, value in alone.items():
        np.testing.assert_array_equal(np.concatenate([p[key] for p in parts]), value)


def infos_of(prepared):
    return {scene.name: raster.info(scene.images[0]) for scene in prepared.scenes}


def test_polygons_make_the_chips_hard_that_they_cover(prepared, tmp_path):
    affine = tiles.at(x_m=10_000)
    west, north = affine.c, affine.f
    shape = shapely.box(west, north - 320, west + 160, north)
    path = tmp_path / "lakes.gpkg"
    frame = geopandas.GeoDataFrame(geometry=[shape], crs=tiles.UTM.to_wkt())
    frame.to_file(path, engine="pyogrio")
    index = prepared.index
    found = sampling.hardness(path, infos_of(prepared), index)
    assert found[index.scene != "img_1"].sum() == 0
    here = (index.scene == "img_1") & (index.row == 0) & (index.col == 0)
    assert found[here].tolist() == [0.5]
    corner = (index.scene == "img_1") & (index.row == 16) & (index.col == 16)
    assert found[corner].tolist() == [0]
    away = frame.translate(1e6).to_frame("geometry")
    away.to_file(path, engine="pyogrio")
    with pytest.raises(InputError, match="no chip is hard; give errors or polygons"):
        sampling.hardness(path, infos_of(prepared), index)


def test_a_table_tells_the_errors_of_chips(prepared, tmp_path):
    index = prepared.index
    chosen = index.iloc[[5, 2]][["scene", "row", "col"]].assign(error=[7, 0.5])
    path = tmp_path / "errors.csv"
    chosen.to_csv(path, index=False)
    found = sampling.hardness(path, {}, index)
    assert (found[5], found[2], found.sum()) == (7, 0.5, 7.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scene,row,col\n", "no column 'error'; it has scene, row, col"),
        ("scene,row,col,error\nimg_1,0,0,-2\n", "no error below 0"),
        ("scene,row,col,error\nimg_1,0,x,2\n", "row, col and error must be numbers"),
        ("scene,row,col,error\nimg_1,3,0,2\n", "1 of 1 chips are not in the index"),
        ("scene,row,col,error\nimg_1,0,0,0\n", "no chip is hard"),
        ("", "not a CSV table that can be read"),
    ],
)
def test_a_table_that_cannot_be_is_told(prepared, tmp_path, text, message):
    path = tmp_path / "errors.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        sampling.hardness(path, {}, prepared.index)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"foreground_share": 1.5}, "foreground_share: 1.5, expected 0 to 1"),
        ({"positive_share": 0.6, "foreground_share": 0.6}, "1.2, expected at most 1"),
        ({"hard_share": 0.2}, "hard_share: 0.2, but no chip of the split is told"),
    ],
)
def test_shares_that_cannot_be_are_told(chips, shares, message):
    with pytest.raises(InputError, match=message):
        pipeline.train(chips, batch_size=4, seed=0, **shares)


def test_chips_that_are_never_drawn_are_told():
    with pytest.raises(InputError, match="inclusion: 1 chips are never drawn"):
        sampling.correction(np.array([0.0, 1.0]))
