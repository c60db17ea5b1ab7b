"""Scores from sums: count on the devices, add anywhere, divide once at the end.

`histogram` counts pixels by label and probability; everything else is arithmetic on the
counts, in float64 on the host, and exact for every threshold that is a bin's edge.
Counts of batches, devices, hosts and scenes merge by `+`.

Undefined is NaN, and only that is: where nothing is labelled and nothing predicted,
there is nothing to score. A total miss has the worst score, 0.
"""

from minenet.metrics.counting import BINS, Counts, counts, edges, histogram
from minenet.metrics.curves import (
    Curve,
    auroc,
    average_precision,
    best_threshold,
    curve,
)
from minenet.metrics.exclusive import confusion, one_vs_rest
from minenet.metrics.report import summary
from minenet.metrics.scores import accuracy, dice, f1, iou, mean, precision, recall

__all__ = [
    "BINS",
    "Counts",
    "Curve",
    "accuracy",
    "auroc",
    "average_precision",
    "best_threshold",
    "confusion",
    "counts",
    "curve",
    "dice",
    "edges",
    "f1",
    "histogram",
    "iou",
    "mean",
    "one_vs_rest",
    "precision",
    "recall",
    "summary",
]
