"""Formats through the launcher: what is refused, left out, and handed on."""

import json
import shutil

import numpy as np
import pytest

from configs import default
from launch import formats
from launch import settings as settings_
from minenet.data.formats import LabelledImage, deforestation, maps, npy
from minenet.geo import raster
from minenet.types import InputError, UnreadableError
from tests import tiles
from tests.test_launcher import launch, refused

SIDE = 16


def config(**data):
    """Settings with options of `config.data`, those of its format under `format_`."""
    made = default.get_config()
    with made.unlocked():
        made.data.format.update(data.pop("format", {}))
        made.data.update(data)
    return settings_.resolve(made.to_dict())


def records(root, count=3):
    for i in range(count):
        image = tiles.picture(SIDE, SIDE, seed=i).astype(np.uint8)
        sample = LabelledImage(f"s_{i}", image, tiles.mask(SIDE, SIDE, seed=i))
        deforestation.write([sample], root / str(i), classes=2)
        shutil.move(root / str(i) / "tfrecords_v2_part_1.tfrec", root / f"s_{i}.tfrec")
    return root


def converted(workdir, **options):
    data = config(**options)["data"]
    del data["synthetic"]
    return formats.converted(workdir, data)


def test_rasters_are_left_as_they_are(tmp_path):
    data = config(images="scenes", masks="masks")["data"]
    found = formats.converted(tmp_path, data)
    assert found == {key: data[key] for key in data if key != "format"}
    assert not list(tmp_path.iterdir())


def test_what_is_converted_takes_the_place_of_the_data(tmp_path, capsys):
    root = records(tmp_path / "records")
    (root / "s_1.tfrec").write_bytes(b"nothing")
    options = {"images": str(root), "format": {"name": "tfrecord"}}
    for _ in range(2):
        found = converted(tmp_path / "run", **options)
        assert "2 samples of tfrecord converted to" in capsys.readouterr().out
        scenes = tmp_path / "run/scenes"
        assert found["images"] == str(scenes / "images") and "format" not in found
        assert found["masks"] == str(scenes / "masks")
        lines = (tmp_path / "run/data/quarantine.jsonl").read_text().splitlines()
        (line,) = map(json.loads, lines)
        assert line["sample"] == str(root / "s_1.tfrec")
    data = config(**options)["data"]
    with pytest.raises(UnreadableError, match=r"s_1\.tfrec: record 0 at byte 0"):
        formats.converted(tmp_path / "strict", data, strict=True)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"format": {"order": "rows"}},
            "config.data.format.order: of which fo",
        ),
        (
            {"format": {"name": "coco"}, "polygons": "a.gpkg"},
            "config.data.polygons: coco has one folder of images and labels of its own",
        ),
        (
            {"format": {"name": "coco"}, "images": ("a", "b")},
            "config.data.images: coco has one folder",
        ),
        ({"format": {"name": "tfrecord"}, "masks": "a"}, "masks: not of the format tf"),
        ({"format": {"name": "coco"}}, "annotations: missing; the format coco needs"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, options, match):
    with pytest.raises(InputError, match=match):
        converted(tmp_path, **{"images": "images", **options})


def test_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = config(format={"annotations": "a.json"})
    assert found["data"]["format"]["annotations"] == str(tmp_path / "a.json")
    assert found["data"]["format"]["order"] is None


def test_the_launcher_takes_colours_and_refuses_keys_that_are_not(tmp_path):
    workdir = f"--workdir={tmp_path / 'run'}"
    line = refused("--config=configs/default.py", workdir, "--config.data.format.nam=a")
    assert "no such key; the nearest is config.data.format.name" in line
    records(tmp_path / "records")
    for path in (tmp_path / "records").glob("*.tfrec"):
        samples = list(deforestation.read(path, classes=2))
        npy.write(samples, tmp_path / "images", tmp_path / "masks")
    done = launch(
        "--mode=prepare",
        "--config=configs/default.py",
        workdir,
        "--config.data.format.name=npy",
        f"--config.data.images={tmp_path / 'images'}",
        f"--config.data.masks={tmp_path / 'masks'}",
        f"--config.data.chip_size={SIDE}",
    )
    assert done.returncode == 0, done.stderr
    assert "3 samples of npy converted" in done.stdout
    # The colours survive the command line as far as the reader that misses its masks.
    line = refused(
        "--mode=prepare",
        "--config=configs/default.py",
        f"--workdir={tmp_path / 'other'}",
        "--config.data.format.name=palette",
        "--config.data.format.palette=((11,), (226,), (51,))",
        f"--config.data.images={tmp_path / 'images'}",
        f"--config.data.masks={tmp_path / 'masks'}",
    )
    assert "palette: 3 colours, expected one for each of the 2 ids" in line


def test_maps_go_out_by_the_options_of_their_format(tmp_path, capsys):
    labels = tiles.mask(SIDE, SIDE)
    with raster.create(
        tmp_path / f"run/predictions/a{maps.SUFFIX}",
        **{"height": SIDE, "width": SIDE, "count": 1, "dtype": np.uint8},
        **{"crs": tiles.UTM, "affine": tiles.at(), "nodata": 255},
        tags={"MINENET_TASK": "binary", "MINENET_CLASSES": "mine"},
    ) as write:
        write(labels[..., None], 0)
    settings = config()
    out = tmp_path / "a.csv"
    with pytest.raises(InputError, match="--out: missing; name the file or folder"):
        formats.export(tmp_path / "run", settings, form="runs", out=None)
    with pytest.raises(InputError, match="order: missing; the format runs needs it"):
        formats.export(tmp_path / "run", settings, form="runs", out=str(out))
    settings["convert"]["order"] = "rows"
    formats.export(tmp_path / "run", settings, form="runs", out=str(out))
    assert out.read_text().startswith("ImageId,EncodedPixels\na,")
    assert "1 maps of" in capsys.readouterr().out
