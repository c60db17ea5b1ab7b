"""Files that lie or break: refused in one line that names them, or gone past.

What a single format or step says of its own bad input is tested beside it: labels
without a class in `test_labels`, ids given twice and pictures that are not there in
`test_formats_coco`, NaN in WKT in `test_formats_runs`.
"""

import resource
import shutil
import struct
import zlib
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from rasterio.io import MemoryFile

from minenet.data import prepare
from minenet.data.formats import (
    LabelledImage,
    coco,
    deforestation,
    dstl,
    folder,
    npy,
    pictures,
    tfrecord,
)
from minenet.geo import handles, raster, vector
from minenet.geo.windows import Window
from minenet.types import InputError, UnreadableError
from tests import tiles

MOST = 2**31 - 1


def tiff(width, height, *, tile=0, rows=0, bands=1, data=b""):
    """A TIFF of one deflated tile, or of one strip, whatever its header claims."""
    at = 10 + 12 * 12 + 4
    tags = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: bands, 284: 1}
    if tile:
        tags |= {322: tile, 323: tile, 324: at, 325: len(data)}
    else:
        tags |= {273: at, 278: rows or height, 279: len(data)}
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    head += b"".join(struct.pack("<HHII", k, 4, 1, tags[k]) for k in sorted(tags))
    return (head + bytes(4)).ljust(at, b"\0") + data


def jpeg(side):
    with MemoryFile() as file:
        options = {"width": 8, "height": 8, "count": 3, "dtype": "uint8"}
        with handles.quiet(), file.open(driver="JPEG", **options) as dataset:
            dataset.write(np.zeros((3, 8, 8), np.uint8))
        data = bytearray(file.read())
    at = data.find(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("strip.tif", tiff(MOST, MOST), "its blocks takes 2 GiB"),
        (
            "rows.tif",
            tiff(60_000, MOST, rows=1),
            "2147483647 x 60000 pixels of",
        ),
        ("tiles.tif", tiff(MOST, MOST, tile=256), "not a raster that GDAL can read"),
        ("wide.tif", tiff(10**5, 10**5, tile=256), "in a file of 158 bytes, which can"),
        ("tile.tif", tiff(10**5, 10**5, tile=10**5), "its blocks takes 9.31 GiB"),
        ("bands.tif", tiff(256, 256, tile=256, bands=60_000), "blocks takes 3.66 GiB"),
        ("claims.png", tiles.bomb_png(900_000), "900000 x 900000 pixels of 3 bands"),
        ("most.png", tiles.bomb_png(MOST), "not a raster that GDAL can read"),
        ("claims.jpg", jpeg(65_500), "65500 x 65500 pixels of 3 bands"),
    ],
)
def test_sizes_that_cannot_be_are_refused_before_anything_is_read(
    tmp_path, name, data, message
):
    (tmp_path / name).write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (raster.info, lambda p: raster.read(p, Window(0, 0, 8, 8))):
        with pytest.raises(UnreadableError, match=message) as told:
            read(tmp_path / name)
        assert name in str(told.value) and "\n" not in str(told.value)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 << 10  # KiB


def test_a_bomb_of_small_tiles_is_read_by_windows(tmp_path):
    # As large as a month of Sentinel-2, and empty: true, if hardly worth the while.
    path = tmp_path / "sparse.tif"
    options = {"driver": "GTiff", "tiled": True, "sparse_ok": True, "bigtiff": "yes"}
    shape = {"width": 200_000, "height": 200_000, "count": 3, "dtype": "uint16"}
    handles.open_quietly(path, "w", **shape, **options).close()
    image, valid = raster.read(path, Window(199_999, 100, 2, 3))
    assert not image.any() and valid[0].all() and not valid[1].any()


