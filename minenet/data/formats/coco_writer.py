"""COCO JSON out: an object for each patch of a class."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio.features
from scipy import ndimage

from minenet.data.formats import coco_rle, pictures
from minenet.data.formats.labelled import LabelledImage, distinct
from minenet.files import replacing
from minenet.types import IGNORE, InputError

Style = Literal["polygons", "runs", "compressed"]


def write(
    annotations: str | os.PathLike[str],
    samples: Iterable[LabelledImage],
    images: str | os.PathLike[str] | None,
    *,
    classes: Sequence[str],
    style: Style = "polygons",
    suffix: str = ".png",
) -> int:
    """Writes samples as pictures and one JSON file, and returns how many objects.

    Args:
        annotations: path of the JSON file, written last.
        samples: of distinct names, labels `[H, W]` of 0 and 1, 2, …, or `[H, W, K]`.
        images: folder of the pictures, not written if None.
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
        if images is not None:
            pictures.write_image(Path(images, name), sample)
        height, width = sample.image.shape[:2]
        image_id = len(entries) + 1
        entries.append(
            {"id": image_id, "file_name": name, "height": height, "width": width}
        )
        for category_id, mask in _masks(sample, classes):
            for segmentation, area, box in _patches(mask, style):
                objects.append(
                    {
                        "id": len(objects) + 1,
                        "image_id": image_id,
                        "category_id": category_id,
                        "segmentation": segmentation,
                        "area": area,
                        "bbox": box,
                        "iscrowd": 0,
                    }
                )
    categories = [{"id": i, "name": n} for i, n in enumerate(classes, start=1)]
    value = {"images": entries, "annotations": objects, "categories": categories}
    with replacing(annotations) as part:
        part.write_text(json.dumps(value))
    return len(objects)


def _masks(
    sample: LabelledImage, classes: Sequence[str]
) -> list[tuple[int, np.ndarray]]:
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


def _patches(
    mask: np.ndarray, style: Style
) -> Iterator[tuple[list | dict, int, list[int]]]:
    """Segmentation, area in pixels and x, y, width, height of each patch."""
    patches, count = ndimage.label(mask, output=np.int32)
    areas = np.bincount(patches.ravel(), minlength=count + 1).tolist()
    rings = _rings(patches) if style == "polygons" else {}
    for i, (rows, cols) in enumerate(ndimage.find_objects(patches), start=1):
        box = [cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start]
        segmentation = rings.get(i)
        if segmentation is None:
            patch = np.zeros(mask.shape, bool)
            patch[rows, cols] = patches[rows, cols] == i
            counts = coco_rle.encode(patch)
            text = counts if style == "runs" else coco_rle.compress(counts)
            segmentation = {"size": list(mask.shape), "counts": text}
        yield segmentation, areas[i], box


def _rings(patches: np.ndarray) -> dict[int, list[list[int]]]:
    """The outline of each patch along its pixels' edges, if it has no hole."""
    found = rasterio.features.shapes(patches, mask=patches > 0, connectivity=4)
    return {
        int(i): [
            [int(value) for point in shape["coordinates"][0][:-1] for value in point]
        ]
        for shape, i in found
        if len(shape["coordinates"]) == 1
    }
