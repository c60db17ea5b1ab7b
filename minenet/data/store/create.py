"""A store's metadata and index, written before any chip."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os

import numpy as np
import pandas as pd

from minenet import files
from minenet.data import prepared as prepared_
from minenet.data.prepared import Prepared
from minenet.data.split import splits
from minenet.data.store import location, tables, tiles
from minenet.data.store.layout import DTYPES, Codec, Layout
from minenet.data.store.read import Store
from minenet.geo import raster
from minenet.types import InputError

FORMAT = 1


def create(
    url: str | os.PathLike[str],
    prepared: Prepared,
    *,
    dtype: str | None = "float32",
    codec: Codec = "none",
    size: int | None = None,
    chunk: int | None = None,
    shard: int | None = None,
) -> Store:
    """Returns the store of prepared data, its index written, or finds it so.

    Args:
        url: a folder, or what TensorStore can open, such as `gs://bucket/name`.
        prepared: windows of scenes; the chips that they touch are stored.
        dtype: of images, see `layout.DTYPES`. float32 is the fastest to read; None is
            the rasters' own where it is one of these and the same for all.
        codec: "none", "zstd" or "blosc".
        size: side of a chip in pixels; the windows' if None.
        chunk: side of the squares that a chip is read in; half of `size` if None.
        shard: chips in a file; about 32 MiB of them if None.

    Raises:
        InputError: options that cannot be; a store of other data or options; no space.
    """
    url, size = location.absolute(url), size or prepared.chip_size
    index, found = tiles.needed(prepared.scenes, prepared.index, size=size)
    year = [prepared.scenes[i].year or tables.NONE for i in index.scene]
    index = index.assign(year=np.array(year, np.int32))
    layout = Layout(
        chips=len(index),
        size=size,
        bands=prepared.bands,
        dtype=dtype or _dtype(prepared),
        codec=codec,
        chunk=chunk or 0,
        shard=shard or 0,
        planes=len(prepared.classes) if prepared.task == "multilabel" else 0,
    )
    names = {
        "scene": [scene.name for scene in prepared.scenes],
        "cluster": sorted({scene.group for scene in prepared.scenes}),
        "split": list(splits.NAMES),
    }
    index["cluster"] = tables.encode(
        [prepared.scenes[i].group for i in index.scene], names["cluster"]
    )
    index["split"] = tables.encode(found, names["split"])
    windows = prepared.index.rename(columns={"group": "cluster"})
    for name in windows.columns.difference(list(names)):
        if not pd.api.types.is_numeric_dtype(windows[name]):
            names[name] = sorted(set(windows[name]))
    windows = windows.assign(
        **{name: tables.encode(windows[name], each) for name, each in names.items()}
    )
    told = {**prepared_.facts(prepared), "statistics": prepared.statistics}
    facts = {
        "format": FORMAT,
        "layout": dataclasses.asdict(layout),
        "prepared": told,
        "names": names,
        "columns": {"chips": list(index), "windows": list(windows)},
    }
    facts = files.as_json(facts)
    facts["digest"] = _digest(facts, index, windows)
    root = location.read_json(url, "zarr.json")
    if root is not None:
        _check_same(url, root, facts)
        return Store(url)
    try:
        _write(url, layout, index, windows, facts)
    except (ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise location.unwritable(url, error) from error
    return Store(url)


def _write(url: str, layout: Layout, index, windows, facts) -> None:
    """The group's own metadata is last: where it is, the rest is there."""
    import tensorstore

    for name, metadata in layout.arrays().items():
        kvstore = location.spec(url, name)
        spec = {"driver": "zarr3", "kvstore": kvstore, "metadata": metadata}
        tensorstore.open(spec, create=True, delete_existing=True).result()
    tables.write(url, index)
    tables.write(url, windows, group="windows", dimension="window")
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    location.write_json(url, "windows/zarr.json", group)
    location.write_json(url, "zarr.json", {**group, "attributes": {"minenet": facts}})


def _dtype(prepared: Prepared) -> str:
    """What holds the values of all rasters, as they are read, and no more."""
    aligned = any(scene.aligned for scene in prepared.scenes)
    if prepared.scaled or aligned:
        return "float32"
    used = {image for image, _ in prepared.stack.picks}
    found = {
        raster.info(scene.images[image]).dtype.name
        for scene in prepared.scenes
        for image in used
        if scene.images[image] is not None
    }
    return found.pop() if len(found) == 1 and found < {*DTYPES} else "float32"


def _digest(facts, *frames: pd.DataFrame) -> str:
    """Tells one store from another, wherever the labels lay that it was filled from."""
    scenes = [scene | {"label": None} for scene in facts["prepared"]["scenes"]]
    prepared = facts["prepared"] | {"scenes": scenes}
    text = json.dumps(facts | {"prepared": prepared}, sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for frame in frames:
        for name, column in frame.items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(column.to_numpy(np.float64)))
    return digest.hexdigest()


def _check_same(url: str, root, facts) -> None:
    there = root.get("attributes", {}).get("minenet")
    if there is None:
        raise InputError(f"{url}: holds another Zarr group; choose another store")
    if there.get("digest") == facts["digest"]:
        return
    differing = sorted(
        key
        for key in {*there, *facts}
        if json.dumps(there.get(key), sort_keys=True)
        != json.dumps(facts.get(key), sort_keys=True)
    )
    raise InputError(
        f"{url}: a store of other data or options ({', '.join(differing)} differ); "
        "choose another store, or delete this one"
    )
