import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio.shutil
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from minenet.geo import handles, raster
from minenet.types import InputError

UTM = CRS.from_epsg(32723)
NORTH_UP = Affine(10, 0, 500_000, 0, -10, 8_000_000)
AFFINES = {
    "north-up": NORTH_UP,
    "south-up": Affine(0.5, 0, -180, 0, 0.5, -90),
    "rotated": NORTH_UP @ Affine.rotation(30),
    "none": Affine.identity(),
}


def random_image(height, width, count, dtype, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 50, (height, width, count))
    return image.clip(0, 255).astype(dtype)


def save(path, image, *, crs=UTM, affine=NORTH_UP, rows=7, **options):
    height, width, count = image.shape
    with raster.create(
        path,
        height=height,
        width=width,
        count=count,
        dtype=image.dtype,
        crs=crs,
        affine=affine,
        **options,
    ) as write:
        for row in range(0, height, rows):
            write(image[row : row + rows], row)


@settings(max_examples=25)
@given(
    st.sampled_from(["uint8", "int16", "uint16", "int32", "float32", "float64"]),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 5),
    st.sampled_from(sorted(AFFINES)),
    st.booleans(),
)
def test_what_is_written_is_read(
    tmp_path_factory, dtype, height, width, count, at, cog
):
    path = tmp_path_factory.mktemp("round") / "scene.tif"
    image = random_image(height, width, count, dtype)
    crs = None if at == "none" else UTM
    save(path, image, crs=crs, affine=AFFINES[at], cog=cog)

    info = raster.info(path)
    assert (info.height, info.width, len(info.bands)) == image.shape
    assert info.crs == crs and info.affine.almost_equals(AFFINES[at])
    assert info.alpha is None and not info.described
    found, valid = raster.read(path)
    assert valid.all() and found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)
    assert os.listdir(path.parent) == ["scene.tif"]


def test_names_tags_nodata_and_scales_travel(tmp_path):
    image = random_image(20, 20, 2, "float32")
    image[:5] = np.nan
    path = tmp_path / "scene.tif"
    tags = {"threshold": 0.25, "model": "unet"}
    save(
        path,
        image,
        nodata=np.nan,
        band_names=["mine", "tailings"],
        scales=[1, 2],
        tags=tags,
    )
    info = raster.info(path)
    assert info.described and info.bands == ("mine", "tailings")
    assert np.isnan(info.nodata).all() and info.scales == (1, 2)
    with handles.opened(path) as file:
        assert {k: file.tags()[k] for k in tags} == {
            "threshold": "0.25",
            "model": "unet",
        }
    np.testing.assert_array_equal(raster.read_float(path), image)


