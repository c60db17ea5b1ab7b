import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from minenet.geo import bands, raster, vector
from minenet.infer import bundle as bundle_
from minenet.infer import scene as scene_
from minenet.infer.predict import predictor
from minenet.types import InputError
from tests import bundles, tiles

ROOT = Path(__file__).parent.parent


def mapped(bundle, images, out, **options):
    run = predictor(bundle, batch_size=8)
    images = [images] if isinstance(images, (str, Path)) else images
    return scene_.predict_scene(bundle, run, list(map(str, images)), out, **options)


def read(path):
    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1)


def listed(folder):
    return sorted(p.name for p in folder.rglob("*"))


def tree(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


PLACES = {
    "north-up": (tiles.UTM, tiles.at()),
    "south-up": (CRS.from_epsg(4326), Affine(1e-4, 0, -48, 0, 1e-4, -20)),
    "rotated": (tiles.UTM, tiles.at() @ Affine.rotation(30)),
    "nowhere": (None, Affine.identity()),
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", [(1, 1), (3, 70), (70, 3), (51, 103)])
def test_the_map_lies_on_the_grid_of_its_scene(tmp_path, place, size):
    crs, affine = PLACES[place]
    image = tiles.picture(*size)
    image[:2, :2] = 0
    path = tiles.save(
        tmp_path / "scene.tif", image, crs=crs, transform=affine, nodata=0
    )
    bundle = bundles.bundle()
    maps = mapped(bundle, path, tmp_path / "out")

    assert listed(tmp_path / "out") == [
        "scene.gpkg",
        "scene_class.tif",
        "scene_probability.tif",
    ]
    nodata = (image == 0).all(-1)
    with rasterio.open(maps.probability) as p, rasterio.open(maps.classes) as c:
        for file, dtype in ((p, "float32"), (c, "uint8")):
            assert file.shape == size and file.dtypes == (dtype,)
            assert file.crs == crs and file.transform.almost_equals(affine, 1e-9)
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert file.tags()["MINENET_THRESHOLD"] == "0.5"
        assert np.isnan(p.nodata) and c.nodata == 255
        assert p.descriptions == ("mine",)
        probability, ids = p.read(1), c.read(1)
    np.testing.assert_array_equal(np.isnan(probability), nodata)
    np.testing.assert_array_equal(ids == 255, nodata)
    np.testing.assert_array_equal((ids == 1), probability >= 0.5)
    expected = bundles.untiled(bundle, np.where(image == 0, np.nan, image))
    np.testing.assert_allclose(probability, expected[..., 0], atol=1e-6)

    frame = geopandas.read_file(maps.polygons)
    assert {"class", "mean_probability", "max_probability", "area_m2"} <= set(frame)
    if (ids == 1).any():
        burnt = vector.rasterize(
            frame, crs=crs, affine=affine, height=size[0], width=size[1]
        )
        np.testing.assert_array_equal(burnt, ids == 1)
        assert frame["area_m2"].isna().all() == (crs is None)
    else:
        assert frame.empty


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_any_dtype_and_eight_bands(tmp_path, dtype):
    image = tiles.picture(40, 30, count=8).clip(0, 120).astype(dtype)
    if np.dtype(dtype).kind == "f":
        image[5:9, 5:9] = np.nan
        image[20, 20, 3] = 1e300 if dtype == "float64" else np.inf  # one band only
    path = tiles.save(tmp_path / "scene.tif", image)
    maps = mapped(bundles.bundle(bands=8), path, tmp_path)
    nodata = ~np.isfinite(image).any(-1)
    np.testing.assert_array_equal(np.isnan(read(maps.probability)[..., 0]), nodata)
    np.testing.assert_array_equal(read(maps.classes)[..., 0] == 255, nodata)


def test_a_scene_without_data_has_an_empty_map_and_a_warning(tmp_path, caplog):
    path = tiles.save(tmp_path / "scene.tif", np.zeros((20, 20, 3), "u2"), nodata=0)
    with caplog.at_level("WARNING"):
        maps = mapped(bundles.bundle(), path, tmp_path)
    assert "no valid pixel" in caplog.text
    assert np.isnan(read(maps.probability)).all()
    assert (read(maps.classes) == 255).all()
    assert geopandas.read_file(maps.polygons).empty


def test_exclusive_classes(tmp_path):
    classes = ("background", "mine", "tailings")
    image = tiles.picture(50, 40)
    image[:9] = 0
    path = tiles.save(tmp_path / "scene.tif", image, nodata=0)
    maps = mapped(bundles.bundle(classes=classes), path, tmp_path)
    probability, ids = read(maps.probability), read(maps.classes)[..., 0]
    assert raster.info(maps.probability).bands == classes
    assert (ids[:9] == 255).all()
    np.testing.assert_array_equal(ids[9:], probability[9:].argmax(-1))
    frame = geopandas.read_file(maps.polygons)
    assert set(frame["class"]) == {classes[i] for i in set(ids[9:].flat) - {0}}


def test_images_of_one_scene_stack(tmp_path):
    pictures = [tiles.picture(30, 30, count=n, seed=n) for n in (1, 2)]
    paths = [
        tiles.save(tmp_path / f"{name}.tif", each)
        for name, each in zip(("s1", "s2"), pictures, strict=True)
    ]
    infos = [raster.info(path) for path in paths]
    stack = bands.select([infos], labels=["s1", "s2"])
    bundle = bundles.bundle(contract=bundle_.contract(stack, infos))
    maps = mapped(bundle, paths, tmp_path / "out")
    assert maps.probability.name == "s1_probability.tif"
    expected = bundles.untiled(bundle, np.concatenate(pictures, -1).astype(float))
    np.testing.assert_allclose(read(maps.probability), expected, atol=1e-6)


def test_without_polygons_none_of_an_older_map_stay(tmp_path):
    path = tiles.save(tmp_path / "scene.tif", tiles.picture())
    assert mapped(bundles.bundle(), path, tmp_path / "out").polygons.exists()
    mapped(bundles.bundle(), path, tmp_path / "out", polygons=False)
    assert listed(tmp_path / "out") == ["scene_class.tif", "scene_probability.tif"]


def truncated(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return "scene.tif"


def no_polygons(monkeypatch):
    def fail(path, *_, **__):
        raise InputError(f"{path}: cannot be written (no space)")

    monkeypatch.setattr(vector, "write", fail)
    return "no space"


@pytest.mark.parametrize("failure", [truncated, no_polygons])
def test_a_failure_leaves_the_older_map_and_nothing_else(
    tmp_path, monkeypatch, failure
):
    path = tiles.save(tmp_path / "scene.tif", tiles.picture(300, 300))
    out = tmp_path / "out"
    mapped(bundles.bundle(), path, out)
    before = tree(out)
    told = failure(path if failure is truncated else monkeypatch)
    with pytest.raises(InputError, match=told) as caught:
        mapped(bundles.bundle(threshold=0.4), path, out)
    assert "\n" not in str(caught.value)
    assert tree(out) == before


FULL = """
import resource, sys
from pathlib import Path
from minenet.infer import bundle, predict, scene
from minenet.types import InputError
loaded = bundle.load(Path(sys.argv[1]))
run = predict.predictor(loaded, batch_size=8)
limit = int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    scene.predict_scene(loaded, run, [sys.argv[2]], Path(sys.argv[3]))
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("limit", "full"), [(900_000, "scene_probability.tif"), (1_200_000, "scene.gpkg")]
)
def test_without_space_one_line_and_nothing_partial(tmp_path, limit, full):
    bundle_.save(tmp_path / "model", bundles.bundle())
    path = tiles.save(tmp_path / "scene.tif", tiles.picture(300, 300))
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "model", path, tmp_path / "out"]
        + [str(limit)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"XLA_FLAGS": ""},
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1, done.stdout + done.stderr
    assert f"{full}: cannot be written" in done.stdout
    assert listed(tmp_path / "out") == []


def test_a_map_never_overwrites_its_scene(tmp_path):
    path = tiles.save(tmp_path / "a_class.tif", tiles.picture())
    other = tiles.save(tmp_path / "a.tif", tiles.picture())
    before = path.read_bytes()
    maps = mapped(bundles.bundle(), path, tmp_path)
    assert maps.classes.name == "a_class_class.tif" and path.read_bytes() == before
    with pytest.raises(InputError, match="would be overwritten"):
        mapped(
            dataclasses.replace(bundles.bundle(), contract=_twice(other, path)),
            [other, path],
            tmp_path,
        )
    assert path.read_bytes() == before


def _twice(*paths):
    infos = [raster.info(path) for path in paths]
    stack = bands.select([infos], labels=["a", "b"], bands=[1, 2, 4])
    return bundle_.contract(stack, infos)


def test_a_folder_in_the_way(tmp_path):
    path = tiles.save(tmp_path / "scene.tif", tiles.picture())
    (tmp_path / "out" / "scene.gpkg").mkdir(parents=True)
    with pytest.raises(InputError, match="a folder has this name"):
        mapped(bundles.bundle(), path, tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: cannot be written"):
        mapped(bundles.bundle(), path, tmp_path / "file")


MEMORY = """
import json, resource, sys
from pathlib import Path
from minenet.infer import bundle, predict, scene
loaded = bundle.load(Path(sys.argv[1]))
run = predict.predictor(loaded, batch_size=8)
scene.predict_scene(loaded, run, [sys.argv[2]], Path(sys.argv[3]), polygons=False)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def peak_mib(tmp_path, height, width):
    path = tmp_path / f"{height}.tif"
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint16", "tiled": True}
    with rasterio.open(
        path, "w", height=height, width=width, transform=tiles.at(), **profile
    ) as file:
        for row in range(0, height, 512):
            image = np.moveaxis(tiles.picture(512, width, seed=row), -1, 0)
            file.write(image, window=rasterio.windows.Window(0, row, width, 512))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "model", path, tmp_path / "out"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"XLA_FLAGS": ""},
    )
    return json.loads(done.stdout) / 1024


@pytest.mark.slow
def test_memory_does_not_grow_with_the_height(tmp_path):
    bundle_.save(tmp_path / "model", bundles.bundle(window=128))
    low, high = (peak_mib(tmp_path, height, 4096) for height in (8192, 24576))
    # Of the 64 million pixels more, the map alone would be 256 MiB.
    assert high - low < 60, (low, high)
