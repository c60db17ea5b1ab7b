"""Folders of pictures, arrays and painted masks: what goes in comes out."""

import dataclasses
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minenet.data.formats import (
    LabelledImage,
    folder,
    masks,
    npy,
    palette,
    pictures,
)
from minenet.data.prepare import prepare
from minenet.geo import handles
from minenet.types import InputError
from tests import tiles

THREE = ((11, 195, 72), (226, 19, 15), (51, 0, 200))


def same(found, wanted):
    """Whether two samples agree in all that a lossless format keeps."""
    assert found.name == wanted.name
    for what in ("image", "labels", "valid"):
        ours, theirs = getattr(found, what), getattr(wanted, what)
        assert (ours is None) == (theirs is None), what
        if ours is not None:
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs, err_msg=what)
    assert (found.crs, found.affine) == (wanted.crs, wanted.affine)
    assert found.bands == wanted.bands


def sample(dtype="uint8", count=3, *, name="a_1", classes=3, seed=0, **options):
    draw = np.random.default_rng(seed)
    image = draw.uniform(0, 250, (9, 7, count)).astype(dtype)
    labels = draw.integers(0, classes, (9, 7)).astype(np.uint8)
    return LabelledImage(name, image, labels, **options)


def placed(dtype, **options):
    names = tuple(f"band {i}" for i in range(4))
    place = {"crs": tiles.UTM, "affine": tiles.at(), "bands": names}
    return sample(dtype, 4, **place | options)


def through_folder(tmp_path, samples, **options):
    read = {
        key: options.pop(key) for key in ("values", "overlapping") if key in options
    }
    folder.write(samples, tmp_path / "images", tmp_path / "masks", **options)
    return list(folder.read(tmp_path / "images", tmp_path / "masks", **read))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_a_geotiff_keeps_everything(tmp_path, dtype):
    valid = np.ones((9, 7), bool)
    valid[2:4, 3:] = False
    wanted = placed(dtype, valid=valid)
    if wanted.image.dtype.kind == "f":
        wanted.image[~valid] = np.nan
    wanted.labels[0, 0] = 255
    (found,) = through_folder(tmp_path, [wanted])
    same(found, wanted)


def test_larger_geotiffs_are_tiled(tmp_path):
    for side, tiled in ((256, False), (257, True)):
        image = tiles.picture(side, side)
        pictures.write(tmp_path / "a.tif", image)
        np.testing.assert_array_equal(pictures.read(tmp_path / "a.tif")[1], image)
        with handles.opened(tmp_path / "a.tif") as file:
            assert (file.block_shapes[0] == (256, 256)) == tiled


def test_nan_in_one_band_leaves_the_pixel_valid(tmp_path):
    wanted = sample("float32")
    wanted.image[1, 2, 0] = np.nan
    (found,) = through_folder(tmp_path, [wanted])
    same(found, wanted)


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 8), st.integers(1, 8), st.sampled_from([1, 3])),
    )
)
def test_png_in_memory_keeps_every_pixel(image):
    found = pictures.decode(pictures.encode(image), name="it")
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("bands", [1, 3])
def test_png_keeps_pixels_and_what_is_valid(tmp_path, bands):
    valid = np.ones((9, 7), bool)
    valid[2:4, 3:] = False
    wanted = sample("uint8", bands, valid=valid)
    (found,) = through_folder(tmp_path, [wanted], suffix=".png", mask_suffix=".png")
    same(found, wanted)


def test_jpeg_nearly_keeps_pixels(tmp_path):
    wanted = sample()
    wanted.image[...] = np.arange(9)[:, None, None] * 20
    (found,) = through_folder(tmp_path, [wanted], suffix=".jpg", mask_suffix=".png")
    np.testing.assert_allclose(found.image, np.float64(wanted.image), atol=12)
    np.testing.assert_array_equal(found.labels, wanted.labels)


def test_overlapping_classes_are_bands(tmp_path):
    wanted = sample()
    both = np.random.default_rng(1).integers(0, 2, (9, 7, 10)).astype(np.uint8)
    wanted = dataclasses.replace(wanted, labels=both)
    (found,) = through_folder(tmp_path, [wanted], overlapping=True)
    same(found, wanted)


def test_several_folders_stack_as_bands(tmp_path):
    first, second = (sample(name="x_1"), sample("float32", 2, name="s1_1"))
    folder.write([first], tmp_path / "optical", tmp_path / "masks")
    folder.write([second], tmp_path / "radar")
    (found,) = folder.read(
        [tmp_path / "optical", tmp_path / "radar"], tmp_path / "masks"
    )
    assert found.image.shape == (9, 7, 5) and found.bands is None
    np.testing.assert_array_equal(found.image[..., :3], first.image)
    np.testing.assert_array_equal(found.image[..., 3:], second.image)


