"""A store gives back what the rasters hold, whoever wrote which shard and when."""

import dataclasses
import functools
import json
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minenet.data import pipeline, prepare, store, tasks
from minenet.data.quarantine import Quarantine
from minenet.data.source import ChipSource, Rasters
from minenet.data.store import layout as layout_
from minenet.data.store import location
from minenet.data.store.layout import Layout
from minenet.geo import raster
from minenet.geo.windows import Window
from minenet.types import InputError
from tests import tiles

SIZE = 32
threads = functools.partial(ThreadPoolExecutor, 2)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    data = tiles.folder(folder, count=5, size=80)
    # One scene with what is not valid: a corner of the image, and of one band alone.
    image = tiles.picture(80, 80, seed=1)
    image[:9, :40], image[50:, 60:, 1] = 0, 0
    place = {"transform": tiles.at(x_m=10_000), "nodata": 0}
    tiles.save(folder / "img/img_1.tif", image, **place)
    split = {"shares": (0.6, 0.2, 0.2)}
    return prepare.prepare(
        folder / "out", **data, split=split, chip_size=SIZE, stride=16
    )


def filled(url, prepared, **options):
    made = store.create(url, prepared, **{"shard": 4} | options)
    quarantine = made.url + ".jsonl"
    assert store.fill(made, quarantine=quarantine, executor=threads) == []
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory, prepared):
    return filled(tmp_path_factory.mktemp("store") / "chips", prepared)


def content(url):
    """Every file of a store, by its path."""
    return {
        str(path.relative_to(url)): path.read_bytes()
        for path in Path(url).rglob("*")
        if path.is_file()
    }


def equal(a, b):
    return a.keys() == b.keys() and all(
        np.array_equal(a[k], b[k], equal_nan=k == "image") for k in a
    )


@pytest.mark.parametrize("codec", ["none", "zstd", "blosc"])
@pytest.mark.parametrize("dtype", ["float32", None])
def test_windows_are_those_of_the_rasters(tmp_path, prepared, codec, dtype):
    made = filled(tmp_path / "s", prepared, codec=codec, dtype=dtype, size=24)
    assert made.layout.dtype == (dtype or "uint16") and made.layout.chunk == 12
    rasters, generator = Rasters(prepared), np.random.default_rng(0)
    for _ in range(20):
        scene, row, col = generator.integers((5, 81, 81))
        window = Window(int(row) - 8, int(col) - 8, SIZE, SIZE)
        expected, labels = rasters.read(int(scene), window)
        image, target = made.read(int(scene), window)
        np.testing.assert_array_equal(image, expected, strict=True)
        np.testing.assert_array_equal(target, labels, strict=True)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_batches_are_those_of_the_rasters(prepared, whole, split):
    direct = ChipSource(prepared, split=split)
    stored = store.StoreSource(whole, split=split)
    assert stored.places == direct.places and equal(stored.blank(), direct.blank())
    options = {"batch_size": 8, "seed": 3, "positive_share": 0.5}
    straight = pipeline.train(direct, **options)
    alone = pipeline.train(stored, **options)
    for step in (0, 1, 9):
        assert equal(alone[step], straight[step])
    evaluations = (pipeline.evaluation(s, batch_size=8) for s in (stored, direct))
    assert all(equal(a, b) for a, b in zip(*evaluations, strict=True))


def test_any_number_of_processes_sees_the_same_global_batch(prepared, whole):
    options = {"batch_size": 8, "seed": 5}
    alone = pipeline.train(ChipSource(prepared, split="train"), **options)
    stored = store.StoreSource(whole, split="train")
    for count in (1, 2, 4):
        parts = [
            pipeline.train(stored, **options, process_index=p, process_count=count)
            for p in range(count)
        ]
        for step in (0, 7):
            local = [part[step] for part in parts]
            joined = {k: np.concatenate([b[k] for b in local]) for k in local[0]}
            assert equal(joined, alone[step])


def _first_batch(source):
    return pipeline.train(source, batch_size=4, seed=1)[0]


