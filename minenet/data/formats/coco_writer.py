"""COCO JSON out: an object for each patch of a class."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import shapely
from affine import Affine
from scipy import ndimage

from minenet.data.formats import coco_rle, pictures
from minenet.data.formats.labelled import LabelledImage, distinct
from minenet.files import write_json
from minenet.geo import vector
from minenet.types import IGNORE, InputError

Style = Literal["polygons", "runs", "compressed"]


def write(
    annotations: str | os.PathLike[str],
    samples: Iterable[LabelledImage],
    images: str | os.PathLike[str],
    *,
    classes: Sequence[str],
    style: Style = "polygons",
    suffix: str = ".png",
) -> int:
    """Writes samples as pictures and one JSON file, and returns how many objects.

    Args:
        annotations: path of the JSON file, written last.
        samples: of distinct names, labels `[H, W]` of 0 and 1, 2, …, or `[H, W, K]`.
        images: folder of the pictures.
        classes: names of the ids 1, 2, …, or of the K bands.
        style: "polygons" follows the pixels' edges, with run lengths where a patch has
            a hole, which rings cannot say; "runs" and "compressed" are run lengths.
        suffix: of the pictures.

    Raises:
        InputError: two samples of one name; an id without a name, or 255, which COCO
            does not know; what the pictures' format does not hold; the disk.
    """
    if style not in ("polygons", "runs", "compressed"):
        raise ValueError(f"style={style!r}: must be polygons, runs or compressed")
    entries, objects = [], []
    for sample in distinct(samples):
        name = f"{sample.name}{suffix}"
        pictures.write_image(Path(images, name), sample)
        height, width = sample.image.shape[:2]
        image_id = len(entries) + 1
        entries.append(
            {"id": image_id, "file_name": name, "height": height, "width": width}
        )
        for category_id, mask in _masks(sample, classes):
            for patch in _patches(mask):
                top_left, box = _box(patch)
                objects.append(
                    {
                        "id": len(objects) + 1,
                        "image_id": image_id,
                        "category_id": category_id,
                        "segmentation": _segmentation(patch, style),
                        "area": int(patch.sum()),
                        "bbox": [*top_left, *box],
                        "iscrowd": 0,
                    }
                )
    categories = [{"id": i, "name": n} for i, n in enumerate(classes, start=1)]
    write_json(
        annotations,
        {"images": entries, "annotations": objects, "categories": categories},
    )
    return len(objects)


def _masks(sample: LabelledImage, classes: Sequence[str]):
    """The id of each category, and where it is."""
    labels = sample.labels
    if labels is None:
        return []
    if labels.ndim == 3:
        if labels.shape[-1] != len(classes):
            raise InputError(
                f"{sample.name}: {labels.shape[-1]} bands of labels, but "
                f"{len(classes)} classes: {', '.join(classes)}"
            )
        return [(i, labels[..., i - 1] != 0) for i in range(1, len(classes) + 1)]
    strange = np.setdiff1d(labels, range(len(classes) + 1))
    if strange.size:
        hint = "fill it first, COCO cannot say it" if IGNORE in strange else "name it"
        raise InputError(
            f"{sample.name}: label {strange[-1]} is none of 0 (background), "
            f"{', '.join(f'{i} {n}' for i, n in enumerate(classes, 1))}; {hint}"
        )
    return [(i, labels == i) for i in range(1, len(classes) + 1)]


def _patches(mask: np.ndarray):
    patches, count = ndimage.label(mask)
    return [patches == i for i in range(1, count + 1)]


def _box(patch: np.ndarray) -> tuple[list[int], list[int]]:
    rows, cols = (np.flatnonzero(patch.any(axis)) for axis in (1, 0))
    return (
        [int(cols[0]), int(rows[0])],
        [int(cols[-1] - cols[0] + 1), int(rows[-1] - rows[0] + 1)],
    )


def _segmentation(patch: np.ndarray, style: Style) -> list | dict:
    if style == "polygons":
        outline = vector.polygonize(
            patch.astype(np.uint8),
            affine=Affine.identity(),
            crs=None,
            class_names=["object"],
        ).geometry.iloc[0]
        if not outline.interiors:
            ring = shapely.get_coordinates(outline.exterior)[:-1]
            return [ring.astype(int).ravel().tolist()]
    counts = coco_rle.encode(patch)
    size = list(patch.shape)
    if style == "runs":
        return {"size": size, "counts": counts}
    return {"size": size, "counts": coco_rle.compress(counts)}
