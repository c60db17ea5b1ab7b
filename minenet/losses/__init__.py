"""Masked losses on logits, each a pure function to one scalar.

`logits [B, H, W, K]`, `target [B, H, W, K]` in 0..1, `weight [B, H, W]` of at least 0.
A pixel of weight 0 is as good as not there: whatever its logits and target hold, NaN
included, it changes neither the value nor a gradient; a batch of nothing else gives 0.
All is computed in float32.
"""

from minenet.losses.entropy import binary_cross_entropy, cross_entropy
from minenet.losses.overlap import dice
from minenet.losses.registry import Loss, build, combine, names

__all__ = [
    "Loss",
    "binary_cross_entropy",
    "build",
    "combine",
    "cross_entropy",
    "dice",
    "names",
]
