"""Each block of the README's "Bring your own data" runs, on small data of its kind."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from minenet.data import chips, prepared
from minenet.data.formats import (
    LabelledImage,
    coco_writer,
    deforestation,
    dstl_wkt,
    folder,
)
from minenet.data.label import classes
from minenet.geo import raster
from minenet.types import InputError
from tests import tiles

ROOT = Path(__file__).parent.parent
SIDE = 32
SMALL = (f"--config.data.chip_size={SIDE}", f"--config.data.stride={SIDE}")
NAMES = [f"s_{i}" for i in range(5)]


def blocks():
    """Name → its command, and the blocks of Python."""
    text = (ROOT / "README.md").read_text()
    section = text.split("## Bring your own data\n")[1].split("\n## ")[0]
    found = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.M | re.S)
    shell = [block for language, block in found if not language]
    python = [block for language, block in found if language == "python"]
    names = ["pits", "masks", "dstl", "coco", "forest", "export"]
    return dict(zip(names, shell, strict=True)), python


def launched(tmp_path, block, *more):
    """Runs a block in a shell where its data lie, no further than `prepare`."""
    assert block.startswith("bash launch/run.sh") and block.count("\n") <= 10
    if not (tmp_path / "configs").exists():
        (tmp_path / "configs").symlink_to(ROOT / "configs")
    script = tmp_path / "launch/run.sh"
    script.parent.mkdir(exist_ok=True)
    given = '"${@/#--mode=run/--mode=prepare}"'
    launcher = shlex.join([sys.executable, "-m", "launch.main"])
    script.write_text(f"exec {launcher} {given} {shlex.join(more)}\n")
    return subprocess.run(
        ["bash", "-c", block],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def made(tmp_path, name, *more):
    """What `prepare` makes of the data of a block, and what it prints."""
    done = launched(tmp_path, blocks()[0][name], *SMALL, *more)
    assert done.returncode == 0, done.stderr
    return prepared.load(tmp_path / "runs" / name / "data"), done.stdout


def labels(ready):
    """Scene → its prepared labels."""
    return {scene.name: raster.read(scene.label)[0] for scene in ready.scenes}


def samples(ids=2):
    for i, name in enumerate(NAMES):
        image = tiles.picture(SIDE, SIDE, seed=i).astype(np.uint8)
        known = tiles.mask(SIDE, SIDE, seed=i, share=0.4)
        yield LabelledImage(name, image, known * np.uint8(1 + i % (ids - 1)))


def test_every_block_is_tested():
    shell, python = blocks()
    ran = Path(__file__).read_text()
    assert all(f'"{name}"' in ran for name in shell) and len(python) == 1


def test_scenes_and_polygons(tmp_path):
    outlines = []
    for i, name in enumerate(NAMES):
        place = {"transform": tiles.at(x_m=10_000 * i)}
        tiles.save(tmp_path / f"scenes/{name}.tif", tiles.picture(64, 64), **place)
        for kind, col in (("pit", 0), ("pond", 32)):
            at = 500_000 + 10_000 * i + 10 * col
            box = shapely.box(at, 8_000_000 - 320, at + 160, 8_000_000)
            outlines.append({"kind": kind, "geometry": box})
    frame = geopandas.GeoDataFrame(outlines, crs=tiles.UTM)
    frame.to_file(tmp_path / "mines.gpkg")
    ready, _ = made(tmp_path, "pits")
    assert ready.task == "exclusive" and ready.classes == ("background", "pit", "pond")
    wanted = np.zeros((64, 64), np.uint8)
    wanted[:32, :16], wanted[:32, 32:48] = 1, 2
    for found in labels(ready).values():
        np.testing.assert_array_equal(found[..., 0], wanted)


def test_folders_of_images_and_masks(tmp_path):
    written = {}
    for sample in samples():
        values = sample.labels + 1
        values[:4] = 0
        written[sample.name] = np.select([values == 0, values == 2], [255, 1], 0)
        one = LabelledImage(sample.name, sample.image, values)
        where = tmp_path / "images", tmp_path / "masks"
        folder.write([one], *where, suffix=".png", mask_suffix=".png")
    ready, _ = made(tmp_path, "masks")
    assert ready.task == "binary"
    for name, found in labels(ready).items():
        np.testing.assert_array_equal(found[..., 0], written[name])


def test_dstl(tmp_path):
    try:
        classes.rule("multilabel", ("a", "b"))
    except InputError as error:
        pytest.skip(f"overlapping classes cannot be prepared yet: {error}")
    generator = np.random.default_rng(0)
    drawn = {n: generator.integers(0, 2, (48, 52, 10)).astype(np.uint8) for n in NAMES}
    tiles.dstl(tmp_path / "dstl", drawn, {name: (0.009, -0.009) for name in NAMES})
    (tmp_path / "dstl/sixteen_band/s_3_M.tif").unlink()
    ready, printed = made(tmp_path, "dstl")
    assert ready.task == "multilabel" and ready.classes == dstl_wkt.CLASSES
    assert len(ready.bands) == 20 and ready.bands[3] == "P_1"
    assert "4 samples of dstl" in printed and "! 1 left out because" in printed
    (line,) = (ready.out / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["sample"] == "s_3" and "s_3_M.tif" in line
    found = labels(ready)
    assert sorted(found) == [name for name in NAMES if name != "s_3"]
    for name in found:
        np.testing.assert_array_equal(found[name], drawn[name])


def test_coco_in_and_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, images = tmp_path / "annotation.json", tmp_path / "images"
    coco_writer.write(path, samples(3), images, classes=("pool", "building"))
    (images / "s_3.png").unlink()
    ready, printed = made(tmp_path, "coco")
    assert ready.classes == ("building",)
    assert "4 samples of coco" in printed and "! 1 left out because" in printed
    wanted = {each.name: each.labels == 2 for each in samples(3)}
    found = labels(ready)
    assert sorted(found) == ["s_0", "s_1", "s_2", "s_4"]
    for name in found:
        np.testing.assert_array_equal(found[name][..., 0], wanted[name])
    counted = ready.index.valid.sum() * SIDE**2
    assert counted == 4 * SIDE**2 and chips.positive(ready.index).sum() == 1
    # The same, where everything is there.
    coco_writer.write(path, samples(3), images, classes=("pool", "building"))
    told = {}
    exec(blocks()[1][0], told)
    shares = {name: mask.mean() for name, mask in wanted.items()}
    assert told["shares"] == pytest.approx(shares)
    back = list(folder.read("tiles/images", "tiles/masks"))
    assert [each.labels.mean() for each in back] == [shares[each.name] for each in back]
    # Maps such as `predict` makes.
    for name in NAMES[:2]:
        with raster.create(
            tmp_path / f"runs/coco/predictions/{name}_class.tif",
            **{"height": SIDE, "width": SIDE, "count": 1, "dtype": np.uint8},
            **{"crs": tiles.UTM, "affine": tiles.at(), "nodata": 255},
            tags={"MINENET_TASK": "binary", "MINENET_CLASSES": "building"},
        ) as write:
            write(wanted[name].astype(np.uint8)[..., None], 0)
    done = launched(tmp_path, blocks()[0]["export"])
    assert done.returncode == 0 and "2 maps of" in done.stdout, done.stderr
    value = json.loads((tmp_path / "mines.json").read_text())
    assert [entry["name"] for entry in value["categories"]] == ["building"]
    areas = [entry["area"] for entry in value["annotations"]]
    assert areas == [wanted["s_1"].sum()] and len(value["images"]) == 2


def test_tfrecord(tmp_path):
    (path,) = deforestation.write(samples(3), tmp_path / "records")
    data = bytearray(Path(path).read_bytes())
    data[-9] ^= 1  # the last record
    Path(path).write_bytes(data)
    ready, printed = made(tmp_path, "forest")
    assert ready.classes == ("forest", "deforestation", "other")
    assert "4 samples of tfrecord" in printed and "! 1 left out because" in printed
    found = sorted(labels(ready).items())
    for (_, mask), wanted in zip(found, list(samples(3))[:4], strict=True):
        np.testing.assert_array_equal(mask[..., 0], wanted.labels)