def _send_first_batch(source, pipe):
    pipe.send(_first_batch(source))


# JAX, and Python from 3.12 on, warn of their own threads at a fork.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning")
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_workers_of_either_kind_read(whole, method):
    if method == "fork":
        pytest.importorskip("zarr", reason="reads where a fork has ended TensorStore")
    source = store.StoreSource(whole, split="train")
    expected = _first_batch(source)  # the parent has used it before
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=_send_first_batch, args=(source, there))
    process.start()
    assert here.poll(600)
    assert equal(here.recv(), expected)
    process.join()


def test_threads_share_a_store(whole):
    source = store.StoreSource(whole, split="train")
    expected = [source[i] for i in range(len(source))]
    fresh = pickle.loads(pickle.dumps(source))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fresh.__getitem__, range(len(source))))
    assert all(map(equal, found, expected))


def test_only_the_address_is_pickled(whole):
    whole.read(0, Window(0, 0, SIZE, SIZE))
    assert len(pickle.dumps(whole)) < 200 + len(whole.url)


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_order_of_writing_makes_the_same_bytes(
    tmp_path_factory, prepared, whole, seed
):
    url = tmp_path_factory.mktemp("order") / "chips"
    made = store.create(url, prepared, shard=4)
    write = store.ShardWriter(made, Quarantine(f"{url}.jsonl", strict=True))
    order = made.pending()
    generator = random.Random(seed)
    generator.shuffle(order)
    for shard in order + order[: generator.randrange(3)]:  # some twice
        write(shard)
    assert content(url) == content(whole.url)


WRITING = """
import os, resource, signal, sys
from minenet.data import prepare, store
from minenet.data.quarantine import Quarantine

def write(url, seconds):
    if not os.fork():
        signal.setitimer(signal.ITIMER_PROF, seconds)  # of all threads; ends at once
        made = store.create(url, prepare.load(sys.argv[1]), shard=4)
        work = store.ShardWriter(made, Quarantine(url + ".jsonl", strict=True))
        for shard in made.pending():
            work(shard)
        os._exit(0)
    _, status, usage = os.wait3(0)
    return status, usage.ru_utime + usage.ru_stime

_, spent = write(sys.argv[2] + ".unbroken", 0)
print(spent, flush=True)
for line in sys.stdin:
    status, _ = write(sys.argv[2], float(line))
    print(status, flush=True)
"""


def test_a_killed_writer_leaves_whole_shards_and_the_next_goes_on(
    tmp_path, prepared, whole
):
    url, generator, left = tmp_path / "chips", random.Random(0), []
    # Forked after the imports, which take the longest: a kill costs little.
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(prepared.out), str(url)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    expected = content(whole.url)
    spent, killed = float(process.stdout.readline()), 0
    assert content(f"{url}.unbroken") == expected
    moments = sorted(generator.uniform(0.2, 1) * spent for _ in range(12))
    for moment in [*moments, 0]:  # the last is not killed
        print(moment, file=process.stdin, flush=True)
        status = int(process.stdout.readline())
        there = content(url) if url.exists() else {}
        for name, value in expected.items():
            assert there.get(name, value) == value  # a file is whole or not there
        if "zarr.json" in there:
            left.append(len(store.Store(url).pending()))
        if status == 0:
            break
        assert status == signal.SIGPROF
        killed += 1
        if left and left[-1]:
            with pytest.raises(InputError, match=f"{left[-1]} of .* shards are missin"):
                store.StoreSource(store.Store(url), split="train")
    process.communicate()
    assert left == sorted(left, reverse=True) and left[-1] == 0 and killed
    assert content(url) == expected


class Dying(store.ShardWriter):
    """Kills its process while it does shards 1 and 3, the first time."""

    def __call__(self, shard):
        mark = Path(f"{self._url}.tried.{shard}")
        fatal = shard in (1, 3) and not mark.exists()
        if fatal:
            mark.touch()
            kill = (os.getpid(), signal.SIGKILL)
            threading.Timer(0.02, os.kill, kill).start()
        super().__call__(shard)
        if fatal:
            time.sleep(600)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [None, "local"])
