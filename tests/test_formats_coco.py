"""COCO JSON: masks as objects, and back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minenet.data.formats import LabelledImage, coco, coco_rle, coco_writer, folder
from minenet.types import InputError
from tests import tiles

CLASSES = ("building", "pond")
# pycocotools 2.0.11 has not heard of NumPy 2's way to make arrays.
OLD_ARRAY = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")
MASKS = arrays.arrays(
    np.uint8,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.integers(0, 1),
)


def library():
    return pytest.importorskip(
        "pycocotools.mask", reason="the oracle needs pycocotools"
    )


@given(MASKS)
def test_run_lengths_come_back(mask):
    counts = coco_rle.encode(mask)
    np.testing.assert_array_equal(coco_rle.decode(counts, *mask.shape), mask)
    text = coco_rle.compress(counts)
    np.testing.assert_array_equal(coco_rle.decode(text, *mask.shape), mask)


@given(st.lists(st.integers(0, 1 << 30), max_size=9))
def test_any_lengths_survive_compression(counts):
    assert coco_rle.decompress(coco_rle.compress(counts)) == counts


@given(MASKS)
def test_the_library_writes_the_same_run_lengths(mask):
    wanted = library().encode(np.asfortranarray(mask))["counts"].decode()
    assert coco_rle.compress(coco_rle.encode(mask)) == wanted


@pytest.mark.parametrize(
    ("counts", "match"),
    [
        ([1, 2], "a: run lengths must be whole numbers that add up to the 6 pixels"),
        ([7, -1], "run lengths must"),
        ([True, 5], "run lengths must"),
        ([1.0, 5], "run lengths must"),
        ("\x01", r"a: '\\x01' is not of a compressed run length"),
        ("Q", "a: the compressed run lengths end within a number"),
    ],
)
def test_run_lengths_that_are_none(counts, match):
    with pytest.raises(InputError, match=match):
        coco_rle.decode(counts, 2, 3, name="a")


def sample(labels, name="s", seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (*labels.shape[:2], 3))
    return LabelledImage(name, image.astype(np.uint8), labels)


def through(root, samples, *, style="polygons", classes=CLASSES, **options):
    path = root / "annotation.json"
    coco_writer.write(path, samples, root / "images", classes=classes, style=style)
    return list(coco.read(path, root / "images", **options))


@settings(max_examples=15)
@given(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.integers(0, 2),
    ),
    st.sampled_from(["polygons", "runs", "compressed"]),
)
def test_classes_come_back(tmp_path_factory, labels, style):
    root = tmp_path_factory.mktemp("coco")
    (found,) = through(root, [sample(labels)], style=style, task="exclusive")
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.image, sample(labels).image)


@pytest.mark.parametrize("style", ["polygons", "runs", "compressed"])
def test_overlapping_classes_come_back(tmp_path, style):
    labels = np.random.default_rng(0).integers(0, 2, (20, 30, 2)).astype(np.uint8)
    (found,) = through(tmp_path, [sample(labels)], style=style, task="multilabel")
    np.testing.assert_array_equal(found.labels, labels)
    (united,) = coco.read(tmp_path / "annotation.json", tmp_path / "images")
    np.testing.assert_array_equal(united.labels, labels.any(-1))
    (one,) = coco.read(
        tmp_path / "annotation.json", tmp_path / "images", classes=["pond"]
    )
    np.testing.assert_array_equal(one.labels, labels[..., 1])


@OLD_ARRAY
def test_objects_are_those_that_the_library_reads(tmp_path):
    mask = library()
    labels = tiles.mask(16, 20, seed=1)
    labels[0, 0] = 1
    through(tmp_path, [sample(labels)])
    written = json.loads((tmp_path / "annotation.json").read_text())
    drawn = np.zeros(labels.shape, np.uint8)
    for each in written["annotations"]:
        rle = mask.merge(mask.frPyObjects(each["segmentation"], *labels.shape))
        assert mask.area(rle) == each["area"]
        assert mask.toBbox(rle).tolist() == each["bbox"]
        drawn |= mask.decode(rle)
    np.testing.assert_array_equal(drawn, labels)
    assert len(written["annotations"]) == 2


def written(root, annotations, *, images=None, size=(40, 40), **more):
    """A file as others write it, with one picture."""
    tiles.save(root / "images/000.png", np.zeros((*size, 3), np.uint8))
    entry = {"id": 7, "file_name": "000.png", "height": size[0], "width": size[1]}
    value = {
        "images": [entry] if images is None else images,
        "annotations": [
            {"id": i, "image_id": 7, "category_id": 100} | each
            for i, each in enumerate(annotations)
        ],
        "categories": [{"id": 100, "name": "building"}],
    }
    path = root / "annotation.json"
    path.write_text(json.dumps(value | more))
    return path


def read(root, annotations, **options):
    return list(coco.read(written(root, annotations, **options), root / "images"))


def test_overlaps_are_united(tmp_path):
    ring = [2, 2, 20, 2, 20, 20, 2, 20]
    other = [10, 10, 30, 10, 30, 30, 10, 30]
    (found,) = read(tmp_path, [{"segmentation": [ring]}, {"segmentation": [other]}])
    wanted = np.zeros((40, 40), np.uint8)
    wanted[2:20, 2:20] = wanted[10:30, 10:30] = 1
    np.testing.assert_array_equal(found.labels, wanted)
    (rings,) = read(tmp_path, [{"segmentation": [ring, other]}])
    np.testing.assert_array_equal(rings.labels, wanted)


@OLD_ARRAY
def test_slanted_outlines_are_nearly_those_of_the_library(tmp_path):
    mask, draw = library(), np.random.default_rng(0)
    for _ in range(5):
        angles = np.sort(draw.uniform(0, 2 * np.pi, 9))
        radii = draw.uniform(8, 18, 9)
        points = 20 + radii * np.array([np.cos(angles), np.sin(angles)])
        ring = points.T.ravel().tolist()
        (found,) = read(tmp_path, [{"segmentation": [ring]}])
        theirs = mask.decode(mask.merge(mask.frPyObjects([ring], 40, 40)))
        both = (found.labels & theirs).sum() / (found.labels | theirs).sum()
        assert both > 0.9


def test_pictures_without_objects_and_outlines_without_area(tmp_path):
    (found,) = read(tmp_path, [{"segmentation": [[1, 1, 5, 5]]}, {"segmentation": []}])
    assert found.name == "000" and not found.labels.any()
    assert not read(tmp_path, [])[0].labels.any()


@pytest.mark.parametrize(
    ("outline", "match"),
    [
        ([[1, 1, 5, 5, 9]], "its segmentation must be lists of finite"),
        ([[1, 1, 5, float("nan"), 9, 9]], "must be lists of finite"),
        ([["a", 1, 5, 2, 9, 9]], "must be lists of finite"),
        (None, "must be lists of finite"),
        ({"size": [4, 4], "counts": [16]}, r"run lengths of \[4, 4\], but a picture"),
        ({"size": [40, 40]}, "no counts in its run lengths"),
        ({"size": [40, 40], "counts": [3]}, "add up to the 1600 pixels"),
    ],
)
def test_outlines_that_are_none(tmp_path, outline, match):
    with pytest.raises(InputError, match=r"\.json: annotation 0: .*" + match):
        read(tmp_path, [{"segmentation": outline}])


def test_files_whose_parts_do_not_fit(tmp_path):
    entry = {"id": 7, "file_name": "000.png", "height": 40, "width": 40}

    def told(match, annotations=(), **options):
        with pytest.raises(InputError, match=match):
            read(tmp_path, annotations, **options)

    told(r"annotation\.json: two images have the id 7", images=[entry, entry])
    told("two annotations have the id 3", [{"id": 3}, {"id": 3}])
    told("annotation 0 has image_id 8, which is not there", [{"image_id": 8}])
    told("annotation 0 has category_id 1, which", [{"category_id": 1}])
    told("not COCO's JSON", images=[{"file_name": "000.png"}])
    told("not COCO's JSON", annotations=(), categories=None)
    told(
        r"000\.png: 40 x 40 pixels, but .* says 300 x 300",
        images=[entry | {"height": 300, "width": 300}],
    )
    told(
        r"the picture of id 7 is not there: .*gone\.png; check the folder",
        images=[entry | {"file_name": "gone.png"}],
    )
    path = written(tmp_path, [])
    with pytest.raises(InputError, match=r"classes: pool not in .*; it has building"):
        next(coco.read(path, tmp_path / "images", classes=["pool"]))
    with pytest.raises(ValueError, match="task='three'"):
        next(coco.read(path, tmp_path / "images", task="three"))
    path.write_text(path.read_text()[:-9])
    with pytest.raises(InputError, match=r"annotation\.json: not a JSON file"):
        coco.load(path)


def test_a_missing_picture_is_told_and_left_out(tmp_path):
    labels = [tiles.mask(8, 8, seed=i) for i in range(3)]
    through(tmp_path, [sample(each, name=f"s{i}") for i, each in enumerate(labels)])
    (tmp_path / "images/s1.png").unlink()
    errors = {}
    found = coco.read(
        tmp_path / "annotation.json", tmp_path / "images", on_error=errors.__setitem__
    )
    assert [each.name for each in found] == ["s0", "s2"]
    assert list(errors) == ["s1"]


def test_labels_that_coco_does_not_know(tmp_path):
    def told(match, value, **options):
        labels = np.full((4, 4), value, np.uint8)
        with pytest.raises(InputError, match=match):
            through(tmp_path, [sample(labels)], **options)

    told("s: label 3 is none of 0 .background., 1 building, 2 pond; name it", 3)
    told("s: label 255 is none of .*; fill it first", 255)
    with pytest.raises(InputError, match="s: 3 bands of labels, but 2 classes"):
        through(tmp_path, [sample(np.zeros((4, 4, 3), np.uint8))])
    with pytest.raises(ValueError, match="style='lines'"):
        through(tmp_path, [], style="lines")


def test_the_real_masks_come_back(real_data, tmp_path):
    root = real_data / "amazon_deforestation_rgb/validation"
    wanted = list(folder.read(root / "images", root / "masks", values={1: 0, 2: 1}))
    for style in ("polygons", "compressed"):
        path = tmp_path / f"{style}.json"
        coco_writer.write(
            path,
            wanted,
            tmp_path / style,
            classes=["forest"],
            style=style,
            suffix=".tif",
        )
        for ours, theirs in zip(coco.read(path, tmp_path / style), wanted, strict=True):
            np.testing.assert_array_equal(ours.image, theirs.image)
            np.testing.assert_array_equal(ours.labels, theirs.labels)
