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
from minenet.geo.bands import Stack
from minenet.geo.grids import Rule
from minenet.geo.raster import RasterInfo
from minenet.ops import normalize
from minenet.ops.normalize import Normalizer
from minenet.types import InputError, Task

FORMAT = 1
"""Of the folder; one that this code does not know is refused."""

FACTS, WEIGHTS = "bundle.json", "weights.safetensors"
AGAIN = "copy the bundle again, or train"


READING = ("scaled", "scales", "offsets", "nodata", "resampling")
"""What a contract takes over from the stack as it is."""


@dataclasses.dataclass(frozen=True)
class Contract:
    """Which bands a scene must have.

    Attributes:
        names: Of the model's bands, in its order.
        own: Their names in their rasters.
        images: For each the place of its image among a scene's.
        places: For each its place among that image's bands, from 0.
        counts: How many bands each image of a scene had.
        described: Whether `own` are names from the rasters, by which to find bands.
        scaled: Whether the raster's own scale and offset apply.
        scales: Of each channel beside that, see `bands.Stack`, and the next four.
        offsets: Of each channel.
        nodata: Of each channel.
        rule: `like`, `crs` and `pixel` of the grid, or None.
        resampling: Of each image.
    """

    names: tuple[str, ...]
    own: tuple[str, ...]
    images: tuple[int, ...]
    places: tuple[int, ...]
    counts: tuple[int, ...]
    described: bool
    scaled: bool
    scales: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    nodata: tuple[float | None, ...] = ()
    rule: tuple[int | None, str | None, float | None] | None = None
    resampling: tuple[str, ...] = ()


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
        threshold: At which a probability is a class; one for each class where they may
            overlap, from one number for all or None for 1/2; None for exclusive ones,
            where the highest wins.
        window: Side of the windows that it was trained on, in pixels.
        origin: How it was made, for people: version, step, seed, score.
    """

    model: dict[str, Any]
    variables: dict[str, Any]
    task: Task
    classes: tuple[str, ...]
    contract: Contract
    normalizer: Normalizer
    threshold: float | tuple[float, ...] | None
    window: int
    origin: dict[str, Any]

    def __post_init__(self):
        if self.task == "multilabel":
            each = 0.5 if self.threshold is None else self.threshold
            each = tuple(np.broadcast_to(each, self.num_classes).tolist())
            object.__setattr__(self, "threshold", each)

    @property
    def num_classes(self) -> int:
        """`K`."""
        return len(self.classes)


def contract(stack: Stack, infos: Sequence[RasterInfo]) -> Contract:
    """Returns the contract of a stack of bands, read from scenes like `infos`."""
    places = tuple(
        (info.bands if isinstance(band, str) else info.numbers).index(band)
        for info, band in ((infos[image], band) for image, band in stack.picks)
    )
    images = tuple(image for image, _ in stack.picks)
    return Contract(
        names=tuple(stack.names),
        own=tuple(infos[i].bands[k] for i, k in zip(images, places, strict=True)),
        images=images,
        places=places,
        counts=_counts(infos),
        described=all(info.described for info in infos),
        rule=None if stack.rule is None else tuple(stack.rule),
        **{key: getattr(stack, key) for key in READING},
    )


def stack(contract: Contract, infos: Sequence[RasterInfo | None]) -> Stack:
    """Returns how to read the contract's bands from the images of a scene.

    By name where the model and the scene both have names, else by place. The scene may
    lack images, None, but not all.

    Raises:
        InputError: A band is missing, or places cannot tell which is which.
    """
    places: Sequence[int] = contract.places
    present = [info for info in infos if info is not None]
    if not present or len(infos) != len(contract.counts):
        counts = _counts(present)
        raise _unlike(present, counts, contract)
    counts = tuple(
        count if info is None else len(info.bands)
        for info, count in zip(infos, contract.counts, strict=True)
    )
    by_name = contract.described and all(info.described for info in present)
    alone = len(infos) == 1 and contract.described and counts[0] == len(contract.names)
    if not (by_name or counts == contract.counts or alone):
        raise _unlike(present, counts, contract)
    if by_name:
        for image, name in zip(contract.images, contract.own, strict=True):
            info = infos[image]
            if info is not None and name not in info.bands:
                raise _missing(name, info, contract)
        picks: Sequence[str | int] = contract.own
    else:
        if counts != contract.counts:  # the model's bands alone, without their names
            places = range(len(contract.names))
        picks = [
            k + 1 if infos[i] is None else infos[i].numbers[k]
            for i, k in zip(contract.images, places, strict=True)
        ]
    return Stack(
        names=contract.names,
        picks=tuple(zip(contract.images, picks, strict=True)),
        described=by_name,
        rule=None if contract.rule is None else Rule(*contract.rule),
        **{key: getattr(contract, key) for key in READING},
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
        "origin": {"version": minenet.__version__, **bundle.origin},
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


def _missing(name: str, info: RasterInfo, contract: Contract) -> InputError:
    near = difflib.get_close_matches(name, info.bands, n=1)
    hint = f" (is it {near[0]}?)" if near else ""
    return InputError(
        f"{info.path}: no band {name}{hint}; the model takes "
        f"{', '.join(contract.names)}, the scene has {', '.join(info.bands)}"
    )


def _unlike(present, counts, contract: Contract) -> InputError:
    return InputError(
        f"{present[0].path if present else 'no image'}: {_sum(counts)} bands, but the "
        f"model was trained on {_sum(contract.counts)} ({', '.join(contract.names)}); "
        "give a scene with these"
    )


def _counts(infos: Sequence[RasterInfo]) -> tuple[int, ...]:
    return tuple(len(info.bands) for info in infos)


def _sum(counts: Sequence[int]) -> str:
    return " + ".join(map(str, counts))