def test_killed_workers_of_a_pool_or_cluster_lose_nothing(
    tmp_path, prepared, whole, monkeypatch, cluster
):
    if cluster:
        pytest.importorskip("distributed", reason="Dask's clusters")
    made = store.create(tmp_path / "chips", prepared, shard=4)
    monkeypatch.setattr("minenet.data.store.write.ShardWriter", Dying)
    with tasks.executors(workers=2, cluster=cluster) as executor:
        records = store.fill(made, quarantine=tmp_path / "q", executor=executor)
    assert records == [] and len(list(tmp_path.glob("*.tried.?"))) == 2
    assert content(made.url) == content(whole.url)


def test_a_killed_creator_leaves_no_store(tmp_path, prepared, whole):
    url = tmp_path / "chips"
    made = filled(url, prepared, codec="zstd")
    (url / "zarr.json").unlink()  # the last of what `create` writes
    with pytest.raises(InputError, match="no store of chips; run --mode=prepare"):
        _ = store.Store(url).layout
    made = store.create(url, prepared, shard=4)
    assert made.pending() == list(range(made.layout.shards))
    filled(url, prepared)
    assert content(url) == content(whole.url)


def test_the_index_tells_where_a_chip_lies(prepared, whole):
    rasters = Rasters(prepared)
    arrays = store.arrays.opened(whole.url, ["image"])
    index = whole.index
    assert len(index) == whole.layout.chips == arrays["image"].shape[0]
    for chip in range(0, len(index), 5):
        row = index.iloc[chip]
        assert (row.row, row.col) == (row.tile_iy * SIZE, row.tile_ix * SIZE)
        assert whole.lookup.find(row.scene, row.tile_ix, row.tile_iy) == chip
        scene = prepared.scenes[row.scene]
        assert row.cluster == scene.group and row.year == -1
        splits = set(prepared.index.split[prepared.index.scene == scene.name])
        assert {row.split} == splits
        window = Window(row.row, row.col, SIZE, SIZE)
        expected, _ = rasters.read(row.scene, window)
        stored = arrays["image"][chip].read().result()
        np.testing.assert_array_equal(stored, expected)


def test_what_was_prepared_comes_back(tmp_path, prepared, whole):
    sensor = np.where(prepared.index.row > 0, "s2", "landsat")
    told = dataclasses.replace(prepared, index=prepared.index.assign(sensor=sensor))
    index = store.create(tmp_path / "s", told).prepared.index
    assert index.sensor.tolist() == sensor.tolist()
    again = store.Store(whole.url).prepared
    assert again.scenes == prepared.scenes and again.stack == prepared.stack
    assert again.statistics == prepared.statistics and again.bands == prepared.bands
    index = again.index[list(prepared.index)]
    pd.testing.assert_frame_equal(index, prepared.index, check_dtype=False)


def test_chips_of_several_splits_have_none(prepared):
    index = prepared.index[prepared.index.scene == "img_0"].copy()
    index["split"] = np.where(index.col < 32, "train", "test")
    index["reach"] = 0
    found, splits = store.tiles.needed(prepared.scenes, index, size=SIZE)
    by_column = dict(zip(found.tile_ix, splits, strict=True))
    assert by_column == {0: "train", 1: "", 2: "test"}
    near = index[(index.row == 0) & (index.col == 0)].assign(reach=1)
    few, _ = store.tiles.needed(prepared.scenes, near, size=SIZE)
    assert few[["tile_iy", "tile_ix"]].values.tolist() == [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
    ]


