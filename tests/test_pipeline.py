import pickle

import numpy as np
import pytest

from minenet.data import pipeline, prepare
from minenet.data.label import targets
from minenet.data.source import ChipSource, Place
from minenet.types import IGNORE, InputError
from tests import tiles

SIZE, SHARE = 32, 0.02


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    data = tiles.folder(folder, count=5, size=80, share=SHARE)
    split = {"shares": (0.6, 0.2, 0.2)}
    return prepare.prepare(
        folder / "out", **data, split=split, chip_size=SIZE, stride=16
    )


@pytest.fixture(scope="module")
def chips(prepared):
    return ChipSource(prepared, split="train")


def equal(a, b):
    return a.keys() == b.keys() and all(
        np.array_equal(a[k], b[k], equal_nan=k == "image") for k in a
    )


def whole(parts):
    """The global batch of the parts that processes hold."""
    return {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}


def test_a_chip_is_a_window_of_its_scene(prepared, chips):
    for i in range(0, len(chips), 7):
        place, sample = chips.places[i], chips[i]
        number = int(prepared.scenes[place.scene].name.removeprefix("img_"))
        rows = slice(place.row, min(place.row + SIZE, 80))
        cols = slice(place.col, min(place.col + SIZE, 80))
        image = tiles.picture(80, 80, seed=number)[rows, cols]
        inside = np.s_[: image.shape[0], : image.shape[1]]
        np.testing.assert_array_equal(sample["image"][inside], image)
        mask = tiles.mask(80, 80, number, SHARE)[rows, cols]
        np.testing.assert_array_equal(sample["target"][inside][..., 0], mask)
        beyond = np.ones((SIZE, SIZE), bool)
        beyond[inside] = False
        assert np.isnan(sample["image"][beyond]).all()
        np.testing.assert_array_equal(sample["weight"], ~beyond)
        assert chips.positive[i] == (mask.sum() > 0)
        dtypes = {sample[k].dtype for k in ("image", "target", "weight")}
        assert dtypes == {np.dtype("float32")}


def test_targets_by_task():
    ids = np.array([[0, 1, 2, IGNORE]])
    exclusive = targets.target(ids, task="exclusive", classes=3)
    np.testing.assert_array_equal(exclusive[0], [*np.eye(3), [0, 0, 0]])
    binary = targets.target(ids[:, :2], task="binary", classes=1)
    np.testing.assert_array_equal(binary[0], [[0], [1]])
    planes = np.array([[[0, 1], [1, 1], [0, 0], [IGNORE, 1]]])
    several = targets.target(planes, task="multilabel", classes=2)
    np.testing.assert_array_equal(several[0], [[0, 1], [1, 1], [0, 0], [0, 1]])
    for labels, expected in ((ids, [1, 1, 1, 0]), (planes, [1, 1, 1, 0])):
        np.testing.assert_array_equal(targets.weight(labels)[0], expected)
    np.testing.assert_array_equal(targets.marked(planes)[0], [1, 1, 0, 0])


def test_a_source_can_be_pickled(chips):
    assert equal(pickle.loads(pickle.dumps(chips))[3], chips[3])


def test_a_moved_chip_stays_within_reach_and_goes_no_farther_out(chips):
    generator = np.random.default_rng(0)
    for row in (0, 16, 48, 64):
        place = Place(scene=0, row=row, col=16, reach=8)
        moved = [chips.move(place, generator) for _ in range(300)]
        rows = [place.row for place in moved]
        low, high = max(row - 8, 0), min(row + 8, max(row, 80 - SIZE))
        assert (min(rows), max(rows)) == (low, high)
        assert {place.col for place in moved} == set(range(8, 25))
    still = Place(scene=0, row=16, col=16, reach=0)
    assert chips.move(still, generator) == still


