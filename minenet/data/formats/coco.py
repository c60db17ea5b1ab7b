"""COCO JSON, as in the crowdAI Mapping Challenge: outlines of objects in pictures.

Objects become classes of pixels: where two overlap the pixel belongs to both, once. An
outline is a list of rings, which are all filled, or run lengths. A pixel belongs to a
ring that holds its centre, as everywhere here; pycocotools draws on a grid five times
as fine and differs along slanted edges.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
from affine import Affine

from minenet.data import pairing
from minenet.data.formats import coco_rle, pictures
from minenet.data.formats.labelled import LabelledImage, OnError, each
from minenet.geo import vector
from minenet.types import InputError, Task, UnreadableError


@dataclasses.dataclass(frozen=True)
class Annotations:
    """What a file says, looked up by picture.

    Attributes:
        source: path of the file.
        pictures: id → entry of `images`.
        objects: id of a picture → its annotations.
        categories: name → id.
    """

    source: str
    pictures: Mapping[int, dict]
    objects: Mapping[int, list[dict]]
    categories: Mapping[str, int]


def read(
    annotations: str | os.PathLike[str],
    images: str | os.PathLike[str],
    *,
    task: Task = "binary",
    classes: Sequence[str] | None = None,
    on_error: OnError = None,
) -> Iterator[LabelledImage]:
    """Yields the pictures of a file with their objects as labels.

    Args:
        annotations: JSON file.
        images: folder of its pictures.
        task: "binary" makes ids 0 and 1, "exclusive" 0 and 1, 2, … in the order of
            `classes`, of which a later one wins, "multilabel" a band for each class.
        classes: names of categories; all, in the order of their ids, if None.
        on_error: see `labelled.OnError`.

    Raises:
        UnreadableError: a file that is not there or is damaged.
        InputError: an id given twice; an annotation of no picture or category; a
            picture of another size; an outline that is none; a class that is no
            category.
    """
    if task not in ("binary", "exclusive", "multilabel"):
        raise ValueError(f"task={task!r}: must be binary, exclusive or multilabel")
    known = load(annotations)
    names = list(known.categories) if classes is None else list(classes)
    if unknown := [name for name in names if name not in known.categories]:
        raise InputError(
            f"classes: {', '.join(unknown)} not in {known.source}; it has "
            f"{', '.join(known.categories)}"
        )
    ids = [known.categories[name] for name in names]
    paths = {i: str(Path(images, p["file_name"])) for i, p in known.pictures.items()}
    named = dict(zip(pairing.names(list(paths.values())), paths, strict=True))

    def sample(item: tuple[str, int]) -> LabelledImage:
        name, i = item
        path = paths[i]
        if not os.path.isfile(path):
            raise UnreadableError(
                f"{known.source}: the picture of id {i} is not there: {path}; check "
                "the folder of images"
            )
        info, image, valid = pictures.read(path)
        entry, size = known.pictures[i], (info.height, info.width)
        if (entry.get("height"), entry.get("width")) not in (size, (None, None)):
            raise InputError(
                f"{path}: {size[0]} x {size[1]} pixels, but {known.source} says "
                f"{entry.get('height')} x {entry.get('width')}"
            )
        masks = np.stack([_drawn(known, i, c, size) for c in ids], axis=-1)
        if task == "binary":
            masks = masks.any(-1).astype(np.uint8)
        elif task == "exclusive":
            order = np.arange(1, len(ids) + 1, dtype=np.uint8)
            masks = (masks * order).max(-1)
        return LabelledImage(name, image, masks, valid, info.crs, info.affine)

    yield from each({name: (name, i) for name, i in named.items()}, sample, on_error)


def load(path: str | os.PathLike[str]) -> Annotations:
    """Returns what a file says, its references checked.

    Raises:
        InputError: see `read`.
    """
    name = os.fspath(path)
    try:
        value = json.loads(Path(path).read_bytes())
        objects: dict[int, list[dict]] = {
            i: [] for i in _distinct(value["images"], name, "images")
        }
        _distinct(value["annotations"], name, "annotations")
        categories = _distinct(value["categories"], name, "categories")
        for entry in value["annotations"]:
            for key, among in (("image_id", objects), ("category_id", categories)):
                if entry[key] not in among:
                    raise InputError(
                        f"{name}: annotation {entry['id']} has {key} {entry[key]!r}, "
                        "which is not there"
                    )
            objects[entry["image_id"]].append(entry)
        return Annotations(
            source=name,
            pictures={entry["id"]: entry for entry in value["images"]},
            objects=objects,
            categories={categories[i]["name"]: i for i in sorted(categories)},
        )
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableError(f"{name}: not a JSON file ({error}); check it") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{name}: not COCO's JSON ({type(error).__name__} {error}); expected the "
            "lists images, annotations and categories, each entry with an id"
        ) from error


def _distinct(entries: list[dict], name: str, what: str) -> dict[int, dict]:
    found: dict[int, dict] = {}
    for entry in entries:
        if entry["id"] in found:
            raise InputError(f"{name}: two {what} have the id {entry['id']!r}")
        found[entry["id"]] = entry
    return found


def _drawn(
    known: Annotations, image_id: int, category_id: int, size: tuple[int, int]
) -> np.ndarray:
    """The union `[H, W]` of a picture's objects of a category."""
    mask, rings = np.zeros(size, np.uint8), []
    for entry in known.objects[image_id]:
        if entry["category_id"] != category_id:
            continue
        where = f"{known.source}: annotation {entry['id']}"
        outline = entry.get("segmentation")
        if isinstance(outline, dict):
            if outline.get("size") != list(size):
                raise InputError(
                    f"{where}: run lengths of {outline.get('size')}, but a picture of "
                    f"{list(size)}"
                )
            counts = outline.get("counts")
            if not isinstance(counts, list | str):
                raise InputError(f"{where}: no counts in its run lengths")
            mask |= coco_rle.decode(counts, *size, name=where)
        else:
            rings += _rings(outline, where)
    if rings:
        mask |= vector.rasterize(
            geopandas.GeoDataFrame(geometry=rings),
            crs=None,
            affine=Affine.identity(),
            height=size[0],
            width=size[1],
        )
    return mask


def _rings(outline: Any, where: str) -> list[shapely.Polygon]:
    """The rings that have an area; two points, as tools leave them, have none."""
    rings = []
    for ring in outline if isinstance(outline, list) else [None]:
        try:
            points = np.asarray(ring, float).reshape(-1, 2)
        except (TypeError, ValueError):
            points = np.full((1, 2), np.nan)
        if not np.isfinite(points).all():
            raise InputError(
                f"{where}: its segmentation must be lists of finite x, y, x, y, …, or "
                "run lengths"
            )
        if len(points) > 2:
            rings.append(shapely.Polygon(points))
    return rings
