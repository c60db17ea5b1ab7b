import dataclasses
import types

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from minenet import metrics
from minenet.assess import errors, evaluate, judged
from minenet.data import chips, pipeline, sampling
from minenet.data.prepare import prepare
from minenet.data.sampling import Shares
from minenet.data.source import ChipSource
from minenet.geo import raster
from minenet.infer import mosaic, predict
from minenet.types import InputError
from tests import bundles, tiles

TILING = {"window": 16, "overlap": 0.5}


@pytest.fixture(scope="module", autouse=True)
def _many_strips():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mosaic, "TOGETHER", 1)
        yield


def prepared(folder, *, classes=("mine",)):
    made = tiles.folder(folder, count=6, size=50, classes=max(1, len(classes) - 1))
    for i in range(6):  # some pixels without data, some without label
        place = {"transform": tiles.at(x_m=10_000 * i)}
        image, mask = (
            tiles.picture(50, 50, seed=i),
            raster.read(folder / f"mask/mask_{i}.tif")[0][..., 0],
        )
        image[:10], mask[:, :5] = 0, 255
        tiles.save(folder / f"img/img_{i}.tif", image, nodata=0, **place)
        tiles.save(folder / f"mask/mask_{i}.tif", mask, nodata=255, **place)
    return prepare(
        folder / "data",
        task="binary" if len(classes) == 1 else "exclusive",
        classes=classes,
        values=None if len(classes) == 1 else {i: i for i in range(len(classes))},
        chip_size=32,
        stride=8,
        **made,
    )


def found(ready, bundle, **options):
    run = predict.predictor(bundle, batch_size=8)
    return errors.of_windows(bundle, run, ready, **TILING | options)


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    ready = prepared(tmp_path_factory.mktemp("errors"))
    bundle = bundles.bundle()
    return ready, bundle, found(ready, bundle)


def plain(ready, bundle, split):
    """The error of each window the plain way: a whole map, then one by one."""
    run = predict.predictor(bundle, batch_size=8)
    for item, rows in chips.by_scene(
        ready.scenes, ready.index[ready.index.split == split]
    ):
        opened = mosaic.open_scene(bundle, item.images)
        map_ = mosaic.whole(run, opened, num_classes=bundle.num_classes, **TILING)
        labels = chips.read_labels(item, opened.extent)
        for row in rows.itertuples():
            part = np.s_[row.row : row.row + 32, row.col : row.col + 32]
            counts = (labels[part] != 255) & np.isfinite(map_[part][..., 0])
            p, ids = map_[part][counts], labels[part][counts]
            if bundle.task == "exclusive":
                yield 1 - np.take_along_axis(p, ids[:, None], 1).mean()
            else:
                yield np.abs(p[:, 0] - ids).mean()


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_error_of_a_window_is_the_mean_over_its_pixels(binary, split):
    ready, bundle, _ = binary
    table = found(ready, bundle, split=split)
    np.testing.assert_allclose(
        table.error, list(plain(ready, bundle, split)), atol=1e-6
    )
    rows = ready.index[ready.index.split == split]
    pd.testing.assert_frame_equal(
        table[["scene", "row", "col"]], rows[["scene", "row", "col"]]
    )
    assert table.error.between(0, 1).all() and table.error.std() > 0.01


def test_of_exclusive_classes_it_is_what_the_true_one_lacks(tmp_path):
    classes = ("ground", "mine", "pond")
    ready, bundle = prepared(tmp_path, classes=classes), bundles.bundle(classes=classes)
    table = found(ready, bundle)
    np.testing.assert_allclose(
        table.error, list(plain(ready, bundle, "train")), atol=1e-6
    )


def test_of_overlapping_classes_it_is_their_mean(tmp_path):
    made = tiles.folder(tmp_path, count=6, size=48)
    for i in range(6):
        mask = raster.read(tmp_path / f"mask/mask_{i}.tif")[0]
        both = np.dstack([mask, np.roll(mask, 6, axis=0)])
        both[:, :5, 0] = 255
        place = {"transform": tiles.at(x_m=10_000 * i), "nodata": 255}
        tiles.save(tmp_path / f"mask/mask_{i}.tif", both, **place)
    classes = ("mine", "pond")
    ready = prepare(
        tmp_path / "data", task="multilabel", classes=classes, chip_size=16, **made
    )
    bundle = bundles.bundle(classes=classes, task="multilabel", threshold=(0.5, 0.5))
    table = found(ready, bundle)
    run = predict.predictor(bundle, batch_size=8)
    index = ready.index[ready.index.split == "train"]
    for item, rows in chips.by_scene(ready.scenes, index):
        opened = mosaic.open_scene(bundle, item.images)
        map_ = mosaic.whole(run, opened, num_classes=2, **TILING)
        labels = chips.read_labels(item, opened.extent)
        for row in rows.itertuples():
            part = np.s_[row.row : row.row + 16, row.col : row.col + 16]
            counts = (labels[part] != 255).all(-1)
            error = np.abs(map_[part] - labels[part])[counts].mean()
            assert table.error[row.Index] == pytest.approx(error, abs=1e-6)


