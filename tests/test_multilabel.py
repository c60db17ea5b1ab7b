"""Classes that may overlap, from outlines to a map, counted by hand on the way."""

import dataclasses
import functools
from concurrent.futures import ThreadPoolExecutor

import geopandas
import numpy as np
import pytest
import shapely

from minenet.assess import evaluate
from minenet.data import chips, pipeline, prepare, store
from minenet.data.label import classes as classes_
from minenet.data.label import label_report, objects, targets
from minenet.data.quarantine import Quarantine
from minenet.data.source import ChipSource, Rasters
from minenet.geo import raster, vector
from minenet.geo.windows import Window
from minenet.infer import predict, scene
from minenet.types import InputError
from tests import bundles, tiles

CLASSES = ("pit", "pond")
SIZE, CHIP, COUNT = 64, 32, 3
TILING = {"window": 16, "overlap": 0.5}
THRESHOLDS = (0.25, 0.625)


def box(scene, row, col, height, width):
    """A rectangle of pixels of a scene, on the ground."""
    x, y = tiles.at(x_m=10_000 * scene) @ (col, row)
    return shapely.box(x, y - 10 * height, x + 10 * width, y)


def places(i):
    """Class → rectangles in a scene: one of each class, and both where they overlap."""
    return {"pit": [(4 + i, 6, 20, 24), (50, 40, 9, 9)], "pond": [(12, 20, 30, 20)]}


def drawn(i):
    """The labels `[H, W, K]` of a scene, by hand."""
    labels = np.zeros((SIZE, SIZE, 2), np.uint8)
    for k, name in enumerate(CLASSES):
        for row, col, height, width in places(i)[name]:
            labels[row : row + height, col : col + width, k] = 1
    return labels


def valid(i):
    """Which pixels of a scene's image are: all but a corner, of another height each."""
    found = np.ones((SIZE, SIZE), bool)
    found[: 5 + i, :9] = False
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multilabel")
    shapes, kinds = [], []
    for i in range(COUNT):
        image = np.where(valid(i)[..., None], tiles.picture(SIZE, SIZE, seed=i), 0)
        place = {"transform": tiles.at(x_m=10_000 * i)}
        tiles.save(folder / f"img/img_{i}.tif", image, nodata=0, **place)
        tiles.save(folder / f"mask/img_{i}.tif", 7 * drawn(i), **place)
        for name, found in places(i).items():
            shapes += [box(i, *each) for each in found]
            kinds += [name] * len(found)
    frame = geopandas.GeoDataFrame({"kind": kinds}, geometry=shapes, crs=tiles.UTM)
    frame.to_crs(4326).to_file(folder / "outlines.gpkg")
    return folder


def made(folder, out, **labels):
    return prepare.prepare(
        folder / out,
        images=folder / "img",
        task="multilabel",
        classes=CLASSES,
        chip_size=CHIP,
        stride=16,
        split={"shares": (0.34, 0.33, 0.33)},
        **labels,
    )


@pytest.fixture(scope="module")
def ready(folder):
    return made(folder, "out", polygons=folder / "outlines.gpkg", attribute="kind")


@pytest.fixture(scope="module")
def bundle():
    options = {"task": "multilabel", "threshold": THRESHOLDS}
    return bundles.bundle(classes=CLASSES, **options)


@pytest.fixture(scope="module")
def counts(ready, bundle):
    run = predict.predictor(bundle, batch_size=8)
    return evaluate.count(bundle, run, ready, "test", **TILING)


def of_split(ready, split):
    """The numbers of the scenes of a split."""
    names = ready.index.scene[ready.index.split == split].unique()
    return [int(name.rpartition("_")[2]) for name in names]


def by_hand(ready, bundle, split):
    """Labels `[N, K]` and probabilities of all pixels that count in a split."""
    run = predict.predictor(bundle, batch_size=8)
    labels, probabilities = [], []
    for i in of_split(ready, split):
        opened = scene.open_scene(bundle, ready.scenes[i].images)
        found = scene.whole(run, opened, num_classes=2, **TILING)
        image = raster.read_float(ready.scenes[i].images[0])
        np.testing.assert_allclose(found, bundles.untiled(bundle, image), atol=1e-5)
        labels.append(drawn(i)[valid(i)])
        probabilities.append(found[valid(i)])
    return np.concatenate(labels) == 1, np.concatenate(probabilities)


