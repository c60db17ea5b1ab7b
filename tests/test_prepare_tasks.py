"""Scenes are tasks: whatever breaks, dies or is done in parallel, the result is one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from minenet import files
from minenet.data import prepare, tasks
from minenet.data.store import Store
from minenet.types import InputError, UnreadableError
from tests import tiles

OPTIONS = {"chip_size": 32, "stride": 16}
ROOT = Path(__file__).parent.parent


@pytest.fixture
def data(tmp_path):
    return tiles.folder(tmp_path, count=6)


def contents(folder):
    """Every file below a folder, but for where it lies."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            text = path.read_bytes().replace(str(folder).encode(), b"OUT")
            found[str(path.relative_to(folder))] = text
    return found


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_what_cannot_be_read_is_noted_and_the_job_goes_on(data, tmp_path):
    whole = prepare.prepare(tmp_path / "whole", **data, **OPTIONS)
    cut(tmp_path / "img/img_1.tif")
    cut(tmp_path / "mask/mask_4.tif")
    (tmp_path / "mask/mask_2.tif").unlink()
    with pytest.raises(InputError, match=r"img_2\.tif: no partner in .*mask by name"):
        prepare.prepare(tmp_path / "strict", **data, **OPTIONS, strict=True)
    made = prepare.prepare(tmp_path / "out", **data, **OPTIONS)
    noted = tmp_path / "out/quarantine.jsonl"
    records = [json.loads(line) for line in noted.read_text().splitlines()]
    assert {r["scene"] for r in records} == {"img_1", "img_2", "img_4"}
    reasons = {r["scene"]: r["reason"] for r in records}
    assert "no partner" in reasons["img_2"] and "img_1.tif" in reasons["img_1"]
    assert [scene.name for scene in made.scenes] == ["img_0", "img_3", "img_5"]
    kept = whole.index[whole.index.scene == "img_3"]
    again = made.index[made.index.scene == "img_3"]
    assert kept.share_1.tolist() == again.share_1.tolist()
    prepare.prepare(tmp_path / "out", **data, **OPTIONS)
    assert len(noted.read_text().splitlines()) == 3


def test_nothing_left_is_an_error(data, tmp_path):
    for path in (tmp_path / "img").iterdir():
        cut(path)
    with pytest.raises(UnreadableError, match=r"img_\d\.tif"):
        prepare.prepare(tmp_path / "out", **data, **OPTIONS)
    for path in list((tmp_path / "mask").iterdir())[:4]:
        path.unlink()
    with pytest.raises(InputError, match=r"no partner .* \(4 such files\)"):
        prepare.prepare(tmp_path / "out", **data, **OPTIONS)


@pytest.mark.parametrize("stage", ["scenes", "statistics"])
def test_a_job_goes_on_where_it_was(data, tmp_path, stage):
    whole = tmp_path / "whole"
    prepare.prepare(whole, **data, **OPTIONS)

    def stop(what, done, _):
        if what == stage and done == 2:
            raise KeyboardInterrupt

    out, options = tmp_path / "out", {**data, **OPTIONS}
    with pytest.raises(KeyboardInterrupt):
        one = tasks.threads(1)
        prepare.prepare(out, **options, executor=one, progress=stop)
    assert not (out / "scenes.json").exists()
    before = {p: p.stat().st_mtime_ns for p in (out / "parts" / stage).iterdir()}
    written = {p: p.stat().st_mtime_ns for p in (out / "labels").iterdir()}
    assert len(before) >= 2
    seen = []
    prepare.prepare(out, **options, progress=lambda *told: seen.append(told))
    begun = next(done for what, done, _ in seen if what == stage)
    assert begun == len(before) and ("scenes", 6, 6) in seen
    assert not (out / "parts").exists()
    if stage == "statistics":
        assert {p: p.stat().st_mtime_ns for p in written} == written
    assert contents(out) == contents(whole)


def test_parts_of_other_options_are_not_used(data, tmp_path):
    def stop(what, done, _):
        if what == "scenes" and done == 3:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(out, **data, chip_size=16, progress=stop)
    made = prepare.prepare(out, **data, **OPTIONS)
    assert set(made.index.height) == {32}


def test_workers_do_not_change_the_result(data, tmp_path):
    found = []
    for i, executor in enumerate(
        (tasks.threads(1), tasks.threads(5), tasks.processes(2))
    ):
        out = tmp_path / f"out_{i}"
        prepare.prepare(out, **data, **OPTIONS, executor=executor)
        found.append(contents(out))
    assert found[0] == found[1] == found[2]


