"""Weights with which overlapping windows add up to one map.

Windows lie on one stride without end, so the weights of all windows that share a pixel
depend only on the pixel's place within the stride. Divided by their sum once, they are
a partition of unity: adding up weighted windows is the weighted mean, and nothing is
divided per scene.
"""

from __future__ import annotations

import numpy as np

SIGMA = 0.125
"""Of the Gaussian, in sides of a window: far from a border counts most."""

FLOOR = 1e-3
"""The least weight of a pixel, of the largest: without overlap corners count too."""


def profile(size: int, stride: int) -> np.ndarray:
    """Returns the weight of each row (or column) of a window, `[size]` float32.

    The weights of a window are the outer product of two profiles.

    Args:
        size: Side of the window.
        stride: Distance of windows, at most `size`.

    >>> w = profile(8, 4)
    >>> bool(np.allclose(w[:4] + w[4:], 1))
    True
    """
    at = (np.arange(size) + 0.5) / size - 0.5
    gauss = np.maximum(np.exp(-0.5 * (at / SIGMA) ** 2), FLOOR)
    total = np.zeros(stride)
    np.add.at(total, np.arange(size) % stride, gauss)
    return (gauss / total[np.arange(size) % stride]).astype(np.float32)


def reflect(index: np.ndarray, length: int) -> np.ndarray:
    """Returns indices mirrored at the centres of the first and last pixel.

    >>> reflect(np.arange(-2, 6), 4).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    if length == 1:
        return np.zeros_like(index)
    index = np.mod(index, 2 * (length - 1))
    return np.minimum(index, 2 * (length - 1) - index)
