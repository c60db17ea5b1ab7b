import re

import numpy as np
import pytest

from minenet import metrics
from minenet.metrics import objects, surface

CASES = ("absent", "false alarm", "missed", "elsewhere", "right")
CASES += ("all found", "all missed", "all masked")


def table():
    """The rows of the table in the package's docstring: name → a cell a case."""
    body = metrics.__doc__.split("=\n")[2]
    rows = (re.split(r" {2,}", line.strip()) for line in body.splitlines())
    return {name: cells for name, *cells in rows if cells and "=" not in name}


def scored(truth, found, weight):
    """Every score of a row of pixels, by its name in the table."""
    target, p = (np.array([*map(int, x)], np.float32)[None] for x in (truth, found))
    one = p[..., None], target[..., None], weight
    histogram = metrics.histogram(*one)
    sums = metrics.soft_sums(*one)
    two = (np.stack([1 - x, x], axis=-1) for x in (p, target))
    confusion = metrics.confusion(*two, weight)
    distances = surface.distances(p, target, weight, pixel_m=1)
    matched = objects.match(p, target, weight, pixel_m2=1)[0]
    return {
        **{name: getattr(metrics, name)(histogram) for name in metrics.AT_THRESHOLD},
        "f_beta": metrics.f_beta(histogram, beta=2),
        "average_precision": metrics.average_precision(histogram),
        "auroc": metrics.auroc(histogram),
        "ece": metrics.ece(histogram),
        "mce": metrics.mce(histogram),
        "brier": metrics.brier(sums),
        "log_loss": metrics.log_loss(sums),
        "soft_iou": metrics.soft_iou(sums),
        "soft_f1": metrics.soft_f1(sums),
        "multiclass_mcc": metrics.multiclass_mcc(confusion),
        "multiclass_kappa": metrics.multiclass_kappa(confusion),
        "boundary_iou": surface.boundary_iou(p, target, weight, width_m=1, pixel_m=1),
        "surface_dice": surface.surface_dice(distances, tolerance_m=0),
        "hd95": surface.hd95(distances),
        "mean_surface": surface.mean_surface_distance(distances),
        "object precision": objects.precision(matched),
        "object recall": objects.recall(matched),
        "object f1": objects.f1(matched),
        "panoptic_quality": objects.panoptic_quality(matched),
    }


ROWS = table()
TRUTH, FOUND = ROWS.pop("truth"), ROWS.pop("prediction")
SCORED = [
    scored(truth, found, np.full((1, 4), case != "all masked", np.float32))
    for case, truth, found in zip(CASES, TRUTH, FOUND, strict=True)
]


def test_the_table_has_every_score():
    assert set(ROWS) == set(SCORED[0])


@pytest.mark.parametrize("name", ROWS)
def test_the_table_of_edges_holds(name):
    expected = [np.nan if cell == "-" else float(cell) for cell in ROWS[name]]
    found = [float(np.squeeze(case[name])) for case in SCORED]
    np.testing.assert_allclose(found, expected, atol=0.006)


@pytest.mark.parametrize("name", sorted(set(ROWS) - {"average_precision", "auroc"}))
def test_a_total_miss_has_the_worst_score_and_is_never_undefined(name):
    missed = [float(np.squeeze(SCORED[CASES.index(case)][name])) for case in CASES]
    elsewhere, right = (missed[CASES.index(case)] for case in ("elsewhere", "right"))
    for case in ("missed", "elsewhere", "all missed"):
        value = missed[CASES.index(case)]
        assert not np.isnan(value) or (name, case) == ("specificity", "all missed")
    assert elsewhere != right


def test_a_class_that_is_undefined_is_left_out_of_the_macro_average_alone():
    p = np.array([[0.9, 0.1], [0.1, 0.1]])
    histogram = metrics.histogram(p, np.array([[1, 0], [1, 0]]), np.ones(2))
    assert np.isnan(metrics.iou(histogram)[1])
    assert metrics.iou(histogram, average="macro") == 0.5
    assert metrics.iou(histogram, average="micro") == 0.5
    assert metrics.accuracy(histogram, average="micro") == 0.75