@pytest.mark.parametrize("positive_share", [0.0, 0.5])
def test_any_number_of_processes_makes_the_same_batches(chips, positive_share):
    options = {"batch_size": 8, "seed": 3, "positive_share": positive_share}
    alone = pipeline.train(chips, **options)
    for count in 2, 4:
        parts = [
            pipeline.train(chips, **options, process_index=p, process_count=count)
            for p in range(count)
        ]
        for step in 0, 1, 17:
            local = [part[step] for part in parts]
            assert {len(part["index"]) for part in local} == {8 // count}
            assert equal(whole(local), alone[step])


def test_a_batch_is_a_function_of_seed_and_step(chips):
    first, again = (pipeline.train(chips, batch_size=4, seed=1) for _ in range(2))
    other = pipeline.train(chips, batch_size=4, seed=2)
    assert equal(first[40], again[40])
    assert not equal(first[40], first[41]) and not equal(first[40], other[40])
    assert first[40]["index"].tolist() == [160, 161, 162, 163]
    assert first[40]["index"].dtype == np.int32


def test_a_resumed_stream_goes_on_where_it_stopped(chips):
    dataset = pipeline.train(chips, batch_size=4, seed=1, positive_share=0.5)
    unbroken = pipeline.batches(dataset)
    expected = [next(unbroken) for _ in range(9)]
    unbroken.close()
    resumed = pipeline.batches(dataset, 5, threads=3)
    for batch in expected[5:]:
        assert equal(next(resumed), batch)
    resumed.close()


def test_an_epoch_has_each_chip_once_and_the_next_another_order(chips):
    dataset = pipeline.train(chips, batch_size=1, seed=0, jitter=False)
    count = len(chips)
    epochs = [
        [dataset[i]["image"].tobytes() for i in range(start, start + count)]
        for start in (0, count)
    ]
    expected = sorted(chips[i]["image"].tobytes() for i in range(count))
    assert sorted(epochs[0]) == sorted(epochs[1]) == expected
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize(("share", "at_least"), [(0.5, 0.5), (0.9, 0.9), (1.0, 1.0)])
def test_positive_chips_have_their_share(chips, share, at_least):
    dataset = pipeline.train(
        chips, batch_size=50, seed=0, positive_share=share, jitter=False
    )
    targets = np.concatenate([dataset[i]["target"] for i in range(2)])
    assert targets.any((1, 2, 3)).mean() >= at_least
    assert chips.positive.mean() < 0.5


def test_jitter_moves_chips(chips):
    still, moved = (
        pipeline.train(chips, batch_size=16, seed=0, jitter=jitter)[0]
        for jitter in (False, True)
    )
    assert still["index"].tolist() == moved["index"].tolist()
    assert not equal(still, moved)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_evaluation_has_each_chip_once(prepared, count):
    chips = ChipSource(prepared, split="validation")
    parts = [
        pipeline.evaluation(chips, batch_size=8, process_index=p, process_count=count)
        for p in range(count)
    ]
    steps = -(-len(chips) // 8)
    assert [len(part) for part in parts] == [steps] * count
    batches = [whole(local) for local in zip(*parts, strict=True)]
    assert len(batches) == steps
    index = np.concatenate([batch["index"] for batch in batches])
    np.testing.assert_array_equal(index[: len(chips)], np.arange(len(chips)))
    assert (index[len(chips) :] == -1).all() and len(index) % 8 == 0
    joined = whole(batches)
    assert (joined["weight"][len(chips) :] == 0).all()
    for i in (0, len(chips) - 1):
        assert equal(chips[i], {k: joined[k][i] for k in ("image", "target", "weight")})
    assert equal(parts[0][0], next(iter(parts[0])))
    with pytest.raises(IndexError):
        parts[0][steps]


def test_a_stream_that_cannot_be_is_told(prepared, chips):
    with pytest.raises(InputError, match="batch_size: 9 cannot be shared by 2"):
        pipeline.train(chips, batch_size=9, seed=0, process_count=2)
    with pytest.raises(ValueError, match="process_index=2 is not below"):
        pipeline.train(chips, batch_size=8, seed=0, process_index=2, process_count=2)
    with pytest.raises(InputError, match="positive_share: -1, expected 0 to 1"):
        pipeline.train(chips, batch_size=8, seed=0, positive_share=-1)
    with pytest.raises(InputError, match="split 'dev': no chips"):
        pipeline.train(ChipSource(prepared, split="dev"), batch_size=8, seed=0)
