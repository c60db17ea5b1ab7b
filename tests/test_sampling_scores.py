"""Scores over drawn chips, corrected by how likely each was to be drawn."""

import functools
import types

import numpy as np
import pandas as pd
import pytest

from minenet import metrics
from minenet.data import pipeline, sampling
from minenet.data.sampling import Shares
from minenet.data.source import Place

CHIPS, SIDE, BINS = 80, 8, 2
SHARES = Shares(positive=0.1, foreground=0.4, hard=0.3)

iou = functools.partial(metrics.iou, threshold=0.5)


@pytest.fixture(scope="module")
def drawn_from():
    """Chips of which few hold a mine, and a model with false alarms in a few more."""
    generator = np.random.default_rng(0)
    target = np.zeros((CHIPS, SIDE, SIDE, 1))
    probability = 0.2 * generator.random(target.shape)
    for i in range(10):
        target[i, : 1 + i // 2, :6] = 1
        probability[i, : 1 + i // 3, 1:] += 0.7
    for i in range(10, 22):
        probability[i, :2, : i - 9] += 0.6
    probability = probability.astype(np.float32)
    share = target.mean((1, 2, 3))
    index = pd.DataFrame({"share_0": 1 - share, "share_1": share})
    errors = np.abs(probability - target).mean((1, 2, 3))
    return types.SimpleNamespace(
        places=[Place(0, row, 0, 0) for row in range(CHIPS)],
        index=index,
        probability=probability,
        target=target,
        hard=np.where(errors > np.median(errors), errors, 0),
    )


def histograms(chips, weight):
    """`[N, 1, 2, bins]`: what each chip counts, its pixels by a weight `[N]`."""
    pixels = np.ones((SIDE, SIDE))
    return np.stack(
        [
            metrics.histogram(p, t, w * pixels, bins=BINS, weighted=True)
            for p, t, w in zip(chips.probability, chips.target, weight, strict=True)
        ]
    )


@pytest.fixture(scope="module")
def truth(drawn_from):
    target = drawn_from.target
    total = metrics.histogram(
        drawn_from.probability, target, np.ones(target.shape[:3]), bins=BINS
    )
    return total, float(iou(total)[0])


@pytest.mark.parametrize(
    "shares", [Shares(), Shares(hard=0.9), Shares(foreground=0.5), SHARES]
)
def test_corrected_counts_are_on_average_those_of_all(drawn_from, truth, shares):
    chance = sampling.inclusion(drawn_from.index, shares, hard=drawn_from.hard)
    counts = histograms(drawn_from, sampling.correction(chance))
    expected = CHIPS * np.einsum("n,nklb->klb", chance, counts)
    np.testing.assert_allclose(expected, truth[0])


def test_corrected_scores_of_a_stream_are_those_of_all(drawn_from, truth):
    weights = sampling.weights(drawn_from.index, SHARES, hard=drawn_from.hard)
    stream = pipeline.draws(drawn_from, weights, seed=0, centred=False)
    drawn = [stream[i].row for i in range(2000)]
    chance = sampling.inclusion(drawn_from.index, SHARES, hard=drawn_from.hard)
    options = {"draws": 400, "level": 0.999}

    plain = histograms(drawn_from, np.ones(CHIPS))[drawn]
    flattered = metrics.interval(0, plain, iou, **options)
    assert not flattered.low[0] <= truth[1] <= flattered.high[0]

    counts = histograms(drawn_from, sampling.correction(chance))[drawn]
    right = metrics.interval(0, counts, iou, **options)
    assert right.low[0] < truth[1] < right.high[0]
    assert right.high[0] - right.low[0] < abs(flattered.score[0] - truth[1])


def test_corrected_scores_are_right_on_average(drawn_from, truth):
    """Over many jobs, each of as many draws: no bias but that of a ratio, O(1/n)."""
    chance = sampling.inclusion(drawn_from.index, SHARES, hard=drawn_from.hard)
    generator = np.random.default_rng(1)
    times = generator.multinomial(1000, chance / chance.sum(), size=400).astype(float)

    def scores(weight):
        sums = np.einsum("jn,nklb->jklb", times, histograms(drawn_from, weight))
        found = np.array([iou(total)[0] for total in sums])
        return found.mean(), found.std() / len(found) ** 0.5

    mean, error = scores(sampling.correction(chance))
    assert mean == pytest.approx(truth[1], abs=4 * error)
    mean, error = scores(np.ones(CHIPS))
    assert abs(mean - truth[1]) > 40 * error