def test_values_become_ids(tmp_path):
    tiles.save(tmp_path / "images/a.tif", tiles.picture(2, 3))
    stored = np.array([[-1, 0, 1], [1, 0, -1]], np.int16)
    tiles.save(tmp_path / "masks/a.tif", stored)
    values = {-1: 255, 0: 0, 1: 1}
    (found,) = folder.read(tmp_path / "images", tmp_path / "masks", values=values)
    assert found.labels.tolist() == [[255, 0, 1], [1, 0, 255]]
    with pytest.raises(InputError, match=r"a\.tif: values -1 are no class ids, 0 to 2"):
        next(folder.read(tmp_path / "images", tmp_path / "masks"))


def test_what_is_read_can_be_prepared(tmp_path):
    made = [
        LabelledImage(
            f"s{i}", tiles.picture(64, 64, seed=i), tiles.mask(64, 64, seed=i)
        )
        for i in range(4)
    ]
    folder.write(made, tmp_path / "images", tmp_path / "masks")
    found = prepare(
        tmp_path / "data",
        images=tmp_path / "images",
        masks=tmp_path / "masks",
        chip_size=32,
        split={"by": "random", "shares": [0.5, 0.25, 0.25]},
    )
    assert len(found.scenes) == 4 and len(found.index) == 16


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_beside_masks_of_255(tmp_path, dtype, order):
    wanted = sample(dtype, 12, classes=2)
    wanted = dataclasses.replace(wanted, image=np.asarray(wanted.image, order=order))
    npy.write([wanted], tmp_path / "npy", tmp_path / "Masks")
    (found,) = npy.read(tmp_path / "npy", tmp_path / "Masks")
    same(found, wanted)
    with handles.open_quietly(tmp_path / "Masks/a_1.png") as file:
        assert set(np.unique(file.read())) == {0, 255}


def test_rasters_become_arrays(tmp_path):
    image = tiles.picture(5, 6, 4)
    tiles.save(tmp_path / "tif/IND-7.tif", image)
    (path,) = npy.from_rasters(tmp_path / "tif", tmp_path / "npy")
    np.testing.assert_array_equal(np.load(path), image)


def test_arrays_of_one_band_and_other_byte_order(tmp_path):
    plane = np.arange(6, dtype=">i2").reshape(2, 3)
    np.save(tmp_path / "a.npy", plane)
    (found,) = npy.read(tmp_path)
    assert found.image.dtype == np.dtype("int16") and found.labels is None
    np.testing.assert_array_equal(found.image[..., 0], plane)


def test_arrays_that_are_none(tmp_path):
    def told(match):
        with pytest.raises(InputError, match=match):
            npy.load_array(path)

    path = tmp_path / "a.npy"
    np.save(path, np.array([[{}]], object), allow_pickle=True)
    told(r"a\.npy: not a \.npy file of numbers .*Python objects")
    np.save(path, np.zeros((4, 4, 4)))
    path.write_bytes(path.read_bytes()[:-8])
    told(r"a\.npy: not a \.npy file of numbers")
    path.write_bytes(b"")
    told(r"a\.npy: not a \.npy file of numbers")
    np.save(path, np.zeros(4))
    told(r"a\.npy: must be numbers \[H, W, C\], got float64 \(4,\)")
    np.save(path, np.array([["a"]]))
    told(r"a\.npy: must be numbers")
    with open(path, "wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1 << 40)}
        np.lib.format.write_array_header_1_0(file, header)
    told(r"a\.npy: not a \.npy file of numbers \(overflow")


def test_a_sparse_array_is_measured_before_it_is_read(tmp_path):
    path = tmp_path / "a.npy"
    with open(path, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 16, 1 << 16)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + (1 << 32))
    with pytest.raises(InputError, match=r"a\.npy: 65536 x 65536 values of uint8"):
        npy.load_array(path)


def test_pictures_of_absurd_size_are_not_read(tmp_path):
    (tmp_path / "images").mkdir()
    path = tmp_path / "images/bomb.tif"
    options = {"driver": "GTiff", "sparse_ok": True, "tiled": True, "BIGTIFF": "YES"}
    with handles.open_quietly(
        path, "w", width=200_000, height=200_000, count=3, dtype="uint16", **options
    ):
        pass
    assert os.path.getsize(path) < 10 << 20
    told = r"bomb\.tif: 200000 x 200000 x 3 values of uint16, 224 GiB, where .* 2;"
    with pytest.raises(InputError, match=told):
        next(folder.read(tmp_path / "images"))
    with pytest.raises(InputError, match="bomb"):
        npy.from_rasters(tmp_path / "images", tmp_path / "npy")
    with pytest.raises(InputError, match="bomb"):
        pictures.colors(path)
    with pytest.raises(InputError, match="bomb"):
        masks.read(path)
    with pytest.raises(InputError, match="it: 40000 x 40000 x 3 values"):
        pictures.decode(tiles.bomb_png(40_000), name="it")