def test_zarr_python_and_xarray_open_it(tmp_path, prepared):
    whole = filled(tmp_path / "chips", prepared, dtype="float32")
    zarr = pytest.importorskip("zarr", reason="the Zarr library of Python")
    group = zarr.open_group(whole.url, mode="r")
    assert set(group.array_keys()) == {
        "image",
        "target",
        *whole.facts["columns"]["chips"],
    }
    names = group.attrs["minenet"]["names"]
    chip = 7
    scene, row, col = (int(group[key][chip]) for key in ("scene", "row", "col"))
    assert names["scene"][scene] == prepared.scenes[scene].name
    expected, labels = Rasters(prepared).read(scene, Window(row, col, SIZE, SIZE))
    np.testing.assert_array_equal(group["image"][chip], expected)
    np.testing.assert_array_equal(group["target"][chip], labels)
    assert group["image"].metadata.dimension_names == ("chip", "y", "x", "band")
    xarray = pytest.importorskip("xarray", reason="named dimensions over Zarr")
    with xarray.open_zarr(whole.url, consolidated=False, mask_and_scale=False) as data:
        assert data.image.dims == ("chip", "y", "x", "band")
        assert data.sizes["chip"] == whole.layout.chips
        np.testing.assert_array_equal(data.image[chip].values, expected)
        np.testing.assert_array_equal(data.tile_ix, whole.index.tile_ix)


@pytest.mark.parametrize("codec", ["zstd", "blosc"])
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_zarr_python_reads_every_codec(tmp_path, prepared, codec, dtype):
    zarr = pytest.importorskip("zarr", reason="the Zarr library of Python")
    made = filled(tmp_path / "s", prepared, codec=codec, dtype=dtype)
    group = zarr.open_group(made.url, mode="r")
    valid = group["valid"][:] if dtype == "uint16" else None
    expected = [
        made.read(row.scene, Window(row.row, row.col, SIZE, SIZE))[0]
        for row in made.index.itertuples()
    ]
    found = layout_.decode(group["image"][:], valid)
    np.testing.assert_array_equal(found, expected)


def test_a_store_goes_on_only_with_what_it_was_made_of(tmp_path, prepared):
    first, *others = prepared.scenes
    dated = dataclasses.replace(first, year=2019)
    of_2019 = dataclasses.replace(prepared, scenes=(dated, *others))
    made = store.create(tmp_path / "s", of_2019)
    assert set(made.index.year[made.index.scene == 0]) == {2019}
    elsewhere = dataclasses.replace(dated, label="moved/img_0.tif")
    moved = dataclasses.replace(prepared, scenes=(elsewhere, *others))
    assert store.create(made.url, moved).pending()
    with pytest.raises(InputError, match=r"or options \(digest, prepared differ\)"):
        store.create(made.url, prepared)
    with pytest.raises(InputError, match=r"\(digest, layout differ\)"):
        store.create(made.url, of_2019, codec="zstd")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/zarr.json").write_text(json.dumps({"attributes": {}}))
    with pytest.raises(InputError, match="holds another Zarr group"):
        store.create(tmp_path / "other", prepared)


def test_gdal_reads_what_is_exported(tmp_path, whole, prepared):
    wanted = [0, 3, 20]
    paths = store.export(whole, tmp_path, wanted)
    assert len(paths) == 3 and len(store.export(whole, tmp_path)) == len(whole.index)
    for path, chip in zip(paths, wanted, strict=True):
        row = whole.index.iloc[chip]
        window = Window(row.row, row.col, SIZE, SIZE)
        image, target = whole.read(row.scene, window)
        np.testing.assert_array_equal(raster.read_float(path), image)
        label = path.parent.parent / "target" / path.name
        np.testing.assert_array_equal(raster.read(label)[0][..., 0], target)
        # In its place: what the scene has there, where the chip lies within it.
        scene, info = prepared.scenes[row.scene], raster.info(path)
        moved = ~scene.grid.affine @ info.affine
        assert (moved.c, moved.f) == (row.col, row.row) and info.crs == tiles.UTM


