import json

import numpy as np
import pytest

from minenet import metrics
from minenet.assess import evaluate
from minenet.data import chips
from minenet.data.prepare import prepare
from minenet.geo import raster
from minenet.infer import bundle as bundle_
from minenet.infer import predict, scene
from minenet.types import InputError
from tests import bundles, tiles

TILING = {"window": 16, "overlap": 0.5}


def prepared(tmp_path, *, classes=("mine",), **options):
    made = tiles.folder(tmp_path, count=6, size=50, classes=max(1, len(classes) - 1))
    return prepare(
        tmp_path / "data",
        task="binary" if len(classes) == 1 else "exclusive",
        classes=classes,
        values=None if len(classes) == 1 else {i: i for i in range(len(classes))},
        chip_size=32,
        stride=16,
        **made | options,
    )


def counted(ready, bundle, split="test"):
    run = predict.predictor(bundle, batch_size=8)
    return evaluate.count(bundle, run, ready, split, **TILING)


def pixels(ready, bundle, split):
    """Label, probability of each pixel of a split's windows, the plain way."""
    run = predict.predictor(bundle, batch_size=8)
    for item in ready.scenes:
        rows = ready.index[
            (ready.index.scene == item.name) & (ready.index.split == split)
        ]
        if rows.empty:
            continue
        opened = scene.open_scene(bundle, item.images)
        probability = scene.whole(run, opened, num_classes=bundle.num_classes, **TILING)
        own = np.zeros((item.height, item.width), bool)
        for row in rows.itertuples():
            own[row.row : row.row + row.height, row.col : row.col + row.width] = True
        labels = chips.read_labels(item, opened.extent)
        own &= (labels != 255) & np.isfinite(probability[..., 0])
        yield item.name, labels[own], probability[own]


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("by", ["random", "block"])
def test_each_pixel_of_the_split_counts_once_and_no_other(tmp_path, split, by):
    options = {"split": {"by": by, "block_m": 320 if by == "block" else None}}
    ready = prepared(tmp_path, **options)
    bundle = bundles.bundle()
    counts = counted(ready, bundle, split)
    expected = list(pixels(ready, bundle, split))
    assert list(counts.scenes) == sorted(name for name, *_ in expected)
    for name, labels, probability in expected:
        bins = np.floor(probability[:, 0].astype(np.float32) * metrics.BINS)
        found = counts.scenes[name].histogram
        for label in (0, 1):
            np.testing.assert_array_equal(
                found[0, label],
                np.bincount(bins[labels == label].astype(int), minlength=metrics.BINS),
            )
    total = sum(each.histogram for each in counts.scenes.values())
    np.testing.assert_array_equal(counts.histogram, total)
    assert counts.histogram.sum() == sum(len(labels) for _, labels, _ in expected)


def test_unlabelled_and_invalid_pixels_do_not_count(tmp_path):
    made = tiles.folder(tmp_path, count=6, size=50)
    for i in range(6):
        image = tiles.picture(50, 50, seed=i)
        image[:10] = 0
        place = {"transform": tiles.at(x_m=10_000 * i)}
        tiles.save(tmp_path / f"img/img_{i}.tif", image, nodata=0, **place)
        mask = tiles.mask(50, 50, seed=i)
        mask[:, :5] = 255
        tiles.save(tmp_path / f"mask/mask_{i}.tif", mask, nodata=255, **place)
    ready = prepare(tmp_path / "data", chip_size=32, **made)
    counts = counted(ready, bundles.bundle())
    assert [c.histogram.sum() for c in counts.scenes.values()] == [40 * 45] * len(
        counts.scenes
    )