def test_a_deflated_bomb_takes_no_more_than_a_block(tmp_path):
    bomb = zlib.compress(bytes(1 << 26))
    (tmp_path / "a.tif").write_bytes(tiff(8192, 8192, tile=8192, data=bomb))
    image, _ = raster.read(tmp_path / "a.tif", Window(5, 5, 8, 8))
    assert image.shape == (8, 8, 1) and not image.any()
    (tmp_path / "b.tif").write_bytes(tiff(40_000, 40_000, tile=40_000, data=bomb))
    with pytest.raises(UnreadableError, match=r"b\.tif: one of its blocks takes 1.49"):
        raster.read(tmp_path / "b.tif", Window(5, 5, 8, 8))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_picture_that_was_cut_is_refused_wherever_it_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    pictures.write(path, tiles.picture(64, 64).astype(np.uint8))
    whole = path.read_bytes()
    for size in range(0, len(whole), len(whole) // 9):
        path.write_bytes(whole[:size])
        with pytest.raises(UnreadableError, match=rf"a\{suffix}: "):
            raster.read(path)


def test_a_picture_of_fewer_pixels_than_it_claims_never_shows_the_memory(tmp_path):
    (tmp_path / "a.png").write_bytes(tiles.bomb_png(8))
    for i in range(50):
        np.full(1 + 7 * i, 1, np.uint8)  # what is freed, and may be found again
        with pytest.raises(UnreadableError, match=r"a\.png: cannot be read"):
            raster.read(tmp_path / "a.png")
        with pytest.raises(UnreadableError, match="it: cannot be read"):
            pictures.decode(tiles.bomb_png(8), name="it")


def test_what_gdal_fails_at_late_is_a_file_that_cannot_be_read(tmp_path):
    path = tiles.save(tmp_path / "a.tif", tiles.picture())
    with pytest.raises(UnreadableError, match=r"a\.tif: cannot be read \(no\); the"):
        with handles.opened(path):
            raise handles.FAILURES[1](1, 1, "no")
    with pytest.raises(InputError) as told:
        raster.read(path, bands=[4])
    assert not isinstance(told.value, UnreadableError)


@pytest.mark.parametrize("text", [None, "nothing"])
def test_vector_files_that_cannot_be_read(tmp_path, text):
    path = tmp_path / "mines.gpkg"
    if text:
        path.write_text(text)
    with pytest.raises(UnreadableError, match=r"mines\.gpkg: "):
        vector.read(path)


def heard(read, *arguments, **options):
    """Names of the samples, and what `on_error` heard."""
    errors = {}
    found = read(*arguments, **options, on_error=errors.__setitem__)
    return [each.name for each in found], errors


def records(path, damage):
    image = tiles.picture(6, 5).astype(np.uint8)
    labels = np.zeros((6, 5), np.uint8)
    samples = (LabelledImage(f"s{i}", image, labels) for i in range(3))
    (written,) = deforestation.write(samples, path)
    data = bytearray(Path(written).read_bytes())
    size = len(data) // 3
    data[size + damage] ^= 1
    Path(written).write_bytes(data)
    return written


def test_a_damaged_record_is_gone_past(tmp_path):
    path = records(tmp_path, damage=40)
    with pytest.raises(UnreadableError, match=r"record 1 at .* of its data is wrong"):
        list(tfrecord.read(path))
    names, errors = heard(deforestation.read, tmp_path)
    assert [name[-4:] for name in names] == ["0000", "0002"]
    assert list(errors) == [f"{path}: record 1"]


def test_behind_a_damaged_length_nothing_is_found(tmp_path):
    path = records(tmp_path, damage=0)
    names, errors = heard(deforestation.read, tmp_path)
    assert [name[-4:] for name in names] == ["0000"]
    assert list(errors) == [path] and "record 1" in str(errors[path])


def test_only_what_cannot_be_read_is_left_out(tmp_path):
    image = tiles.picture(8, 8).astype(np.uint8)
    labels = np.full((8, 8), 7, np.uint8)
    samples = [LabelledImage(f"a_{i}", image, labels) for i in range(2)]
    folder.write(samples, tmp_path / "images", tmp_path / "masks")
    where = tmp_path / "images", tmp_path / "masks"
    names, errors = heard(folder.read, *where, values={7: 1})
    assert names == ["a_0", "a_1"] and not errors
    with pytest.raises(InputError, match="a_0.tif: values 7 without a class"):
        heard(folder.read, *where, values={0: 0})
    (tmp_path / "masks/a_0.tif").write_bytes(b"")
    names, errors = heard(folder.read, *where, values={7: 1})
    assert names == ["a_1"] and list(errors) == ["a_0"]
    assert type(errors["a_0"]) is UnreadableError


def test_a_picture_without_its_mask_is_left_out(tmp_path):
    image, labels = tiles.picture(8, 8), tiles.mask(8, 8)
    samples = [LabelledImage(f"a_{i}", image, labels) for i in range(3)]
    where = tmp_path / "images", tmp_path / "masks"
    folder.write(samples, *where)
    (tmp_path / "masks/a_1.tif").unlink()
    names, errors = heard(folder.read, *where)
    assert names == ["a_0", "a_2"] and "no partner" in str(errors["a_1"])


@pytest.mark.parametrize(
    ("read", "match"),
    [
        (lambda p: npy.load_array(p / "absent.npy"), "not a .npy file of numbers"),
        (lambda p: coco.load(p / "absent.json"), "not a JSON file"),
        (lambda p: next(dstl.read(p)), "grid_sizes.csv: not a CSV table"),
        (lambda p: list(tfrecord.read(p / "absent")), "cannot be opened"),
    ],
)
def test_a_file_that_is_not_there(tmp_path, read, match):
    with pytest.raises(UnreadableError, match=match):
        read(tmp_path)


def test_a_header_that_lies_is_found_out_before_labels_of_its_size(tmp_path):
    data = tiles.folder(tmp_path, count=3)
    path = tmp_path / "img/img_1.tif"
    claimed = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", claimed, 4)
    for i in range(struct.unpack_from("<H", claimed, first)[0]):
        at = first + 2 + 12 * i
        (tag,) = struct.unpack_from("<H", claimed, at)
        if tag in (256, 257):  # width, height
            struct.pack_into("<HHII", claimed, at, tag, 4, 1, 20_000)
    path.write_bytes(claimed)
    outlines = geopandas.GeoDataFrame(
        geometry=[shapely.box(500_000, 7_999_400, 530_000, 8_000_000)], crs=tiles.UTM
    )
    outlines.to_file(tmp_path / "mines.gpkg")
    with pytest.raises(InputError, match=r"img_1\.tif"):
        prepare.prepare(
            tmp_path / "out",
            images=data["images"],
            polygons=tmp_path / "mines.gpkg",
            chip_size=32,
            strict=True,
        )
    written = [p.stat().st_size for p in (tmp_path / "out").rglob("*.tif*")]
    assert sum(written) < 1 << 20


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("empty", r"mines\.gpkg: no features; give a file with polygons"),
        ("twins", r"img_1\.tiff and .*img_1\.tif: one name for two files"),
        ("group", r"t\.csv: river of scene 'img_1' is empty; give it a group"),
        ("classes", r"'\(mine,pond\)' would be one name with brackets"),
    ],
)
def test_what_users_do(tmp_path, change, match):
    data = tiles.folder(tmp_path, count=3)
    if change == "empty":
        path = tmp_path / "mines.gpkg"
        geopandas.GeoDataFrame(geometry=[], crs=tiles.UTM).to_file(path)
        data = {"images": data["images"], "polygons": path}
    elif change == "twins":
        shutil.copy(tmp_path / "img/img_1.tif", tmp_path / "img/img_1.tiff")
    elif change == "group":
        (tmp_path / "t.csv").write_text("name,river\nimg_0,a\nimg_1,\nimg_2,b\n")
        data |= {"table": tmp_path / "t.csv", "group_column": "river"}
        data["split"] = {"by": "group"}
    else:
        data["classes"] = ["(mine,pond)"]
    with pytest.raises(InputError, match=match):
        prepare.prepare(tmp_path / "out", **data, chip_size=32)
