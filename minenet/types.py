"""The vocabulary that every floor shares.

Arrays are `[batch, height, width, channels]`; rows come before columns; `x, y` are
only ever coordinates of a CRS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

import numpy as np

if TYPE_CHECKING:
    import jax

    Array = jax.Array | np.ndarray

IGNORE = 255
"""The value of a label raster, and of a class map, at a pixel that does not count."""

Task = Literal["binary", "exclusive", "multilabel"]
"""What `K` means: one sigmoid, one softmax, or one sigmoid per class."""


class Sample(TypedDict):
    """One chip as the data source yields it, on the host.

    Attributes:
        image: `[H, W, C]` float32 in the raster's own units; NaN where a band has no
            valid value. `ops.normalize` turns NaN into 0, the mean.
        target: `[H, W, K]` float32, one-hot (or 0/1 for `K = 1`).
        weight: `[H, W]` float32, 0 where the pixel does not count.
        index: int32 scalar, the sample's place in the stream: with the seed it decides
            every random draw, whatever the number of workers, hosts or devices.
    """

    image: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    index: np.ndarray


class Batch(TypedDict):
    """Samples stacked along a new first axis, on the host or on the devices.

    Attributes:
        image: `[B, H, W, C]`.
        target: `[B, H, W, K]`.
        weight: `[B, H, W]`.
        index: `[B]`.
        present: `[B, C]`, 0 where a sample lacks a band; on the devices only.
    """

    image: Array
    target: Array
    weight: Array
    index: Array
    present: NotRequired[Array]


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the file or key, says what was expected and what
    to do; the launcher prints it alone, without a traceback.
    """


class UnreadableError(InputError):
    """A file is missing, cut short or damaged: the others may still be used."""