def test_the_threshold_is_the_best_of_all(tmp_path):
    ready, bundle = prepared(tmp_path), bundles.bundle()
    threshold = evaluate.choose_threshold(counted(ready, bundle, "validation"))
    found = list(pixels(ready, bundle, "validation"))
    labels = np.concatenate([each for _, each, _ in found]) == 1
    probability = np.concatenate([each[:, 0] for *_, each in found])

    def iou(threshold):
        wanted = probability >= threshold
        return (labels & wanted).sum() / (labels | wanted).sum()

    best = max(iou(i / metrics.BINS) for i in range(1, metrics.BINS))
    assert iou(threshold) == best


def test_the_report_scores_the_very_maps(tmp_path):
    ready = prepared(tmp_path)
    bundle = bundles.bundle(threshold=0.375)
    result = evaluate.report(bundle, counted(ready, bundle), split="test")
    assert (result["split"], result["threshold"]) == ("test", 0.375)
    assert result["threshold_chosen_on"] == "validation"
    run = predict.predictor(bundle, batch_size=8)
    tp = wrong = 0
    for item in ready.scenes:
        if item.name not in result["scenes"]:
            continue
        maps = scene.predict_scene(bundle, run, item.images, tmp_path / "out", **TILING)
        ids = raster.read(maps.classes)[0][..., 0] == 1
        labels = chips.read_labels(item, None) == 1
        tp, wrong = tp + (ids & labels).sum(), wrong + (ids ^ labels).sum()
        own = (ids & labels).sum() / (ids | labels).sum()
        assert result["scenes"][item.name]["mine"]["iou"] == pytest.approx(own)
    assert result["classes"]["mine"]["iou"] == pytest.approx(tp / (tp + wrong))
    evaluate.write(tmp_path / "evaluation.json", result)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == result


def test_exclusive_classes_are_scored_by_the_highest(tmp_path):
    classes = ("background", "mine", "tailings")
    ready = prepared(tmp_path, classes=classes)
    bundle = bundles.bundle(classes=classes)
    counts = counted(ready, bundle)
    assert evaluate.choose_threshold(counts) is None
    matrix = np.zeros((3, 3), int)
    for _, labels, probability in pixels(ready, bundle, "test"):
        np.add.at(matrix, (labels, probability.argmax(-1)), 1)
    result = evaluate.report(bundle, counts, split="test")
    assert result["confusion"] == matrix.tolist()
    assert result["threshold"] is result["threshold_chosen_on"] is None
    ious = []
    for k, name in enumerate(classes):
        iou = matrix[k, k] / (matrix[k].sum() + matrix[:, k].sum() - matrix[k, k])
        assert result["classes"][name]["iou"] == pytest.approx(iou)
        ious.append(iou)
    assert result["mean_iou"] == pytest.approx(np.mean(ious))


def test_a_scene_of_background_alone_has_no_score_but_its_false_alarms(tmp_path):
    bundle = bundles.bundle()
    histogram = np.zeros((1, 2, metrics.BINS), int)
    histogram[0, 0, 100] = 7
    counts = evaluate.Counts(histogram, None)
    quiet = evaluate.scores(bundle, counts)["mine"]
    assert quiet["iou"] is None and quiet["accuracy"] == 1 and quiet["pixels"] == 7
    histogram[0, 0, 900] = 1
    assert evaluate.scores(bundle, counts)["mine"]["iou"] == 0


def test_a_split_without_windows(tmp_path):
    ready = prepared(tmp_path)
    with pytest.raises(InputError, match="no window of split 'none'"):
        counted(ready, bundles.bundle(), "none")


def test_bands_are_those_of_the_model(tmp_path):
    ready = prepared(tmp_path, bands=[3, 1])
    bundle = bundles.bundle(
        bands=2,
        contract=bundle_.contract(
            ready.stack, [raster.info(ready.scenes[0].images[0])]
        ),
    )
    name, _, probability = next(pixels(ready, bundle, "test"))
    (item,) = [item for item in ready.scenes if item.name == name]
    image = raster.read_float(item.images[0])[..., [2, 0]]
    np.testing.assert_allclose(
        probability, bundles.untiled(bundle, image).reshape(-1, 1), atol=1e-6
    )
