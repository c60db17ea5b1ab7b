"""The launcher as a person meets it: a real process, real files, one clear line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio

ROOT = Path(__file__).parent.parent


def launch(*arguments, timeout=300, **environment):
    """Runs `python -m launch.main`; one CPU device, as a person's laptop has."""
    return subprocess.run(
        [sys.executable, "-m", "launch.main", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def refused(*arguments, **environment):
    """Returns the one line with which the launcher refuses `arguments`."""
    done = launch(*arguments, **environment)
    lines = [line for line in done.stderr.splitlines() if line.startswith("minenet: ")]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The workdir of a whole run of `configs/smoke.py`, and what it printed."""
    workdir = tmp_path_factory.mktemp("smoke")
    done = launch("--mode=run", "--config=configs/smoke.py", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir, done.stdout


def tree(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_writes_the_whole_workdir(smoke):
    workdir, printed = smoke
    for name in (
        "config.json",
        "data/index.csv",
        "data/statistics.json",
        "model/bundle.json",
        "model/weights.safetensors",
        "metrics.jsonl",
        "evaluation.json",
        "figures/training.png",
        "figures/precision_recall.png",
    ):
        assert (workdir / name).stat().st_size > 0, name
        assert name in printed or not name.startswith("evaluation")
    assert list((workdir / "tensorboard").glob("events*"))
    assert not list(workdir.rglob("*.part*"))


def test_the_maps_lie_on_the_grid_of_their_scene(smoke):
    workdir, _ = smoke
    (probability,) = (workdir / "predictions").glob("*_probability.tif")
    stem = probability.name.removesuffix("_probability.tif")
    with (
        rasterio.open(workdir / "scenes" / f"{stem}.tif") as scene,
        rasterio.open(probability) as p,
        rasterio.open(probability.with_name(f"{stem}_class.tif")) as c,
    ):
        for written in (p, c):
            assert written.shape == scene.shape
            assert written.crs == scene.crs
            assert written.transform == scene.transform
            assert written.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        invalid = (scene.read() == scene.nodata).all(0)
        assert invalid.any() and not invalid.all()  # the wedge
        np.testing.assert_array_equal(np.isnan(p.read(1)), invalid)
        np.testing.assert_array_equal(c.read(1) == 255, invalid)
        threshold = json.loads((workdir / "evaluation.json").read_text())["threshold"]
        np.testing.assert_array_equal(
            c.read(1)[~invalid] == 1, p.read(1)[~invalid] >= threshold
        )
    outlines = geopandas.read_file(workdir / "predictions" / f"{stem}.gpkg")
    assert outlines.crs is not None
    assert {"class", "mean_probability", "max_probability", "area_m2"} <= set(outlines)


def test_evaluate_needs_only_the_workdir_and_repeats_itself(smoke):
    workdir, _ = smoke
    before = (workdir / "evaluation.json").read_text()
    done = launch("--mode=evaluate", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert (workdir / "evaluation.json").read_text() == before


def test_a_second_start_trains_nothing_and_changes_no_weight(smoke):
    workdir, _ = smoke
    weights = (workdir / "model" / "weights.safetensors").read_bytes()
    done = launch("--mode=train", "--config=configs/smoke.py", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert (workdir / "model" / "weights.safetensors").read_bytes() == weights


def test_several_scenes_are_mapped_where_out_says(smoke, tmp_path):
    workdir, _ = smoke
    scenes = sorted((workdir / "scenes").glob("*.tif"))[:2]
    done = launch(
        "--mode=predict",
        f"--workdir={workdir}",
        *(f"--scene={scene}" for scene in scenes),
        f"--out={tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{scene.stem}{end}"
        for scene in scenes
        for end in ("_probability.tif", "_class.tif", ".gpkg")
    }


def test_predict_takes_overrides_of_what_the_run_holds(smoke, tmp_path):
    workdir, _ = smoke
    before = (workdir / "config.json").read_bytes()
    scene = sorted((workdir / "scenes").glob("*.tif"))[0]
    maps = []
    ways = ([f"--workdir={workdir}"], ["--workdir", workdir])
    for overlap, place in zip((0.0, 0.5), ways, strict=True):
        done = launch(
            "--mode=predict",
            *place,
            f"--config.predict.overlap={overlap}",
            f"--scene={scene}",
            f"--out={tmp_path / str(overlap)}",
        )
        assert done.returncode == 0, done.stderr
        name = f"{scene.stem}_probability.tif"
        with rasterio.open(tmp_path / str(overlap) / name) as dataset:
            maps.append(dataset.read())
    assert not np.array_equal(*maps, equal_nan=True)
    assert (workdir / "config.json").read_bytes() == before


def test_an_override_without_a_run_to_override(tmp_path):
    line = refused(
        "--mode=predict", f"--workdir={tmp_path}", "--config.predict.overlap=0.5"
    )
    assert line.startswith(f"minenet: {tmp_path}: no config.json")


def test_help_is_for_people():
    done = launch("--help")
    assert "--mode=predict" in done.stdout
    assert "configs/quickstart.py" in done.stdout
    assert len(done.stdout.splitlines()) < 60


def test_a_wrong_key_names_the_nearest(tmp_path):
    line = refused(
        "--config=configs/smoke.py", f"--workdir={tmp_path}", "--config.train.setps=3"
    )
    assert "train.setps" in line and "train.steps" in line


def test_a_wrong_key_in_a_file_names_the_nearest(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config(): return ConfigDict({'train': {'stepz': 3}})\n"
    )
    line = refused(f"--config={mine}", f"--workdir={tmp_path / 'run'}")
    assert "train.stepz" in line and "train.steps" in line


def test_a_configuration_that_is_not_there(tmp_path):
    line = refused("--config=configs/none.py", f"--workdir={tmp_path}")
    assert "configs/none.py" in line


def test_a_workdir_that_is_none(tmp_path):
    assert "config.json" in refused("--mode=predict", f"--workdir={tmp_path}")


def test_a_workdir_of_another_model_stays_as_it_is(smoke):
    workdir, _ = smoke
    before = tree(workdir)
    line = refused(
        "--config=configs/smoke.py",
        f"--workdir={workdir}",
        "--config.model.widths=(8, 32)",
    )
    assert "model.widths" in line and "--workdir" in line
    assert tree(workdir) == before


def test_an_empty_folder(tmp_path):
    (tmp_path / "images").mkdir()
    line = refused(
        "--config=configs/default.py",
        f"--workdir={tmp_path / 'run'}",
        f"--config.data.images={tmp_path / 'images'}",
        f"--config.data.masks={tmp_path / 'images'}",
    )
    assert str(tmp_path / "images") in line


def test_a_truncated_scene_leaves_no_map(smoke, tmp_path):
    workdir, _ = smoke
    whole = next((workdir / "scenes").glob("*.tif")).read_bytes()
    broken = tmp_path / "broken.tif"
    broken.write_bytes(whole[: len(whole) // 2])
    line = refused(
        "--mode=predict",
        f"--workdir={workdir}",
        f"--scene={broken}",
        f"--out={tmp_path / 'maps'}",
    )
    assert "broken.tif" in line
    assert not list((tmp_path / "maps").glob("*"))


def test_a_scene_without_one_of_the_bands(smoke, tmp_path):
    workdir, _ = smoke
    with rasterio.open(next((workdir / "scenes").glob("*.tif"))) as scene:
        profile = scene.profile | {"count": scene.count - 1}
        with rasterio.open(tmp_path / "few.tif", "w", **profile) as few:
            few.write(scene.read()[:-1])
            few.descriptions = scene.descriptions[:-1]
        missing = scene.descriptions[-1]
    line = refused(
        "--mode=predict", f"--workdir={workdir}", f"--scene={tmp_path / 'few.tif'}"
    )
    assert missing in line and "few.tif" in line
