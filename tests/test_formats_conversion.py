"""Formats by their names: into folders that `prepare` reads, and out of maps."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS

from minenet.data import prepare
from minenet.data.formats import (
    LabelledImage,
    coco,
    coco_writer,
    conversion,
    deforestation,
    dstl_wkt,
    folder,
    maps,
    npy,
    palette,
    reading,
    runs,
)
from minenet.geo import raster
from minenet.types import InputError
from tests import tiles

COLORS = ((0, 0, 0), (255, 0, 0), (0, 0, 255))
SIZE = 24, 20


def samples(count=4, classes=2):
    """Pictures of 8 bits, the first with two thirds of its pixels in no class."""
    for i in range(count):
        image = np.random.default_rng(i).integers(1, 256, (*SIZE, 3)).astype(np.uint8)
        labels = tiles.mask(*SIZE, seed=i) * np.uint8(1 + i % (classes - 1 or 1))
        yield LabelledImage(f"s_{i}", image, labels)


def written(root, name):
    """Samples in a format, and the options that read them back as three classes."""
    options, found = {}, list(samples(classes=3))
    if name == "coco":
        classes = ("pit", "pond")
        path = root / "a.json"
        coco_writer.write(path, found, root / "images", classes=classes)
        options["annotations"] = str(path)
    elif name == "tfrecord":
        deforestation.write(found, root / "images")
    elif name == "npy":
        folder.write(found, root / "pictures", root / "masks", mask_suffix=".png")
        npy.write(found, root / "images")
        options["masks"] = str(root / "masks")
    elif name == "palette":
        folder.write(found, root / "images", suffix=".png")
        palette.write(found, root / "masks", COLORS)
        options |= {"masks": str(root / "masks"), "palette": COLORS}
    else:
        folder.write(found, root / "images", suffix=".png")
        runs.write(root / "a.csv", found, order="rows")
        options |= {"annotations": str(root / "a.csv"), "order": "rows"}
    return options


def three(root, name, **options):
    """Arguments that read what `written` wrote."""
    classes = ("background", "pit", "pond")
    task = {"task": "exclusive", "classes": classes}
    if name == "runs":
        task = {}
    return {"name": name, "images": str(root / "images"), **task, **options}


def back(out):
    return list(folder.read(out / "images", out / "masks"))


@pytest.mark.parametrize("name", [n for n in reading.names() if n != "dstl"])
def test_every_format_becomes_folders_of_its_pixels(tmp_path, name):
    options = three(tmp_path, name, **written(tmp_path, name))
    done = conversion.convert(tmp_path / "out", **options)
    assert done == {"samples": 4, "left_out": 0}
    for found, wanted in zip(back(tmp_path / "out"), samples(classes=3), strict=True):
        np.testing.assert_array_equal(found.image, wanted.image)
        wanted = wanted.labels == 1 if name == "runs" else wanted.labels
        np.testing.assert_array_equal(found.labels, wanted)


def test_a_class_of_the_challenge_is_picked_by_its_name(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, (48, 52, 10)).astype(np.uint8)
    tiles.dstl(tmp_path / "dstl", {"a": labels}, {"a": (0.009, -0.009)})
    found = reading.read("dstl", tmp_path / "dstl", classes=("crops",), sets=("P",))
    (found,) = found
    np.testing.assert_array_equal(found.labels, labels[..., 5])
    assert found.bands == ("P_1",)
    options = {"task": "multilabel", "classes": ("trees", "roads")}
    (found,) = reading.read("dstl", tmp_path / "dstl", **options)
    np.testing.assert_array_equal(found.labels, labels[..., [4, 2]])


def test_what_is_converted_can_be_prepared(tmp_path):
    options = written(tmp_path, "coco")
    conversion.convert(tmp_path / "out", **three(tmp_path, "coco", **options))
    task = {"task": "exclusive", "classes": ("background", "pit", "pond")}
    made = prepare.prepare(
        tmp_path / "data",
        **task,
        **conversion.prepared_from(tmp_path / "out", **task),
        split={"shares": (0.5, 0.25, 0.25)},
        chip_size=20,
    )
    wanted = [np.mean(each.labels[:20] == 1) for each in samples(classes=3)]
    first = made.index[made.index.row == 0].sort_values("scene")
    np.testing.assert_allclose(first["share_1"], wanted)


def test_pixels_that_do_not_count_are_not_mines(tmp_path):
    (one,) = samples(1)
    labels = one.labels.copy()
    labels[:3] = 255
    written = [dataclasses.replace(one, labels=labels, name=n) for n in "ab"]
    deforestation.write(written, tmp_path / "records", classes=2)
    conversion.convert(
        tmp_path / "out", name="tfrecord", images=str(tmp_path / "records")
    )
    told = conversion.prepared_from(tmp_path / "out", task="binary", classes=("mine",))
    assert told["values"] == {0: 0, 1: 1, 255: 255}
    for found in back(tmp_path / "out"):
        np.testing.assert_array_equal(found.labels, labels)


def tree(out):
    return {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_a_conversion_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    options = three(tmp_path, "tfrecord", **written(tmp_path, "tfrecord"))
    conversion.convert(tmp_path / "whole", **options)

    class Stopped(Exception):
        pass

    write, seen = folder.write, []

    def stopping(samples, *where):
        (sample,) = samples
        seen.append(sample.name)
        if len(seen) == 3:
            raise Stopped
        write([sample], *where)

    monkeypatch.setattr(folder, "write", stopping)
    with pytest.raises(Stopped):
        conversion.convert(tmp_path / "out", **options)
    assert json.loads((tmp_path / "out/format.json").read_text())["done"] is None
    # An image without its mask is not a sample.
    (tmp_path / "out/masks" / f"{seen[1]}.tif").unlink()
    conversion.convert(tmp_path / "out", **options)
    assert seen[3:] == [seen[1], seen[2], f"{seen[0][:-1]}3"]
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    conversion.convert(tmp_path / "out", **options)
    assert len(seen) == 6


def test_what_was_converted_otherwise_is_not_taken(tmp_path):
    options = three(tmp_path, "tfrecord", **written(tmp_path, "tfrecord"))
    out = tmp_path / "out"
    done = conversion.convert(out, **options)
    assert conversion.convert(out, **options) == done
    with pytest.raises(InputError, match=r"out was converted .* \(options differ\)"):
        conversion.convert(out, **options | {"classes": ("land", "pit", "pond")})
    (path,) = (tmp_path / "images").iterdir()
    shutil.copy(path, path.with_stem("more"))
    with pytest.raises(InputError, match=r"\(sizes differ\); delete it, or give"):
        conversion.convert(out, **options)
    # What was not finished is not waited for.
    told = json.loads((out / "format.json").read_text())
    (out / "format.json").write_text(json.dumps(told | {"done": None}))
    assert conversion.convert(out, **options)["samples"] == 8
    (out / "format.json").unlink()
    with pytest.raises(InputError, match="out holds other images or masks; give"):
        conversion.convert(out, **options)


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path):
    options = three(tmp_path, "palette", **written(tmp_path, "palette"))
    (tmp_path / "images/s_1.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"s_1\.png: not a raster"):
        conversion.convert(tmp_path / "strict", **options)
    errors = {}
    for _ in range(2):  # the second finds it done
        done = conversion.convert(
            tmp_path / "out", **options, on_error=errors.__setitem__
        )
        assert done == {"samples": 3, "left_out": 1} and list(errors) == ["s_1"]
    for path in (tmp_path / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of 4 samples .* the first: .*s_0.png"):
        conversion.convert(tmp_path / "none", **options, on_error=errors.__setitem__)
    assert not (tmp_path / "none/images").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"name": "coc"}, "format: 'coc', expected one of coco, dstl, npy, palette, r"),
        ({"name": "coco"}, "annotations: missing; the format coco needs it"),
        ({"name": "npy", "order": "rows"}, "order: not of the format npy, which has m"),
        ({"name": "tfrecord", "masks": "m"}, "masks: not of the .* which has no opti"),
        (
            {"name": "palette", "masks": "m", "palette": COLORS},
            "palette: 3 colours, expected one for each of the 2 ids, the background",
        ),
        (
            {"name": "tfrecord", "task": "multilabel", "classes": ("a", "b")},
            "task: tfrecord says one class of a pixel; multilabel is for coco, dstl",
        ),
        (
            {"name": "dstl", "classes": ("mine",)},
            "the ten classes of DSTL: no mine; it has buildings, .*: name classes so",
        ),
        (
            {"name": "dstl", "values": {"crops": 2}},
            "values: 'crops' → 2, expected an id from 0 to 1, or 255",
        ),
    ],
)
def test_options_that_cannot_be(tmp_path, options, match):
    with pytest.raises(InputError, match=match) as told:
        reading.read(**{"images": str(tmp_path)} | options)
    assert "\n" not in str(told.value)


def test_kinds_of_objects_become_the_ids_that_are_asked_for():
    def ids(task, *classes, values=None):
        labelling = reading.Labelling(task, classes, values)
        return labelling.of_kinds(("pit", "pond", "road"), "a.json")

    assert ids("binary", "pond") == {"pond": 1}
    assert ids("exclusive", "land", "road", "pit") == {"road": 1, "pit": 2}
    assert ids("multilabel", "road", "pit") == {"road": 1, "pit": 2}
    values = {"pit": 1, "pond": 1, "road": 255}
    assert ids("binary", "mine", values=values) == values
    assert ids("binary", "mine", values={"pit": 1, "road": 0}) == {"pit": 1}
    assert reading.Labelling("binary", ("mine",)).of_kinds(["pit"], "a") == {"pit": 1}
    with pytest.raises(InputError, match=r"a\.json: no mine; it has pit, pond, road"):
        ids("binary", "mine")


def test_kinds_lie_on_each_other_in_order():
    masks = np.array([[[1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 0]]])

    def merged(task, *classes, ids):
        return reading.Labelling(task, classes).merged(masks, ids)[0].tolist()

    assert merged("exclusive", "a", "b", "c", ids=(1, 2, 255)) == [2, 255, 1, 0]
    assert merged("binary", "a", ids=(255, 1, 1)) == [255, 1, 255, 0]
    found = merged("multilabel", "a", "b", ids=(1, 2, 255))
    assert found == [[1, 1], [255, 255], [1, 0], [0, 0]]
    assert merged("multilabel", "a", "b", ids=(255, 2, 1)) == [
        [255, 255],
        [1, 1],
        [255, 255],
        [0, 0],
    ]


# Out.

UTM = CRS.from_epsg(32723)


def mapped(root, labels, *, task, classes):
    """Maps as `infer.scene` writes them."""
    for name, ids in labels.items():
        ids = ids if ids.ndim == 3 else ids[..., None]
        with raster.create(
            root / f"{name}_class.tif",
            height=ids.shape[0],
            width=ids.shape[1],
            count=ids.shape[2],
            dtype=np.uint8,
            nodata=255,
            crs=UTM,
            affine=tiles.at(),
            tags={"MINENET_TASK": task, "MINENET_CLASSES": ",".join(classes)},
        ) as write:
            write(ids, 0)
    return root


def ids(classes, count=3):
    """Maps of ids, a corner of each without data."""
    found = {each.name: each.labels for each in samples(count, classes)}
    for labels in found.values():
        labels[-2:, -2:] = 255
    return found


def test_exclusive_maps_go_out_and_come_back(tmp_path):
    wanted = ids(3)
    classes = ("background", "pit", "pond")
    root = mapped(tmp_path / "maps", wanted, task="exclusive", classes=classes)
    images = tmp_path / "images"
    folder.write(samples(3), images)

    assert maps.export("npy", root, tmp_path / "npy") == 3
    for name, labels in wanted.items():
        array = np.load(tmp_path / f"npy/{name}.npy")
        np.testing.assert_array_equal(array, labels)

    maps.export("tfrecord", root, tmp_path / "records", images=str(images))
    found = deforestation.read(tmp_path / "records")
    for sample, image in zip(found, samples(3), strict=True):
        np.testing.assert_array_equal(sample.image, image.image)
        np.testing.assert_array_equal(sample.labels, wanted[image.name])

    maps.export("coco", root, tmp_path / "a.json")
    for entry in json.loads((tmp_path / "a.json").read_text())["images"]:
        assert entry["file_name"] in {f"{name}.tif" for name in wanted}
    found = coco.read(tmp_path / "a.json", images, task="exclusive")
    for sample in found:
        labels = np.where(wanted[sample.name] == 255, 0, wanted[sample.name])
        np.testing.assert_array_equal(sample.labels, labels)


def test_maps_of_one_class_become_a_table_of_runs(tmp_path):
    wanted = ids(2)
    root = mapped(tmp_path / "maps", wanted, task="binary", classes=("mine",))
    folder.write(samples(3), tmp_path / "images")
    maps.export("runs", root, tmp_path / "a.csv", order="columns")
    found = runs.read(tmp_path / "a.csv", tmp_path / "images", order="columns")
    for sample in found:
        np.testing.assert_array_equal(sample.labels, wanted[sample.name] == 1)


def test_maps_become_a_submission(tmp_path):
    # All ten, two that overlap, and one alone: each in its own place.
    sizes = {"s_0": (0.009, -0.009), "s_1": (0.008, -0.0085)}
    rows = [f"{name},{x},{y}" for name, (x, y) in sizes.items()]
    (tmp_path / "grid_sizes.csv").write_text("\n".join([",Xmax,Ymin", *rows]) + "\n")
    generator = np.random.default_rng(0)
    for task, classes in (
        ("multilabel", dstl_wkt.CLASSES),
        ("multilabel", ("crops", "buildings")),
        ("exclusive", ("background", "fast water", "slow water")),
        ("binary", ("trees",)),
    ):
        kinds = classes[task == "exclusive" :]
        bands = len(kinds) * (task == "multilabel")
        most = 2 if bands else len(kinds) + 1
        shape = (*SIZE, bands) if bands else SIZE
        drawn = {n: generator.integers(0, most, shape).astype(np.uint8) for n in sizes}
        root = mapped(tmp_path / "_".join(kinds), drawn, task=task, classes=classes)
        out = tmp_path / "submission.csv"
        maps.export("dstl", root, out, sizes=str(tmp_path / "grid_sizes.csv"))
        for name, outlines in dstl_wkt.read_outlines(out).items():
            options = {"height": SIZE[0], "width": SIZE[1], "size": sizes[name]}
            found = dstl_wkt.rasterize(outlines, **options)
            for i, kind in enumerate(dstl_wkt.CLASSES):
                wanted = np.zeros(SIZE, bool)
                if kind in kinds:
                    at = kinds.index(kind)
                    labels = drawn[name]
                    wanted = labels[..., at] == 1 if bands else labels == at + 1
                np.testing.assert_array_equal(found[..., i], wanted)


def test_maps_that_a_format_cannot_say(tmp_path):
    def told(match, name, root, **options):
        with pytest.raises(InputError, match=match):
            maps.export(name, root, tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()

    pits = mapped(tmp_path / "pits", ids(2), task="binary", classes=("pit",))
    both = {name: np.zeros((*SIZE, 2), np.uint8) for name in ids(2)}
    both = mapped(tmp_path / "both", both, task="multilabel", classes=("pit", "pond"))
    tiles.save(tmp_path / "other/a_class.tif", tiles.mask(8, 8))
    folder.write(samples(1), tmp_path / "images")
    (tmp_path / "sizes.csv").write_text(",Xmax,Ymin\n")
    told("format: None, expected one of coco, dstl, npy", None, pits)
    told(
        "absent: no maps NAME_class.tif; --mode=predict makes",
        "npy",
        tmp_path / "absent",
    )
    told(r"a_class\.tif: does not name its classes", "npy", tmp_path / "other")
    told("order: missing; the format runs needs it", "runs", pits)
    told("2 classes, but a table of runs has one", "runs", both, order="rows")
    images = str(tmp_path / "images")
    told("classes that overlap, but these", "tfrecord", both, images=images)
    told(
        r"s_1_class\.tif: the image that it maps is not in",
        "tfrecord",
        pits,
        images=images,
    )
    sizes = str(tmp_path / "sizes.csv")
    told("pit is no class of DSTL; it has buildings, ", "dstl", pits, sizes=sizes)
    for path in Path(both).iterdir():
        shutil.copy(path, pits / f"more_{path.name}")
    told("has other classes than .*; export them apart", "npy", pits)