def collection(folder, *, scenes, polygons, side):
    """Writes many small scenes side by side, with outlines all over."""
    generator = np.random.default_rng(0)
    across = int(np.ceil(np.sqrt(scenes)))
    for i in range(scenes):
        y, x = divmod(i, across)
        image = generator.integers(0, 200, (side, side, 3)).astype(np.uint8)
        place = tiles.at(x_m=x * side * 10, y_m=-y * side * 10)
        tiles.save(folder / f"images/s_{i:04}.tif", image, transform=place)
    centres = generator.uniform(0, across * side * 10, (polygons, 2))
    sizes = generator.uniform(20, 120, polygons)
    shapes = shapely.buffer(
        shapely.points(centres * [1, -1] + [500_000, 8_000_000]), sizes
    )
    frame = geopandas.GeoDataFrame(geometry=shapes, crs=tiles.UTM)
    frame.to_file(folder / "mines.gpkg")


def launch(folder, workdir, *flags):
    """The launcher in a process of its own; with a store."""
    command = [sys.executable, "-m", "launch.main", "--mode=prepare"]
    command += ["--config=configs/default.py", f"--workdir={workdir}", *flags]
    options = {
        "data.images": folder / "images",
        "data.polygons": folder / "mines.gpkg",
        "data.chip_size": 64,
        "store.path": workdir / "store",
        "store.shard": 32,
    }
    command += [f"--config.{key}={value}" for key, value in options.items()]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ended(process):
    """Returns what it printed, and the peak of its memory in bytes."""
    with process.stdout as output:
        printed = output.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return printed, usage.ru_maxrss * 1024


def when(process, path, count):
    """Waits until a folder holds some files."""
    while process.poll() is None and len(list(path.glob("*"))) < count:
        time.sleep(0.01)


def results(workdir):
    found = contents(workdir / "data") | contents(workdir / "store")
    return {name: value for name, value in found.items() if name != "quarantine.jsonl"}


@pytest.mark.slow
def test_a_killed_launcher_goes_on_and_makes_the_same_store(tmp_path):
    folder = tmp_path / "many"
    collection(folder, scenes=70, polygons=200, side=64)
    process = launch(folder, tmp_path / "whole")
    printed, _ = ended(process)
    assert process.returncode == 0, printed
    assert "70/70" in printed.replace("\r", "\n")
    workdir = tmp_path / "killed"
    for at, count in (("data/parts/scenes", 10), ("store/image/c", 1)):
        process = launch(folder, workdir)
        when(process, workdir / at, count)
        process.send_signal(signal.SIGKILL)
        ended(process)
        assert process.returncode in (-signal.SIGKILL, 0)
    process = launch(folder, workdir)
    printed, _ = ended(process)
    assert process.returncode == 0, printed
    whole = results(tmp_path / "whole")
    assert len(whole) > 70 and not Store(workdir / "store").pending()
    assert _moved(results(workdir), workdir) == _moved(whole, tmp_path / "whole")


def _moved(found, workdir):
    return {k: v.replace(str(workdir).encode(), b"W") for k, v in found.items()}


@pytest.mark.slow
def test_a_thousand_scenes_here_and_on_a_cluster_that_loses_workers(tmp_path):
    distributed = pytest.importorskip("distributed", reason="Dask's clusters")
    folder = tmp_path / "many"
    collection(folder, scenes=1000, polygons=10_000, side=256)
    process = launch(folder, tmp_path / "whole")
    printed, memory = ended(process)
    assert process.returncode == 0, printed
    lines = printed.replace("\r", "\n").splitlines()
    assert any(x.startswith("scenes") and "<" in x for x in lines)  # time that is left
    few = tmp_path / "few"
    shutil.copytree(folder, few)
    for path in sorted((few / "images").iterdir())[250:]:
        path.unlink()
    process = launch(few, tmp_path / "quarter")
    printed, memory_of_few = ended(process)
    assert process.returncode == 0, printed
    assert memory < memory_of_few + (64 << 20)

    workdir = tmp_path / "cluster"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        process = launch(folder, workdir, f"--cluster={cluster.scheduler_address}")
        for count in (100, 400):
            when(process, workdir / "data/parts/scenes", count)
            os.kill(cluster.workers[0].pid, signal.SIGKILL)
            time.sleep(5)  # its nanny starts another
        printed, _ = ended(process)
    assert process.returncode == 0, printed
    assert files.read_json(workdir / "data/scenes.json")
    same = _moved(results(workdir), workdir)
    assert same == _moved(results(tmp_path / "whole"), tmp_path / "whole")