def test_every_pixel_of_a_chip_has_all_its_classes(ready):
    overlap = 0
    for split in ("train", "validation", "test"):
        chips_ = ChipSource(ready, split=split)
        for place, sample in zip(chips_.places, chips_, strict=True):
            at = np.s_[place.row : place.row + CHIP, place.col : place.col + CHIP]
            counts = valid(place.scene)[at]
            np.testing.assert_array_equal(sample["weight"], counts)
            expected = drawn(place.scene)[at] * counts[..., None]
            shown = sample["target"] * sample["weight"][..., None]
            np.testing.assert_array_equal(shown, expected)
            overlap += expected.all(-1).sum()
    assert overlap > 0 and ready.task == "multilabel"


def test_the_index_counts_each_class_alone(ready):
    assert classes_.count("multilabel", CLASSES) == 3
    for row in ready.index.itertuples():
        i = int(row.scene[-1])
        at = chips.window(row).slices
        counts, labels = valid(i)[at], drawn(i)[at]
        pixels = [row.valid, row.share_0, row.share_1, row.share_2]
        expected = [counts, counts & ~labels.any(-1)]
        expected += [counts & (labels[..., k] == 1) for k in range(2)]
        np.testing.assert_allclose(
            np.multiply(pixels, CHIP**2), [mask.sum() for mask in expected]
        )


def test_statistics_name_the_background_and_each_class(ready):
    train = of_split(ready, "train")
    labels = np.concatenate([drawn(i)[valid(i)] for i in train])
    expected = [(~labels.any(-1)).sum(), *labels.sum(0)]
    for found, name, pixels in zip(
        ready.statistics["classes"], ("background", *CLASSES), expected, strict=True
    ):
        assert (found["name"], found["pixels"]) == (name, pixels)
        assert found["share"] == pytest.approx(pixels / len(labels))
    pit, pond = ready.statistics["objects"]
    assert (pit["name"], pit["count"]) == ("pit", 2 * len(train))
    assert (pond["name"], pond["count"]) == ("pond", len(train))
    pixels_m2 = max(ready.scenes[i].gsd_m for i in train) ** 2
    assert pond["max_m2"] == pytest.approx(600 * pixels_m2)


def test_patches_of_one_class_do_not_part_those_of_another(ready, monkeypatch):
    monkeypatch.setattr(objects, "ROWS", 7)
    for id_, expected in ((1, [81, 480]), (2, [600])):
        assert sorted(objects.patches(ready.scenes[0], id_)) == expected


def test_the_report_counts_a_pixel_in_each_of_its_classes(ready):
    names = classes_.names("multilabel", CLASSES)
    found = label_report.pixels(ready.scenes, names)
    labels = np.concatenate([drawn(i).reshape(-1, 2) for i in range(COUNT)])
    assert found["classes"] == {
        "background": (~labels.any(-1)).sum(),
        "pit": labels[:, 0].sum(),
        "pond": labels[:, 1].sum(),
    }
    assert found["ignored"] == 0


def test_masks_with_a_band_for_each_class_say_the_same_as_outlines(folder, ready):
    masked = made(folder, "masked", masks=folder / "mask")
    assert masked.index.equals(ready.index)
    assert masked.statistics == ready.statistics
    for one, other in zip(masked.scenes, ready.scenes, strict=True):
        assert raster.info(other.label).bands == CLASSES
        for found in (one, other):
            labels = chips.read_labels(found, None)
            np.testing.assert_array_equal(labels, drawn(int(found.name[-1])))


def test_layers_of_outlines_overlap_as_one_layer_does(folder, ready):
    frame = geopandas.read_file(folder / "outlines.gpkg")
    paths = [folder / f"{name}.gpkg" for name in CLASSES]
    for path, name in zip(paths, CLASSES, strict=True):
        frame[frame.kind == name].to_file(path)
    layered = made(folder, "layered", polygons=paths, attribute="kind")
    assert layered.index.equals(ready.index)
    with pytest.raises(InputError, match="must say which of pit, pond a polygon is"):
        made(folder, "nameless", polygons=paths)


def test_a_window_that_cannot_be_read_counts_for_nothing(ready, tmp_path):
    gone = dataclasses.replace(ready.scenes[0], images=(str(tmp_path / "gone.tif"),))
    lost = dataclasses.replace(ready, scenes=(gone, *ready.scenes[1:]))
    quarantine = Quarantine(tmp_path / "quarantine.jsonl", strict=False)
    rasters = Rasters(lost, quarantine=quarantine)
    image, labels = rasters.read(0, Window(0, 0, CHIP, CHIP))
    assert np.isnan(image).all() and labels.shape == (CHIP, CHIP, 2)
    assert not targets.counted(labels).any() and len(quarantine.settle()) == 1