def test_pixels_are_wrong_by_what_they_lack():
    p, t = np.array([[[0.75, 0.5], [np.nan, np.nan]]]), np.array([[[1.0, 0], [1, 1]]])
    assert errors.of_pixels(p, t, task="multilabel").tolist() == [[0.375, 0]]
    right = errors.of_pixels(t, t, task="exclusive")
    assert (right == 0).all()
    wrong = errors.of_pixels(t[..., ::-1], t, task="exclusive")
    assert wrong[0, 0] == 1


def test_pixels_come_once_with_what_is_known_of_them(binary):
    ready, bundle, _ = binary
    run = predict.predictor(bundle, batch_size=8)
    index = judged.index(ready, "train")
    scene, rows = next(chips.by_scene(ready.scenes, index))
    strips = list(judged.strips(bundle, run, scene, rows, **TILING))
    assert len(strips) > 1
    ends = [strip.row + len(strip.weight) for strip in strips]
    assert [strip.row for strip in strips] == [0, *ends[:-1]] and ends[-1] == 50
    weight = np.concatenate([strip.weight for strip in strips])
    assert weight[10:, 5:].all() and weight.sum() == 40 * 45
    target = np.concatenate([strip.target for strip in strips])
    labels = chips.read_labels(scene, None)
    np.testing.assert_array_equal(target[weight][:, 0], labels[weight])


def test_what_is_judged_is_what_is_scored(binary):
    ready, bundle, _ = binary
    run = predict.predictor(bundle, batch_size=8)
    counts = evaluate.count(bundle, run, ready, "test", **TILING)
    index = judged.index(ready, "test")
    for scene, rows in chips.by_scene(ready.scenes, index):
        total = sum(
            metrics.histogram(strip.probability, strip.target, strip.weight)
            for strip in judged.strips(bundle, run, scene, rows, **TILING)
        )
        np.testing.assert_array_equal(total, counts.scenes[scene.name].histogram)


def test_the_worst_windows_are_drawn_most(tmp_path):
    """Every other scene is bright all over: a model of brightness is wrong there."""
    made = tiles.folder(tmp_path, count=6, size=48)
    for i in range(6):
        place = {"transform": tiles.at(x_m=10_000 * i)}
        mask = raster.read(tmp_path / f"mask/mask_{i}.tif")[0]
        image = np.where((mask > 0) | (i % 2 == 1), 900, 100).repeat(3, 2)
        tiles.save(tmp_path / f"img/img_{i}.tif", image.astype(np.uint16), **place)
    ready = prepare(tmp_path / "data", chip_size=16, **made)
    bundle = bundles.bundle()
    (name,) = bundle.variables["params"]
    layer = {"kernel": np.full((3, 1), 1, np.float32), "bias": np.zeros(1, np.float32)}
    bundle = dataclasses.replace(bundle, variables={"params": {name: layer}})

    path = tmp_path / "errors.csv"
    errors.write(path, found(ready, bundle))
    chips_ = ChipSource(ready, split="train")
    hard = sampling.hardness(path, {}, chips_.index)
    bright = chips_.index.scene.isin(["img_1", "img_3", "img_5"]).to_numpy()
    assert 0 < bright.sum() < len(bright)
    assert hard[bright].mean() > 3 * hard[~bright].mean()
    weights = sampling.weights(chips_.index, Shares(hard=1), hard=hard)
    places = [place._replace(reach=i) for i, place in enumerate(chips_.places)]
    source = types.SimpleNamespace(places=places, index=chips_.index)
    stream, count = pipeline.draws(source, weights, seed=0), 2000
    drawn = np.bincount([stream[i].reach for i in range(count)], minlength=len(hard))
    assert stats.chisquare(drawn, count * hard / hard.sum()).pvalue > 1e-3
    assert drawn[bright].mean() > 3 * drawn[~bright].mean()


def test_what_is_read_is_what_was_written(binary, tmp_path):
    ready, _, table = binary
    errors.write(tmp_path / "errors.csv", table.sample(frac=1, random_state=0))
    index = ChipSource(ready, split="train").index
    hard = sampling.hardness(tmp_path / "errors.csv", {}, index)
    np.testing.assert_allclose(hard, table.error, rtol=1e-5)


def test_a_table_appears_whole_or_not_at_all(binary, tmp_path, monkeypatch):
    table = binary[2]
    path = tmp_path / "errors.csv"
    errors.write(path, table)
    before = path.read_bytes()

    def fail(self, target, **_):
        target.write_text("scene,row")
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(KeyboardInterrupt):
        errors.write(path, table.assign(error=1.0))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_split_without_windows_is_told(binary):
    ready, bundle, _ = binary
    with pytest.raises(InputError, match="no window of split 'none'; give it a share"):
        found(ready, bundle, split="none")
