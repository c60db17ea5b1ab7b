"""Masks that are painted: exact colours for classes, on the host.

`ops.palette` does the same within a compiled program and takes the nearest colour; here
a colour that nobody named is an error, because it is a class that was forgotten or a
mask that was compressed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from minenet.data import scenes
from minenet.data.formats import pictures
from minenet.data.formats.labelled import LabelledImage, OnError, distinct, each
from minenet.data.scenes import Paths, Scene
from minenet.types import IGNORE, InputError

Palette = Sequence[Sequence[int]]
"""The colour of each class, all of as many channels, 1 to 4 of 0 to 255."""

DEFORESTATION: Palette = ((11,), (226,), (51,))
"""Forest, deforestation and other of Vorotyntsev et al. 2021, by the red alone."""


def to_classes(
    colors: np.ndarray, palette: Palette, *, ignore: Palette = (), name: str = "mask"
) -> np.ndarray:
    """Returns the class ids `[H, W]` uint8 of a painted mask.

    Args:
        colors: `[H, W, C]` uint8. Channels beyond the palette's are not looked at.
        palette: of the classes.
        ignore: further colours, of pixels that do not count.
        name: of the mask, for errors.

    Raises:
        InputError: a colour of neither, told with the number of its pixels; too few
            channels; a palette that is uneven or names a colour twice.
    """
    table = _codes([*palette, *ignore])
    channels = len(palette[0])
    if colors.dtype != np.uint8 or colors.shape[-1] < channels:
        raise InputError(
            f"{name}: {colors.shape[-1]} channels of {colors.dtype}, expected uint8 "
            f"and at least the palette's {channels}"
        )
    codes = _coded(colors[..., :channels])
    ids = np.full(codes.shape, IGNORE, np.uint8)
    known = np.zeros(codes.shape, bool)
    for i, code in enumerate(table):
        here = codes == code
        known |= here
        if i < len(palette):
            ids[here] = i
    if not known.all():
        strange, first, counts = np.unique(
            codes[~known], return_index=True, return_counts=True
        )
        found = colors[~known][first, :channels].tolist()
        most = np.argsort(-counts, kind="stable")[:5]
        told = ", ".join(f"{tuple(found[i])} in {counts[i]} pixels" for i in most)
        raise InputError(
            f"{name}: {len(strange)} colours without a class: {told}; name them in the "
            "palette or in ignore, and give masks that were not compressed as JPEG"
        )
    return ids


def to_colors(
    labels: np.ndarray, palette: Palette, *, ignore: Palette = (), name: str = "mask"
) -> np.ndarray:
    """Returns the painted mask `[H, W, C]` uint8 of class ids `[H, W]`.

    Args:
        labels: ids; 255 takes the first colour of `ignore`.
        palette: of the classes.
        ignore: colours of pixels that do not count.
        name: of the mask, for errors.

    Raises:
        InputError: an id without a colour; a palette as in `to_classes`.
    """
    _codes([*palette, *ignore])
    painted = dict(enumerate(palette)) | ({IGNORE: ignore[0]} if len(ignore) else {})
    unpainted = np.setdiff1d(labels, list(painted))
    if unpainted.size:
        raise InputError(
            f"{name}: ids {', '.join(map(str, unpainted[:8]))} without a colour; the "
            f"palette has {len(palette)}, and {IGNORE} takes that of ignore"
        )
    table = np.zeros((IGNORE + 1, len(palette[0])), np.uint8)
    for i, color in painted.items():
        table[i] = color
    return table[labels]


def read(
    images: Paths | Sequence[Paths],
    masks: Paths,
    palette: Palette,
    *,
    ignore: Palette = (),
    on_error: OnError = None,
) -> Iterator[LabelledImage]:
    """Yields the pictures of a folder with their painted masks.

    Args:
        images: a folder, a glob or a file.
        masks: likewise, found by name; the colours of a mask with a colour table are
            those of the table.
        palette: colour of each class.
        ignore: colours of pixels that do not count.
        on_error: see `labelled.OnError`.

    Raises:
        InputError: as `to_classes`; a file that cannot be read, or has no partner.
    """
    (stack,) = scenes.stacks(images)
    found = scenes.discover(
        [stack], masks=scenes.find(masks, key="masks"), lonely=on_error
    )

    def load(scene: Scene) -> LabelledImage:
        info, image, valid = pictures.read(scene.images[0])
        colors = pictures.colors(scene.label)
        return LabelledImage(
            name=scene.name,
            image=image,
            labels=to_classes(colors, palette, ignore=ignore, name=scene.label),
            valid=valid,
            crs=info.crs,
            affine=info.affine,
            bands=info.bands if info.described else None,
        )

    yield from each({scene.name: scene for scene in found}, load, on_error)


def write(
    samples: Iterable[LabelledImage],
    masks: str | os.PathLike[str],
    palette: Palette,
    *,
    ignore: Palette = (),
) -> int:
    """Writes the painted masks of samples as `<name>.png`, and returns how many.

    Raises:
        InputError: as `to_colors`; labels of overlapping classes; the disk.
    """
    count = 0
    for sample in distinct(samples):
        path = Path(masks, f"{sample.name}.png")
        if sample.labels is None or sample.labels.ndim != 2:
            raise InputError(f"{sample.name}: one colour a pixel needs labels [H, W]")
        colors = to_colors(sample.labels, palette, ignore=ignore, name=str(path))
        pictures.write(path, colors)
        count += 1
    return count


def _codes(palette: Palette) -> np.ndarray:
    """Each colour as one number."""
    lengths = {len(color) for color in palette}
    whole = all(0 <= value <= 255 for color in palette for value in color)
    even = len(lengths) == 1 and lengths <= {1, 2, 3, 4}
    if not (whole and even and len(palette) <= IGNORE):
        raise InputError(
            f"palette={tuple(palette)}: must be 1 to {IGNORE} colours of as many "
            "channels each, 1 to 4 of 0 to 255"
        )
    codes = _coded(np.asarray(palette, np.uint8))
    if len(np.unique(codes)) < len(codes):
        raise InputError(f"palette={tuple(palette)}: names a colour twice")
    return codes


def _coded(colors: np.ndarray) -> np.ndarray:
    return sum(
        colors[..., i].astype(np.uint32) << np.uint32(8 * i)
        for i in range(colors.shape[-1])
    )
