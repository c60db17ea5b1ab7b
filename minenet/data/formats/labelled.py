"""A picture and what is known of its pixels: what every format reads and writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from minenet.types import InputError, UnreadableError

T = TypeVar("T")

NOWHERE = Affine.identity()
"""The affine of a picture that has no place on the ground."""

OnError = Callable[[str, UnreadableError], None] | None
"""What is called with the name of a sample that cannot be read, which is then left out;
None raises. What can be read and does not fit, such as a value without a class, is
raised in any case: it is a matter of options, and the next sample will have it too."""


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledImage:
    """A picture with its labels, both on one grid.

    Attributes:
        name: unique in its collection, and fit to name a file.
        image: `[H, W, C]` in the values of its source; a float is NaN where a band has
            no valid value.
        labels: class ids `[H, W]` uint8, 255 where nothing is known, or `[H, W, K]` of
            0 and 1 where classes overlap; None where nobody labelled it.
        valid: `[H, W]` bool, whether any band has a value; None where all have.
        crs: or None, as in a plain picture.
        affine: pixel (col, row) → CRS (x, y); the identity where there is none.
        bands: names, or None where the source has none.

    Raises:
        InputError: shapes or types that do not go together.
    """

    name: str
    image: np.ndarray
    labels: np.ndarray | None = None
    valid: np.ndarray | None = None
    crs: CRS | None = None
    affine: Affine = NOWHERE
    bands: tuple[str, ...] | None = None

    def __post_init__(self):
        if not self.name or self.name.startswith(".") or set(self.name) & set("/\\\0"):
            raise InputError(f"name={self.name!r}: must be fit to name a file")
        if self.image.ndim != 3 or self.image.dtype.kind not in "biuf":
            raise InputError(
                f"{self.name}: image must be numbers [H, W, C], got {self.image.dtype} "
                f"{self.image.shape}"
            )
        size = self.image.shape[:2]
        if self.labels is not None:
            if self.labels.dtype != np.uint8 or self.labels.ndim not in (2, 3):
                raise InputError(
                    f"{self.name}: labels must be uint8 [H, W] or [H, W, K], got "
                    f"{self.labels.dtype} {self.labels.shape}"
                )
            self._same(size, labels=self.labels)
        if self.valid is not None:
            self._same(size, valid=self.valid)
        if self.bands is not None and len(self.bands) != self.image.shape[-1]:
            raise InputError(
                f"{self.name}: {len(self.bands)} names of {self.image.shape[-1]} bands"
            )

    def _same(self, size: tuple[int, int], **arrays: np.ndarray) -> None:
        for what, array in arrays.items():
            if array.shape[:2] != size:
                raise InputError(
                    f"{self.name}: {what} of {array.shape[0]} x {array.shape[1]} "
                    f"pixels, but an image of {size[0]} x {size[1]}"
                )


def each(
    items: Mapping[str, T], load: Callable[[T], LabelledImage], on_error: OnError
) -> Iterator[LabelledImage]:
    """Yields `load` of each item; `on_error` hears of those that cannot be read."""
    for name, item in items.items():
        try:
            sample = load(item)
        except UnreadableError as error:
            if on_error is None:
                raise
            on_error(name, error)
        else:
            yield sample


def distinct(samples: Iterable[LabelledImage]) -> Iterator[LabelledImage]:
    """Yields the samples, on whose names files depend.

    Raises:
        InputError: two have one name.
    """
    seen: set[str] = set()
    for sample in samples:
        if sample.name in seen:
            raise InputError(
                f"{sample.name}: two samples of this name; one file would replace the "
                "other"
            )
        seen.add(sample.name)
        yield sample
