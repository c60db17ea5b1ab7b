"""Masked losses on logits, each a pure function to one scalar.

`logits [B, H, W, K]`, `target [B, H, W, K]` in 0..1, `weight [B, H, W]` of at least 0,
None for 1 each. A pixel of weight 0 is as good as not there: whatever its logits and
target hold, NaN included, it changes neither the value nor a gradient; a batch of
nothing else gives 0. All is computed in float32. The scalar is the mean by weight over
the batch, also one that is sharded; `reduction="none"` gives the value of each pixel,
or sample, that it is the mean of.

Where classes may overlap or exclude each other, `activation` ("sigmoid" or "softmax")
says which; nothing guesses it from values.
"""

from minenet.losses.distance import (
    boundary,
    distance_error,
    hausdorff_dt,
    signed_distance,
)
from minenet.losses.entropy import bce, cross_entropy, focal
from minenet.losses.lovasz import lovasz
from minenet.losses.overlap import (
    dice,
    generalised_dice,
    jaccard,
    jaccard_distance,
    log_cosh_dice,
    mcc,
)
from minenet.losses.registry import build, defaults, names
from minenet.losses.robust import bootstrapped, generalised_cross_entropy
from minenet.losses.skeleton import cldice
from minenet.losses.sums import (
    Loss,
    bce_dice,
    combine,
    deep_supervision,
    log_jaccard_bce,
)
from minenet.losses.tversky import focal_tversky, tversky, tversky_dice_hybrid
from minenet.losses.unified import unified_focal

__all__ = [
    "Loss",
    "bce",
    "bce_dice",
    "bootstrapped",
    "boundary",
    "build",
    "cldice",
    "combine",
    "cross_entropy",
    "deep_supervision",
    "defaults",
    "dice",
    "distance_error",
    "focal",
    "focal_tversky",
    "generalised_cross_entropy",
    "generalised_dice",
    "hausdorff_dt",
    "jaccard",
    "jaccard_distance",
    "log_cosh_dice",
    "log_jaccard_bce",
    "lovasz",
    "mcc",
    "names",
    "signed_distance",
    "tversky",
    "tversky_dice_hybrid",
    "unified_focal",
]
