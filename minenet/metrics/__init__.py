"""Scores from sums: count on the devices, add anywhere, divide once at the end.

`histogram` counts pixels by label and probability; everything else is arithmetic on the
counts, in float64 on the host, and exact for every threshold that is a bin's edge.
`confusion` counts exclusive classes, `soft_sums` what probabilities themselves are
worth. Sums of batches, devices, hosts and scenes merge by `+`, and `bootstrap` draws
from those of blocks. `surface` and `objects`, which need SciPy, are imported by name:
`from minenet.metrics import objects`.

Undefined is NaN (`-` below), and only that is: where there is nothing to score. A total
miss has the worst score. Of four pixels, 1 m wide, in a row:

==================  ======  ======  ======  =======  ======  ======  ======  ======
case                absent  false   missed  else-    right   all     all     all
                            alarm           where            found   missed  masked
==================  ======  ======  ======  =======  ======  ======  ======  ======
truth               0000    0000    0011    0011     0011    1111    1111    0011
prediction          0000    0001    0000    1100     0011    1111    0000    0110
iou                 -       0       0       0        1       1       0       -
f1                  -       0       0       0        1       1       0       -
f_beta              -       0       0       0        1       1       0       -
precision           -       0       0       0        1       1       0       -
recall              -       -       0       0        1       1       0       -
specificity         1       0.75    1       0        1       -       -       -
accuracy            1       0.75    0.5     0        1       1       0       -
balanced_accuracy   1       0.75    0.5     0        1       1       0       -
mcc                 -       0       0       -1       1       -       0       -
kappa               -       0       0       -1       1       -       0       -
average_precision   -       -       0.5     0.5      1       1       1       -
auroc               -       -       0.5     0        1       -       -       -
ece                 0       0.25    0.5     1        0       0       1       -
mce                 0       1       0.5     1        0       0       1       -
brier               0       0.25    0.5     1        0       0       1       -
log_loss            0       3.99    7.97    15.94    0       0       15.94   -
soft_iou            -       0       0       0        1       1       0       -
soft_f1             -       0       0       0        1       1       0       -
multiclass_mcc      -       0       0       -1       1       -       0       -
multiclass_kappa    -       0       0       -1       1       -       0       -
boundary_iou        -       0       0       0        1       1       0       -
surface_dice        -       0       0       0        1       1       0       -
hd95                -       inf     inf     1.95     0       0       inf     -
mean_surface        -       inf     inf     1.5      0       0       inf     -
object precision    -       0       0       0        1       1       0       -
object recall       -       -       0       0        1       1       0       -
object f1           -       0       0       0        1       1       0       -
panoptic_quality    -       0       0       0        1       1       0       -
==================  ======  ======  ======  =======  ======  ======  ======  ======

(`ece` and `mce` to half a bin; `surface_dice` at 0 m; ranking scores say nothing of a
miss: a map that is 0 everywhere ranks as chance does.) A class that is NaN is left out
of a macro average.
"""

from minenet.metrics.bootstrap import Interval, by_block, interval
from minenet.metrics.calibration import Reliability, ece, mce, reliability
from minenet.metrics.counting import BINS, Counts, counts, edges, histogram
from minenet.metrics.curves import (
    Curve,
    Filtered,
    auroc,
    auroc_bounds,
    average_precision,
    average_precision_bounds,
    best_threshold,
    confidence_filter,
    curve,
)
from minenet.metrics.exclusive import (
    confusion,
    multiclass_kappa,
    multiclass_mcc,
    one_vs_rest,
)
from minenet.metrics.report import AT_THRESHOLD, summary
from minenet.metrics.scores import (
    accuracy,
    balanced_accuracy,
    dice,
    f1,
    f_beta,
    iou,
    kappa,
    mcc,
    mean,
    precision,
    recall,
    specificity,
)
from minenet.metrics.soft import brier, log_loss, soft_f1, soft_iou, soft_sums

__all__ = [
    "AT_THRESHOLD",
    "BINS",
    "Counts",
    "Curve",
    "Filtered",
    "Interval",
    "Reliability",
    "accuracy",
    "auroc",
    "auroc_bounds",
    "average_precision",
    "average_precision_bounds",
    "balanced_accuracy",
    "best_threshold",
    "brier",
    "by_block",
    "confidence_filter",
    "confusion",
    "counts",
    "curve",
    "dice",
    "ece",
    "edges",
    "f1",
    "f_beta",
    "histogram",
    "interval",
    "iou",
    "kappa",
    "log_loss",
    "mce",
    "mcc",
    "mean",
    "multiclass_kappa",
    "multiclass_mcc",
    "one_vs_rest",
    "precision",
    "recall",
    "reliability",
    "soft_f1",
    "soft_iou",
    "soft_sums",
    "specificity",
    "summary",
]
