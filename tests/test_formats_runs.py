"""Run lengths and DSTL's outlines: masks as text, and back."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minenet.data.formats import (
    LabelledImage,
    dstl,
    dstl_wkt,
    folder,
    runs,
    tables,
)
from minenet.types import InputError
from tests import tiles

MASKS = arrays.arrays(
    np.uint8,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.integers(0, 1),
)


@given(MASKS, st.sampled_from(["rows", "columns"]))
def test_masks_come_back(mask, order):
    found = runs.decode(runs.encode(mask, order=order), *mask.shape, order=order)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, mask)


@given(MASKS)
def test_columns_are_the_rows_of_the_transpose(mask):
    assert runs.encode(mask, order="columns") == runs.encode(mask.T, order="rows")


@given(MASKS)
def test_runs_are_those_of_a_loop(mask):
    wanted, length = [], 0
    for i, value in enumerate([*mask.ravel().tolist(), 0]):
        if value:
            length += 1
        elif length:
            wanted += [i - length + 1, length]
            length = 0
    assert runs.encode(mask, order="rows") == " ".join(map(str, wanted))


def test_runs_may_meet_and_come_in_any_order():
    found = runs.decode("5 2 1 3 2 3", 2, 3, order="rows")
    assert found.tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("1 x", r"a\.csv: not a run-length code \(.*'x'"),
        ("1 2 3", r"a\.csv: 3 numbers, expected pairs"),
        ("0 1", "the run 0 1 leaves the 6 pixels of 2 x 3; starts count from 1"),
        ("6 2", "the run 6 2 leaves"),
        ("1 0", "the run 1 0 leaves"),
        ("1 9223372036854775807", "the run 1 9223372036854775807 leaves"),
        ("1 99999999999999999999", "not a run-length code"),
    ],
)
def test_codes_that_are_none(code, match):
    with pytest.raises(InputError, match=match):
        runs.decode(code, 2, 3, order="rows", name="a.csv")


def test_there_are_two_orders():
    with pytest.raises(ValueError, match="order='F': must be 'rows' or 'columns'"):
        runs.encode(np.zeros((1, 1)), order="F")


@pytest.mark.parametrize("order", ["rows", "columns"])
def test_tables_of_codes(tmp_path, order):
    wanted = [
        LabelledImage(f"s{i}", tiles.picture(6, 7, seed=i), tiles.mask(6, 7, seed=i))
        for i in range(3)
    ]
    wanted[1].labels[...] = 0
    folder.write(wanted, tmp_path / "images")
    table = tmp_path / "codes.csv"
    assert runs.write(table, wanted, order=order) == 3
    found = list(runs.read(table, tmp_path / "images", order=order))
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.name == theirs.name
        np.testing.assert_array_equal(ours.image, theirs.image)
        np.testing.assert_array_equal(ours.labels, theirs.labels)


def test_rows_of_one_picture_are_united(tmp_path):
    tiles.save(tmp_path / "s.png", np.zeros((2, 3), np.uint8))
    table = tmp_path / "codes.csv"
    table.write_text("ImageId,EncodedPixels\ns.png,1 2\ns.png,2 2\n")
    (found,) = runs.read(table, tmp_path / "s.png", order="rows")
    assert found.labels.tolist() == [[1, 1, 1], [0, 0, 0]]
    table.write_text("ImageId,EncodedPixels\ns.png,1 2\nt.png,2 2\n")
    with pytest.raises(InputError, match=r"codes\.csv: no picture of 't\.png' among"):
        list(runs.read(table, tmp_path / "s.png", order="rows"))


def test_tables_that_are_none(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(InputError, match=r"a\.csv: not a CSV table"):
        tables.read(path, [])
    unclosed, uneven = b'a,b\n1,"never\n2,3\n', b"a,b\n1,2\n4,5,6,7\n"
    for bad in (b"", unclosed, uneven, b"\xff\n"):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"a\.csv: not a CSV table"):
            tables.read(path, [])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"a\.csv: no column 'c'; it has a, b"):
        tables.read(path, ["c"])


def test_fields_of_megabytes_are_read(tmp_path):
    path, points = tmp_path / "a.csv", np.arange(200_000)
    ring = ", ".join(f"{x} {x * x % 7}" for x in points)
    wkt = f"MULTIPOLYGON ((({ring}, 0 0)))"
    path.write_text(f'ImageId,ClassType,MultipolygonWKT\na,1,"{wkt}"\n')
    assert len(wkt) > 1 << 20
    (outline,) = dstl_wkt.read_outlines(path)["a"].values()
    assert len(shapely.get_coordinates(outline)) == 200_001


SIZE = (0.009188, -0.00904)
SIZES = {"6010_1_2": SIZE, "6020_0_0": (0.009169, -0.009041)}


def test_the_rule_that_scales():
    # W' = W * W / (W + 1), x' = x * W' / Xmax, for a picture of the usual size.
    height, width = 3348, 3396
    x, y = 0.004, -0.0021
    col, row = ~dstl_wkt.affine(height, width, SIZE) @ (x, y)
    assert col == pytest.approx(x * (width * width / (width + 1)) / SIZE[0], rel=1e-12)
    assert row == pytest.approx(
        y * (height * height / (height + 1)) / SIZE[1], rel=1e-12
    )


@settings(max_examples=20)
@given(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(10)),
        elements=st.integers(0, 1),
    )
)
def test_a_submission_reads_back_to_the_same_pixels(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("s") / "submission.csv"
    rows = dstl_wkt.write(path, [("6010_1_2", labels)], SIZES)
    assert rows == 10
    assert path.read_text().startswith("ImageId,ClassType,MultipolygonWKT\n6010_1_2,1,")
    outlines = dstl_wkt.read_outlines(path)["6010_1_2"]
    assert all(outline.is_valid for outline in outlines.values())
    height, width = labels.shape[:2]
    found = dstl_wkt.rasterize(outlines, height=height, width=width, size=SIZE)
    np.testing.assert_array_equal(found, labels)


def test_small_patches_go_and_outlines_are_made_smooth(tmp_path):
    labels = np.zeros((40, 40, 10), np.uint8)
    labels[2, 2, 0] = 1
    labels[:, :, 1] = np.tri(40)
    path = tmp_path / "s.csv"
    dstl_wkt.write(path, [("6010_1_2", labels)], SIZES, min_area_px=5, simplify_px=1.0)
    outlines = dstl_wkt.read_outlines(path)["6010_1_2"]
    assert outlines[1].is_empty
    assert len(shapely.get_coordinates(outlines[2])) < 10
    found = dstl_wkt.rasterize(outlines, height=40, width=40, size=SIZE)
    assert (found[..., 1] != labels[..., 1]).sum() <= 40


def test_submissions_that_cannot_be_written(tmp_path):
    labels = np.zeros((4, 4, 10), np.uint8)

    def told(match, *rows):
        with pytest.raises(InputError, match=match):
            dstl_wkt.write(tmp_path / "s.csv", rows, SIZES)

    told("nowhere: not in the grid sizes", ("nowhere", labels))
    told("6020_0_0: twice", ("6020_0_0", labels), ("6020_0_0", labels))
    told(r"6020_0_0: labels must be \[H, W, 10\]", ("6020_0_0", labels[..., :3]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ('a,1,"POLYGON ((0 0, nan 1, 1 1, 0 0))"', "a, ClassType 1: WKT has NaN"),
        ('a,1,"POLYGON ((0 0, inf 1, 1 1, 0 0))"', "WKT has NaN or infinite"),
        ('a,1,"POLYGON ((0 0, 1 1"', r"w\.csv: a, ClassType 1: not WKT \("),
        ("a,1,", "a, ClassType 1: not WKT"),
        ('a,1,"LINESTRING (0 0, 1 1)"', "LineString, expected MULTIPOLYGON"),
        ('a,1,"GEOMETRYCOLLECTION (POINT (0 0))"', "GEOMETRYCOLLECTION, expected"),
        ("a,11,MULTIPOLYGON EMPTY", "a, ClassType 11: expected 1 to 10"),
        ("a,1,MULTIPOLYGON EMPTY\na,1,MULTIPOLYGON EMPTY", "ClassType 1: two rows"),
    ],
)
def test_outlines_that_are_none(tmp_path, row, match):
    path = tmp_path / "w.csv"
    path.write_text(f"ImageId,ClassType,MultipolygonWKT\n{row}\n")
    with pytest.raises(InputError, match=match):
        dstl_wkt.read_outlines(path)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("a,0.009,0.009", r"g\.csv: a: Xmax 0\.009, Ymin 0\.009; expected numbers"),
        ("a,nan,-0.009", "Xmax nan"),
        ("a,inf,-0.009", "Xmax inf"),
        ("a,x,-0.009", "Xmax x"),
        ("a,0.009,-0.009\na,0.009,-0.009", "a: two rows; keep one"),
    ],
)
def test_sizes_that_are_none(tmp_path, row, match):
    path = tmp_path / "g.csv"
    path.write_text(f",Xmax,Ymin\n{row}\n")
    with pytest.raises(InputError, match=match):
        dstl_wkt.read_sizes(path)


def dstl_folder(root, labels):
    """Two pictures, one of them labelled."""
    return tiles.dstl(root, {"6010_1_2": labels}, SIZES)


def test_the_folder_of_the_challenge(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, (48, 52, 10)).astype(np.uint8)
    root = dstl_folder(tmp_path, labels)
    (found,) = dstl.read(root)
    assert found.name == "6010_1_2" and found.image.shape == (48, 52, 20)
    assert found.image.dtype == np.uint16
    assert found.bands[:5] == ("RGB_1", "RGB_2", "RGB_3", "P_1", "M_1")
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.image[..., :3], tiles.picture(48, 52, 3))
    np.testing.assert_array_equal(found.image[..., 3:4], tiles.picture(48, 52, 1, 1))

    names = [each.name for each in dstl.read(root, outlines=None, sets=["M"])]
    assert names == list(SIZES)
    (other,) = dstl.read(root, sets=["M", "A"], names=["6020_0_0"])
    assert other.labels is None and other.image.shape == (12, 13, 16)
    np.testing.assert_array_equal(other.image[..., :8], tiles.picture(12, 13, 8, 12))


def test_rasters_are_registered_by_size(tmp_path):
    root = dstl_folder(tmp_path, np.zeros((48, 52, 10), np.uint8))
    plane = np.add.outer(np.arange(12) * 40, np.arange(13) * 10) + 100
    image = np.repeat(plane[..., None], 8, -1).astype(np.uint16)
    tiles.save(root / "sixteen_band/6010_1_2_M.tif", image)
    (found,) = dstl.read(root, sets=["RGB", "M"])
    # A pixel is 4 here: its middle lies between the second and the third.
    wanted = 100 + np.add.outer(
        ((np.arange(48) + 0.5) / 4 - 0.5) * 40, ((np.arange(52) + 0.5) / 4 - 0.5) * 10
    )
    middle = np.s_[8:-8, 8:-8]
    np.testing.assert_allclose(found.image[..., 5][middle], wanted[middle], atol=1)


def test_folders_of_the_challenge_that_are_not_whole(tmp_path):
    root = dstl_folder(tmp_path, np.zeros((48, 52, 10), np.uint8))
    with pytest.raises(ValueError, match="must be of RGB, P, M, A, not Q"):
        next(dstl.read(root, sets=["Q"]))
    with pytest.raises(InputError, match=r"grid_sizes\.csv: no row of 7"):
        next(dstl.read(root, names=["7"]))
    folder_ = root / "sixteen_band"
    (folder_ / "6010_1_2_A.tif").rename(folder_ / "6010_1_2_P.tif")
    with pytest.raises(InputError, match=r"_P\.tif: 8 bands, expected the 1 of P"):
        next(dstl.read(root))
    errors = {}
    found = dstl.read(root, sets=["A"], outlines=None, on_error=errors.__setitem__)
    assert [each.name for each in found] == ["6020_0_0"]
    assert "6010_1_2_A.tif: no such raster" in str(errors["6010_1_2"])