def test_windows_can_be_centred_on_any_class(ready):
    chips_ = ChipSource(ready, split="train")
    generator = np.random.default_rng(0)
    for place in chips_.places[::3]:
        found = chips_.centre(place._replace(reach=16), generator)
        row, col = found.row + CHIP // 2, found.col + CHIP // 2
        inside = drawn(place.scene)[row - 16 : row + 16, col - 16 : col + 16]
        assert inside.any() and found.reach == 0


def test_a_store_gives_the_same_batches(ready, tmp_path):
    made = store.create(tmp_path / "chips", ready, shard=4, codec="zstd")
    threads = functools.partial(ThreadPoolExecutor, 2)
    assert store.fill(made, quarantine=tmp_path / "q.jsonl", executor=threads) == []
    assert made.layout.planes == 2
    options = {"batch_size": 8, "seed": 3, "positive_share": 0.5}
    straight = pipeline.train(ChipSource(ready, split="train"), **options)
    stored = pipeline.train(store.StoreSource(made, split="train"), **options)
    for step in (0, 5):
        for name, expected in straight[step].items():
            np.testing.assert_array_equal(stored[step][name], expected, strict=True)


def test_each_class_is_counted_and_scored_at_its_own_threshold(ready, bundle, counts):
    labels, probability = by_hand(ready, bundle, "test")
    result = evaluate.report(bundle, counts, split="test")
    ious = []
    for k, name in enumerate(CLASSES):
        found = probability[:, k] >= THRESHOLDS[k]
        truth = labels[:, k]
        own = result["classes"][name]
        assert own["threshold"] == THRESHOLDS[k]
        assert (own["pixels"], own["positives"]) == (len(truth), truth.sum())
        assert own["recall"] == pytest.approx((found & truth).sum() / truth.sum())
        ious.append((found & truth).sum() / (found | truth).sum())
        assert own["iou"] == pytest.approx(ious[-1])
    assert result["mean_iou"] == pytest.approx(np.mean(ious))
    assert result["threshold"] == list(THRESHOLDS) and "confusion" not in result


def test_each_class_has_the_threshold_that_it_would_have_alone(counts):
    chosen = evaluate.choose_threshold(counts)
    alone = [evaluate.Counts(counts.histogram[k : k + 1], None) for k in range(2)]
    assert chosen == tuple(map(evaluate.choose_threshold, alone))
    assert len(chosen) == len(set(chosen)) == 2


def test_a_class_map_has_a_band_and_outlines_for_each_class(ready, bundle, tmp_path):
    run = predict.predictor(bundle, batch_size=8)
    maps = scene.predict_scene(
        bundle, run, ready.scenes[1].images, tmp_path, min_area_m2=500, **TILING
    )
    probability = raster.read_float(maps.probability)
    info, found = raster.info(maps.classes), raster.read(maps.classes)[0]
    assert info.bands == CLASSES and info.nodata == (255, 255)
    expected = np.where(np.isnan(probability), 255, probability >= THRESHOLDS)
    np.testing.assert_array_equal(found, expected)
    assert (found == 1).all(-1).any() and (found[~valid(1)] == 255).all()
    with raster.handles.opened(maps.classes) as file:
        assert file.tags()["MINENET_THRESHOLD"] == "0.25,0.625"
        assert file.tags()["MINENET_TASK"] == "multilabel"

    grid = {"affine": info.affine, "crs": info.crs}
    outlines = vector.read(maps.polygons)
    assert list(dict.fromkeys(outlines["class"])) == list(CLASSES)
    for k, name in enumerate(CLASSES):
        alone = vector.polygonize(
            (expected[..., k] == 1).astype(np.uint8),
            class_names=[name],
            probability=probability[..., k],
            min_area_m2=500,
            **grid,
        )
        own = outlines[outlines["class"] == name].reset_index(drop=True)
        assert own.geometry.geom_equals(alone.geometry).all()
        for column in ("mean_probability", "max_probability", "area_m2"):
            np.testing.assert_allclose(own[column], alone[column])


def test_a_map_without_any_class_has_no_outlines(ready, tmp_path):
    bundle = bundles.bundle(classes=CLASSES, task="multilabel", threshold=1.0)
    run = predict.predictor(bundle, batch_size=8)
    images = ready.scenes[0].images
    maps = scene.predict_scene(bundle, run, images, tmp_path, **TILING)
    assert geopandas.read_file(maps.polygons).empty