def test_a_corrupt_raster_costs_its_chips_and_is_named(tmp_path):
    data = tiles.folder(tmp_path, count=4, size=64)
    split = {"shares": (0.5, 0.25, 0.25)}
    made = prepare.prepare(tmp_path / "out", **data, split=split, chip_size=SIZE)
    path = tmp_path / "img/img_2.tif"
    url, quarantine = tmp_path / "chips", tmp_path / "data/quarantine.jsonl"
    created = store.create(url, made, shard=3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    from minenet.geo import handles

    handles.close()
    with pytest.raises(InputError, match="img_2"):
        store.fill(created, quarantine=quarantine, strict=True, executor=threads)
    assert not quarantine.exists()
    records = store.fill(created, quarantine=quarantine, executor=threads)
    assert {record["scene"] for record in records} == {"img_2"}
    assert all("img_2.tif" in record["reason"] for record in records)
    lines = quarantine.read_text().splitlines()
    assert [json.loads(line) for line in lines] == records
    blank = {(record["row"], record["col"]) for record in records}
    for row, col in ((r, c) for r in (0, 32) for c in (0, 32)):
        image, target = created.read(2, Window(row, col, SIZE, SIZE))
        assert ((row, col) in blank) == np.isnan(image).all() == (target == 255).all()


def test_only_the_address_tells_a_bucket_from_a_folder(tmp_path):
    assert location.spec("gs://mines/chips", "image") == {
        "driver": "gcs",
        "bucket": "mines",
        "path": "chips/image/",
    }
    here = location.absolute(tmp_path / "a" / "")
    spec = {"driver": "file", "path": f"{tmp_path}/a/image/"}
    assert location.spec(here, "image") == spec


def test_wrong_options_are_told(tmp_path, prepared):
    fit = {"chips": 4, "size": 8, "bands": ("a",)}
    with pytest.raises(InputError, match="store.dtype: 'int64', expected one of"):
        Layout(**fit, dtype="int64")
    with pytest.raises(InputError, match="store.codec: 'gzip', expected one of none"):
        Layout(**fit, codec="gzip")
    with pytest.raises(InputError, match="store.chunk: 3, expected a divisor"):
        Layout(**fit, chunk=3)
    with pytest.raises(InputError, match="store.shard: -1 chips"):
        Layout(**fit, shard=-1)
    for value in (300.0, 0.5, np.inf):
        image = np.full((2, 8, 8, 1), value, np.float32)
        with pytest.raises(InputError, match="uint8 does not hold every value"):
            Layout(**fit, dtype="uint8").encode(image)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/s: cannot be written"):
        store.create(tmp_path / "file/s", prepared)
    made = store.create(tmp_path / "s", prepared)
    near = prepared.index.iloc[:1].assign(reach=0)
    few, _ = store.tiles.needed(prepared.scenes, near, size=SIZE)
    lookup = store.tiles.Lookup(prepared.scenes, few, size=SIZE)
    with pytest.raises(ValueError, match="not in the store"):
        list(lookup.pieces(4, Window(0, 0, 8, 8)))
    assert made.read(0, Window(-SIZE, -SIZE, SIZE, SIZE))[1].min() == 255


@given(
    size=st.integers(1, 9),
    row=st.integers(-12, 30),
    col=st.integers(-12, 30),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
)
def test_pieces_of_a_window_cover_its_part_of_the_scene_once(
    prepared, size, row, col, height, width
):
    from minenet.data.scenes import Scene

    scene = Scene("a", ("a.tif",), None, "a", grid=tiles.grid(17, 23))
    rows, cols = -(-17 // size), -(-23 // size)
    y, x = (grid.ravel() for grid in np.mgrid[:rows, :cols])
    frame = {"scene": 0 * y, "tile_ix": x, "tile_iy": y}
    lookup = store.tiles.Lookup([scene], pd.DataFrame(frame), size=size)
    covered = np.zeros((rows * size, cols * size), int)
    window = Window(row, col, height, width)
    for chip, part in lookup.pieces(0, window):
        assert chip == part.row // size * cols + part.col // size
        covered[part.slices] += 1
    inside = np.zeros_like(covered)
    inside[max(0, row) : max(0, row + height), max(0, col) : max(0, col + width)] = 1
    np.testing.assert_array_equal(covered, inside)