def test_bytes_that_are_no_picture():
    for data in (tiles.bomb_png(8), b"II*\0"):
        with pytest.raises(InputError, match="it: cannot be read as a picture"):
            pictures.decode(data, name="it")
    for data in (b"", b"<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>"):
        with pytest.raises(InputError, match="it: its bytes are no PNG, JPEG or TIFF"):
            pictures.decode(data, name="it")


def test_pngs_that_are_cut_short_are_told(tmp_path):
    (tmp_path / "images").mkdir()
    whole = pictures.encode(tiles.picture(64, 64).astype(np.uint8))
    for i in range(8, len(whole), len(whole) // 20):
        for data in (whole[:i], whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :]):
            with pytest.raises(InputError, match="it: a PNG that is truncated or dam"):
                pictures.decode(data, name="it")
    path = tmp_path / "images/a.png"
    path.write_bytes(whole[: len(whole) // 2])
    for read in (pictures.read, pictures.colors, masks.read):
        with pytest.raises(InputError, match=r"a\.png: a PNG that is truncated"):
            read(path)


def test_jpegs_that_are_cut_short_are_told(tmp_path):
    path = tmp_path / "a.jpg"
    pictures.write(path, tiles.picture(64, 64).astype(np.uint8))
    whole = path.read_bytes()
    np.testing.assert_array_equal(
        pictures.decode(whole, name="it"), pictures.read(path)[1]
    )
    path.write_bytes(whole[: len(whole) // 2])
    for read in (pictures.read, pictures.colors):
        with pytest.raises(InputError, match=r"a\.jpg: cannot be read"):
            read(path)


def test_what_a_format_does_not_hold(tmp_path):
    def told(match, wanted, **options):
        with pytest.raises(InputError, match=match):
            folder.write([wanted], tmp_path / "i", tmp_path / "m", **options)
        assert not list(tmp_path.rglob("*.*"))

    told(
        r"a_1\.png: \.png does not hold 4 bands of uint8; .* in 1 or 3",
        sample(count=4),
        suffix=".png",
    )
    told(
        r"a_1\.jpg: \.jpg does not hold 3 bands of float32",
        sample("float32"),
        suffix=".jpg",
    )
    told(r"a_1\.bmp: writes \.tif", sample(), suffix=".bmp")
    told("JPEG has no mask", sample(valid=np.zeros((9, 7), bool)), suffix=".jpg")
    folder.write([sample()], tmp_path / "i")
    with pytest.raises(InputError, match="JPEG would mix class values"):
        masks.write(tmp_path / "m.jpg", sample())
    with pytest.raises(InputError, match="a_1: two samples of this name"):
        folder.write([sample(), sample()], tmp_path / "i")
    with pytest.raises(InputError, match=r"ids 1 without a value; name them"):
        masks.write(tmp_path / "m.png", sample(classes=2), {0: 0})


def test_masks_of_several_values_are_not_overlapping_classes(tmp_path):
    path = tiles.save(tmp_path / "m.tif", np.uint8([[0, 1, 2]]))
    with pytest.raises(InputError, match=r"m\.tif: values 1, 2 without a class"):
        masks.read_overlapping(path)


def test_a_sample_that_cannot_be_read_is_told_and_left_out(tmp_path):
    folder.write([sample(name=f"a_{i}") for i in range(3)], tmp_path / "images")
    (tmp_path / "images/a_1.tif").write_bytes(b"II*\0 nothing")
    errors = {}
    found = folder.read(tmp_path / "images", on_error=errors.__setitem__)
    assert [each.name for each in found] == ["a_0", "a_2"]
    assert list(errors) == ["a_1"] and "a_1.tif" in str(errors["a_1"])


@pytest.mark.parametrize(
    ("match", "options"),
    [
        ("name='a/b': must be fit to name a file", {"name": "a/b"}),
        (r"a: image must be numbers \[H, W, C\]", {"image": np.zeros((2, 3))}),
        ("a: labels must be uint8", {"labels": np.zeros((2, 3))}),
        ("a: labels of 3 x 2 pixels", {"labels": np.zeros((3, 2), np.uint8)}),
        ("a: valid of 3 x 3 pixels", {"valid": np.zeros((3, 3), bool)}),
        ("a: 2 names of 1 bands", {"bands": ("x", "y")}),
    ],
)
def test_samples_whose_parts_do_not_fit(match, options):
    with pytest.raises(InputError, match=match):
        LabelledImage(**{"name": "a", "image": np.zeros((2, 3, 1))} | options)


@given(arrays.arrays(np.uint8, (5, 4), elements=st.sampled_from([0, 1, 2, 255])))
def test_painting_and_reading_colours_is_the_identity(ids):
    colors = palette.to_colors(ids, THREE, ignore=[(0, 0, 0)])
    found = palette.to_classes(colors, THREE, ignore=[(9, 9, 9), (0, 0, 0)])
    np.testing.assert_array_equal(found, ids)


def test_painted_masks_beside_pictures(tmp_path):
    wanted = [sample(name=f"a_{i}", seed=i) for i in range(2)]
    folder.write(wanted, tmp_path / "images", suffix=".png")
    palette.write(wanted, tmp_path / "masks", THREE)
    found = list(palette.read(tmp_path / "images", tmp_path / "masks", THREE))
    assert len(found) == 2
    for ours, theirs in zip(found, wanted, strict=True):
        same(ours, theirs)


def test_the_colours_of_a_table_are_those_it_names(tmp_path):
    ids = np.uint8([[0, 1], [2, 1]])
    path = tmp_path / "mask.png"
    options = {"driver": "PNG", "width": 2, "height": 2, "count": 1, "dtype": "uint8"}
    with handles.open_quietly(path, "w", **options) as file:
        file.write(ids, 1)
        file.write_colormap(1, {i: (*color, 255) for i, color in enumerate(THREE)})
    np.testing.assert_array_equal(palette.to_classes(pictures.colors(path), THREE), ids)


def test_colours_without_a_class_are_told():
    colors = palette.to_colors(np.uint8([[0, 1, 2]] * 3), THREE)
    colors[:2, 0] = 1, 2, 3
    colors[0, 1] = 4, 5, 6
    told = r"m\.png: 2 colours .*: \(1, 2, 3\) in 2 pixels, \(4, 5, 6\) in 1 pixels"
    with pytest.raises(InputError, match=told):
        palette.to_classes(colors, THREE, name="m.png")
    with pytest.raises(InputError, match="2 channels of uint8, expected uint8 and"):
        palette.to_classes(colors[..., :2], THREE)
    with pytest.raises(InputError, match="ids 3, 255 without a colour"):
        palette.to_colors(np.uint8([[0, 3, 255]]), THREE)
    for wrong in ((), ((1, 2), (1,)), ((300,),)):
        with pytest.raises(InputError, match="must be 1 to 255 colours"):
            palette.to_classes(colors, wrong)
    with pytest.raises(InputError, match="names a colour twice"):
        palette.to_classes(colors, ((1,), (1,)))


def test_the_real_painted_mask(real_data):
    pair = real_data / "deforestation_pair"
    (found,) = palette.read(
        pair / "image.png", pair / "mask.png", palette.DEFORESTATION
    )
    assert np.bincount(found.labels.ravel()).tolist() == [139613, 122531]
    painted = palette.to_colors(found.labels, THREE)
    np.testing.assert_array_equal(painted, pictures.colors(pair / "mask.png"))


def test_real_masks_of_1_and_2(real_data, tmp_path):
    root = real_data / "amazon_deforestation_rgb/training"
    values = {1: 0, 2: 1}
    found = list(folder.read(root / "images", root / "masks", values=values))
    assert len(found) == 2
    for each in found:
        assert set(np.unique(each.labels)) == {0, 1}
    again = through_folder(tmp_path, found)
    for ours, theirs in zip(again, found, strict=True):
        same(ours, theirs)


def test_real_labels_of_minus_1(real_data, tmp_path):
    root = real_data / "sen1floods11"
    values = {-1: 255, 0: 0, 1: 1}
    found = list(folder.read(root / "S1", root / "Labels", values=values))
    assert {255, 0, 1} == set(np.unique([each.labels for each in found]))
    for ours, theirs in zip(through_folder(tmp_path, found), found, strict=True):
        same(ours, theirs)


def test_real_rasters_that_are_awkward(real_data, tmp_path):
    root = real_data / "edge_rasters"
    stack = root / "galamsey-sentinel__galamsey_001.tif"
    (found,) = folder.read(stack)
    assert found.image.dtype == np.float64 and found.bands is None
    folder.write([found], tmp_path / "images")
    (again,) = folder.read(tmp_path / "images")
    same(again, found)
    (path,) = npy.from_rasters(stack, tmp_path / "npy")
    np.testing.assert_array_equal(np.load(path), found.image)
    with pytest.raises(InputError, match="ground control points alone"):
        next(folder.read(root / "rio-tiler__cog_gcps.tif"))