@pytest.mark.parametrize(("dtype", "expected"), [("uint8", {0, 7}), ("float32", {3.5})])
def test_a_large_map_is_a_cog_with_overviews_that_mix_no_classes(
    tmp_path, dtype, expected
):
    image = np.zeros((1100, 600, 1), dtype)
    image[:, 1::2] = 7
    path = tmp_path / "scene.tif"
    save(path, image, rows=128)
    with handles.opened(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.block_shapes == [(512, 512)] and file.compression.name == "deflate"
        (factor, *_) = file.overviews(1)
        small = file.read(1, out_shape=(1100 // factor, 600 // factor))
    assert factor == 2 and set(np.unique(small).tolist()) <= expected


def test_pixels_never_written_hold_nodata(tmp_path):
    path = tmp_path / "scene.tif"
    options = {"height": 30, "width": 40, "count": 1, "dtype": "uint8", "nodata": 255}
    with raster.create(path, crs=UTM, affine=NORTH_UP, **options) as write:
        write(np.full((3, 4, 1), 9, np.uint8), 5, 6)
    image, valid = raster.read(path)
    assert valid.sum() == 12 and valid[5:8, 6:10].all() and (image[valid] == 9).all()
    assert (image[~valid] == 255).all()


@pytest.mark.parametrize("cog", [True, False])
def test_a_fourth_band_of_bytes_is_no_alpha_band(tmp_path, cog):
    save(tmp_path / "four.tif", random_image(9, 9, 4, "uint8"), cog=cog)
    with handles.opened(tmp_path / "four.tif") as file:
        assert {role.name for role in file.colorinterp} <= {"gray", "undefined"}


@pytest.mark.parametrize("name", ["scene.tif", "scene [1].tif"])
def test_a_failure_leaves_what_stood_there(tmp_path, name):
    path = tmp_path / name
    image = random_image(20, 20, 1, "uint8")
    save(path, image)
    with pytest.raises(RuntimeError, match="model failed"):
        with raster.create(
            path, height=5, width=5, count=1, dtype="f4", crs=None, affine=NORTH_UP
        ) as write:
            write(np.ones((5, 5, 1), np.float32), 0)
            raise RuntimeError("the model failed")
    assert os.listdir(tmp_path) == [name]
    np.testing.assert_array_equal(raster.read(path)[0], image)


NO_SPACE = """
import os, resource, sys
import numpy as np
from affine import Affine
from minenet.geo import cog, raster
from minenet.types import InputError

path, limit, layout = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if layout == "filled meanwhile":
    cog._reserve = lambda *_: None
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
image = np.random.default_rng(0).random((700, 700, 1)).astype(np.float32)
try:
    with raster.create(
        path, height=700, width=700, count=1, dtype="float32", crs=None,
        affine=Affine.identity(), cog=layout == "cog",
    ) as write:
        for row in range(0, 700, 100):
            write(image[row : row + 100], row)
except InputError as error:
    assert path in str(error) and "space" in str(error) and "\\n" not in str(error)
    assert os.listdir(os.path.dirname(path)) == [], os.listdir(os.path.dirname(path))
    print("refused")
else:
    assert np.array_equal(raster.read(path)[0], image), "a damaged file was left"
    print("written")
"""


@pytest.mark.parametrize("layout", ["cog", "plain", "filled meanwhile"])
def test_without_space_a_file_is_whole_or_not_at_all(tmp_path, layout):
    # The plain tiled file takes 4.2 MB, the COG of noise less or, with overviews, more.
    outcomes = []
    for limit in (1_000, 4_100_000, 4_200_000, 4_400_000, 20_000_000):
        folder = tmp_path / str(limit)
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", NO_SPACE, folder / "map.tif", str(limit), layout],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        outcomes.append(done.stdout.strip())
    assert outcomes[:2] == ["refused"] * 2 and outcomes[-1] == "written"


def test_a_disk_too_small_is_told_before_the_work(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr("minenet.geo.cog.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match="map.tif: .*4 MiB needed .*, 1 MiB free"):
        save(tmp_path / "map.tif", random_image(600, 600, 1, "float32"))
    assert os.listdir(tmp_path) == []


def test_tiles_that_the_disk_lost_are_noticed(tmp_path, monkeypatch):
    def lose_one(plain, part, **options):
        copy(plain, part, **options)
        with rasterio.open(part, "r+") as file:
            file.write(np.zeros((1, 1, 1), np.uint8), window=((8, 9), (8, 9)))

    copy = rasterio.shutil.copy
    monkeypatch.setattr(rasterio.shutil, "copy", lose_one)
    with pytest.raises(InputError, match="rows 0 to 9 read back otherwise"):
        save(tmp_path / "map.tif", random_image(9, 9, 1, "uint8") + 1, cog=False)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="map.tif: cannot be written"):
        save(tmp_path / "file" / "map.tif", random_image(9, 9, 1, "uint8"))


@pytest.mark.parametrize(
    ("array", "row", "error", "message"),
    [
        (
            np.zeros((5, 9), np.uint8),
            0,
            ValueError,
            r"\[height, width, 2\], got \(5, 9",
        ),
        (np.zeros((5, 9, 3), np.uint8), 0, ValueError, r"width, 2\], got \(5, 9, 3\)"),
        (np.zeros((5, 9, 2), np.int64), 0, TypeError, "must be uint8, got int64"),
        (np.zeros((5, 9, 2), np.uint8), 5, ValueError, "rows 5:10.* leave the raster"),
    ],
)
def test_misuse_is_told(tmp_path, array, row, error, message):
    options = {"height": 9, "width": 9, "count": 2, "dtype": "uint8"}
    with pytest.raises(error, match=message):
        with raster.create(
            tmp_path / "map.tif", crs=UTM, affine=NORTH_UP, **options
        ) as write:
            write(array, row)
    assert os.listdir(tmp_path) == []
