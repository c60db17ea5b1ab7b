import sys

import matplotlib.image
import numpy as np
import pytest

from minenet import metrics
from minenet.assess import figures
from minenet.types import InputError
from tests import tiles


def picture(path):
    """The pixels of a figure, and that it is not a blank sheet."""
    found = matplotlib.image.imread(path)[..., :3]
    assert found.std() > 0.01
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    return found


def shows(found, colour):
    wanted = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return (np.abs(found - wanted).max(-1) < 0.02).any()


def test_training_curves(tmp_path):
    entries = [{"step": i, "train_loss": 1 / i} for i in range(1, 9)]
    entries += [
        {"step": 2, "validation_loss": 0.6, "validation_iou": None},
        {"step": 4, "validation_loss": 0.5, "validation_iou": 0.1},
        {"step": 8, "validation_loss": 0.4, "validation_iou": 0.3},
    ]
    figures.training(tmp_path / "training.png", entries)
    found = picture(tmp_path / "training.png")
    for colour in (figures.GREY, figures.ORANGE, figures.BLUE):
        assert shows(found, colour)


def test_training_that_was_never_validated(tmp_path):
    figures.training(tmp_path / "training.png", [{"step": 1, "train_loss": 2.0}])
    picture(tmp_path / "training.png")


@pytest.mark.parametrize(
    ("classes", "threshold"),
    [
        (("mine",), 0.25),
        (("ground", "mine", "pond"), None),
        (("pit", "pond"), (0.25, 0.5)),
    ],
)
def test_precision_recall(tmp_path, classes, threshold):
    generator = np.random.default_rng(0)
    target = generator.random((999, len(classes))) < 0.3
    probability = np.clip(0.4 * target + 0.6 * generator.random(target.shape), 0, 1)
    histogram = metrics.histogram(probability, target, np.ones(999))
    path = tmp_path / "precision_recall.png"
    figures.precision_recall(path, histogram, classes=classes, threshold=threshold)
    found = picture(path)
    colours = [figures.BLUE] if len(classes) == 1 else figures.CLASSES[: len(classes)]
    assert all(shows(found, colour) for colour in colours)


def test_precision_recall_where_nothing_is_labelled(tmp_path):
    histogram = np.zeros((1, 2, metrics.BINS), int)
    histogram[0, 0, 5] = 9
    path = tmp_path / "precision_recall.png"
    figures.precision_recall(path, histogram, classes=["mine"], threshold=0.5)
    picture(path)


@pytest.mark.parametrize("size", [(60, 60), (1, 1), (2, 300), (300, 2)])
def test_a_panel_of_any_scene(tmp_path, size):
    image = tiles.picture(*size).astype(np.float32)
    truth = tiles.mask(*size)
    truth[0, :1] = 255
    probability = np.linspace(0, 1, truth.size, dtype=np.float32).reshape(size)
    ids = (probability > 0.5).astype(np.uint8)
    if size == (60, 60):
        image[:, :9], probability[:, :9], ids[:, :9] = np.nan, np.nan, 255
    path = tmp_path / "scene.png"
    figures.panel(
        path,
        image,
        truth=truth,
        probability=probability,
        ids=ids,
        bands=("B2", "B3", "B4"),
        title="scene, IoU 0.5",
    )
    found = picture(path)
    assert max(found.shape) < 2100
    if size == (60, 60):
        assert shows(found, figures.TRUTH) and shows(found, figures.PREDICTION)


def test_a_panel_of_classes_that_overlap(tmp_path):
    generator = np.random.default_rng(0)
    truth = np.zeros((60, 60, 2), np.uint8)
    truth[5:40, 5:40, 0] = truth[20:55, 20:55, 1] = 1
    truth[:3] = 255
    figures.panel(
        tmp_path / "scene.png",
        tiles.picture(60, 60).astype(np.float32),
        truth=truth,
        probability=generator.random((60, 60)).astype(np.float32),
        ids=np.roll(truth, 3, axis=1),
        bands=("B2", "B3", "B4"),
        title="scene",
    )
    found = picture(tmp_path / "scene.png")
    assert shows(found, figures.TRUTH) and shows(found, figures.PREDICTION)


@pytest.mark.parametrize(
    ("bands", "chosen"),
    [
        (("B2", "B3", "B4", "B8"), (2, 1, 0)),
        (("nir", "Red", "Green", "Blue"), (1, 2, 3)),
        (("band_1", "band_2", "band_3", "band_4"), (0, 1, 2)),
        (("VV", "VH"), (0, 0, 0)),
        (("sar_VV", "s2_B02", "s2_B03", "s2_B04"), (3, 2, 1)),
    ],
)
def test_true_colour_finds_its_bands(bands, chosen):
    image = tiles.picture(20, 20, count=len(bands)).astype(np.float32)
    found = figures.true_colour(image, bands)
    assert found.shape == (20, 20, 3) and found.min() == 0 and found.max() == 1
    for channel, band in enumerate(chosen):
        ranks = np.corrcoef(found[..., channel].ravel(), image[..., band].ravel())
        assert ranks[0, 1] > 0.95


def test_nodata_is_white_and_land_under_clouds_is_not_black():
    image = np.random.default_rng(0).uniform(100, 200, (50, 50, 3)).astype(np.float32)
    image[:5] = 9000
    image[-5:] = np.nan
    found = figures.true_colour(image, ("red", "green", "blue"))
    assert (found[-5:] == 1).all()
    assert found[5:-5].mean() > 0.1
    blank = figures.true_colour(np.full((3, 3, 3), np.nan), ("a", "b", "c"))
    assert (blank == 1).all()


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"minenet\[viz\]"):
        figures.training(tmp_path / "training.png", [])
