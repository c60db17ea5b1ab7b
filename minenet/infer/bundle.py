"""The bundle: a folder with all that is needed to map a scene.

`bundle.json` holds the architecture, the bands, the normalisation, the classes and the
threshold; `weights.safetensors` the variables, by their paths.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

import minenet
from minenet import files
from minenet.data import bands as bands_
from minenet.data.bands import Stack
from minenet.geo.raster import RasterInfo
from minenet.ops import normalize
from minenet.ops.normalize import Normalizer
from minenet.types import InputError, Task

FORMAT = 1
FACTS, WEIGHTS = "bundle.json", "weights.safetensors"
AGAIN = "copy the bundle again, or train"


@dataclasses.dataclass(frozen=True)
class Contract:
    """Which bands a scene must have.

    Attributes:
        names: Of the bands, in the model's order.
        described: Whether the names came from the rasters.
        numbers: Their 1-based numbers, counted through all images of a scene.
        counts: How many bands each image of a scene had.
        scaled: Whether the raster's own scale and offset apply.
    """

    names: tuple[str, ...]
    described: bool
    numbers: tuple[int, ...]
    counts: tuple[int, ...]
    scaled: bool


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A trained model.

    Attributes:
        model: `name` and options, as `models.build` takes them.
        variables: The model's variables, on the host.
        task: What `K` means.
        classes: Names; of an exclusive task the first is the background.
        contract: The bands that it takes.
        normalizer: Of the image.
        threshold: At which a probability is a class; None for exclusive classes, where
            the highest wins.
        window: Side of the windows that it was trained on, in pixels.
        origin: How it was made, for people: version, step, seed, score.
    """

    model: dict[str, Any]
    variables: dict[str, Any]
    task: Task
    classes: tuple[str, ...]
    contract: Contract
    normalizer: Normalizer
    threshold: float | None
    window: int
    origin: dict[str, Any]

    @property
    def num_classes(self) -> int:
        """`K`."""
        return len(self.classes)


def contract(stack: Stack, infos: Sequence[RasterInfo]) -> Contract:
    """Returns the contract of a stack of bands, read from scenes like `infos`."""
    before = np.cumsum([0, *(len(info.bands) for info in infos)])
    numbers = []
    for image, band in stack.picks:
        known = infos[image].bands if isinstance(band, str) else infos[image].numbers
        numbers.append(int(before[image]) + known.index(band) + 1)
    return Contract(
        names=tuple(stack.names),
        described=stack.described,
        numbers=tuple(numbers),
        counts=tuple(len(info.bands) for info in infos),
        scaled=stack.scaled,
    )


def stack(contract: Contract, infos: Sequence[RasterInfo]) -> Stack:
    """Returns how to read the contract's bands from the images of a scene.

    By name where the model and the scene both have names, else by place.

    Raises:
        InputError: A band is missing, or places cannot tell which is which.
    """
    name, counts = infos[0].path, tuple(len(info.bands) for info in infos)
    words = [f"image_{i}" for i in range(1, len(infos) + 1)]
    if contract.described and len(infos) == 1 and infos[0].described:
        missing = [band for band in contract.names if band not in infos[0].bands]
        if missing:
            near = difflib.get_close_matches(missing[0], infos[0].bands, n=1)
            hint = f" (is it {near[0]}?)" if near else ""
            raise InputError(
                f"{name}: no band {', '.join(missing)}{hint}; the model takes "
                f"{', '.join(contract.names)}, the scene has "
                f"{', '.join(infos[0].bands)}"
            )
        chosen: Sequence[str | int] = contract.names
    elif contract.described and counts == (len(contract.names),):
        chosen = range(1, counts[0] + 1)
    elif counts == contract.counts:
        chosen = contract.numbers
    else:
        raise InputError(
            f"{name}: {_sum(counts)} bands, but the model was trained on "
            f"{_sum(contract.counts)} ({', '.join(contract.names)}); give a scene with "
            "these"
        )
    return bands_.select(
        [infos], labels=words, bands=list(chosen), scaled=contract.scaled
    )


def save(folder: Path, bundle: Bundle) -> None:
    """Writes a bundle; `bundle.json` appears last and knows its weights by hash."""
    flat = {
        "/".join(path): np.ascontiguousarray(value)
        for path, value in flatten_dict(bundle.variables).items()
    }
    weights = serialize(flat)
    facts = {
        field.name: getattr(bundle, field.name)
        for field in dataclasses.fields(bundle)
        if field.name != "variables"
    }
    facts |= {
        "origin": {"minenet": minenet.__version__, **bundle.origin},
        "contract": dataclasses.asdict(bundle.contract),
        "normalizer": normalize.to_dict(bundle.normalizer),
    }
    hash_ = hashlib.sha256(weights).hexdigest()
    with files.replacing(folder / WEIGHTS) as part:
        part.write_bytes(weights)
    files.write_json(
        folder / FACTS, {"format": FORMAT, **facts, "weights_sha256": hash_}
    )


def load(folder: Path) -> Bundle:
    """Returns the bundle of a folder.

    Raises:
        InputError: There is none, it is damaged, or of another format.
    """
    path = folder / FACTS
    if not path.is_file():
        raise InputError(
            f"{folder}: no bundle there; train first, or give the workdir of a run"
        )
    try:
        facts = files.read_json(path)
        if facts.pop("format") != FORMAT:
            raise InputError(
                f"{path}: not of format {FORMAT}, so of another minenet; use that one"
            )
        weights = (folder / WEIGHTS).read_bytes()
        if hashlib.sha256(weights).hexdigest() != facts.pop("weights_sha256"):
            raise InputError(f"{folder / WEIGHTS}: not the weights of {FACTS}; {AGAIN}")
        known = facts.pop("contract")
        return Bundle(
            **facts
            | {
                "classes": tuple(facts["classes"]),
                "normalizer": normalize.from_dict(facts["normalizer"]),
            },
            contract=Contract(
                **{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
            ),
            variables=unflatten_dict(
                {tuple(k.split("/")): v for k, v in deserialize(weights).items()}
            ),
        )
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(
            f"{folder}: a damaged bundle ({' '.join(str(error).split())}); {AGAIN}"
        ) from error


def _sum(counts: Sequence[int]) -> str:
    return " + ".join(map(str, counts))
