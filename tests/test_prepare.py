import dataclasses

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from minenet import files
from minenet.data import chips, pipeline, prepare, prepared
from minenet.data.source import ChipSource
from minenet.geo import raster, vector
from minenet.types import InputError
from tests import tiles

OPTIONS = {"chip_size": 32, "stride": 16}


@pytest.fixture
def data(tmp_path):
    return tiles.folder(tmp_path, count=5)


def disjoint(made):
    """Scenes and their splits never mix, where scenes are dealt out whole."""
    return made.index.groupby("scene").split.nunique().eq(1).all()


def same(a, b):
    fields = [f.name for f in dataclasses.fields(a) if f.name != "index"]
    pd.testing.assert_frame_equal(a.index, b.index)
    return all(getattr(a, name) == getattr(b, name) for name in fields)


def test_what_was_prepared_is_loaded_and_found_again(data, tmp_path):
    made = prepare.prepare(tmp_path / "out", **data, **OPTIONS)
    assert made.bands == ("band_1", "band_2", "band_3") and not made.described
    assert made.statistics["bands"][0]["name"] == "band_1"
    assert [c["name"] for c in made.statistics["classes"]] == ["background", "mine"]
    assert set(made.index.split) == {"train", "validation", "test"} and disjoint(made)
    assert made.scenes[0].gsd_m == pytest.approx(10, rel=1e-3)
    assert same(prepare.load(tmp_path / "out"), made)

    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.*")}
    assert same(prepare.prepare(tmp_path / "out", **data, **OPTIONS), made)
    assert times == {p: p.stat().st_mtime_ns for p in times}


def test_the_folder_can_be_moved(data, tmp_path):
    prepare.prepare(tmp_path / "out", **data, **OPTIONS)
    (tmp_path / "out").rename(tmp_path / "moved")
    made = prepare.load(tmp_path / "moved")
    assert ChipSource(made, split="test")[0]["weight"].all()


def test_a_broken_preparation_is_begun_again(data, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(prepared, "save", stop)
        prepare.prepare(tmp_path / "out", **data, **OPTIONS)
    with pytest.raises(InputError, match="out: no prepared data"):
        prepare.load(tmp_path / "out")
    made = prepare.prepare(tmp_path / "out", **data, **OPTIONS)
    assert same(made, prepare.load(tmp_path / "out"))


def test_a_folder_that_cannot_be_written_is_told(data, tmp_path):
    (tmp_path / "out/statistics.json").mkdir(parents=True)
    with pytest.raises(InputError, match="json: cannot be written .*disk has space"):
        prepare.prepare(tmp_path / "out", **data, **OPTIONS)
    assert not (tmp_path / "out/scenes.json").exists()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        prepare.prepare(tmp_path / "file/out", **data, **OPTIONS)


def test_a_folder_of_other_options_or_data_is_refused(data, tmp_path):
    out = tmp_path / "out"
    prepare.prepare(out, **data, **OPTIONS)
    before = files.read_json(out / "scenes.json")
    with pytest.raises(InputError, match="out: prepared from other.*seed: 0 → 1"):
        prepare.prepare(out, **data, **OPTIONS, seed=1)
    tiles.save(tmp_path / "img/img_9.tif", tiles.picture())
    tiles.save(tmp_path / "mask/mask_9.tif", tiles.mask())
    with pytest.raises(InputError, match=r"img_9\.tif: none → \d+.*another --workdir"):
        prepare.prepare(out, **data, **OPTIONS)
    assert files.read_json(out / "scenes.json") == before


def test_empty_scenes_are_negative_or_ignored(data, tmp_path):
    empty = np.zeros((64, 64), np.uint8)
    tiles.save(tmp_path / "mask/mask_2.tif", empty, transform=tiles.at(x_m=20_000))
    options = OPTIONS | {"split": {"shares": (1, 0, 0)}}
    made = prepare.prepare(tmp_path / "a", **data, **options)
    assert (made.index.scene == "img_2").any()
    made = prepare.prepare(tmp_path / "b", **data, **options, empty="ignore")
    assert not (made.index.scene == "img_2").any()
    assert [s.name for s in made.scenes if s.ignored] == ["img_2"]


def test_an_exclusive_task_counts_all_classes(tmp_path):
    data = tiles.folder(tmp_path, classes=2)
    names = ("background", "mine", "tailings")
    options = OPTIONS | {"task": "exclusive", "classes": names}
    made = prepare.prepare(tmp_path / "out", **data, **options)
    assert [c["name"] for c in made.statistics["classes"]] == list(names)
    sample = ChipSource(made, split="train")[0]
    assert sample["target"].shape == (32, 32, 3)
    np.testing.assert_array_equal(sample["target"].sum(-1), sample["weight"])


def test_groups_of_a_table_stay_together(data, tmp_path):
    rows = [f"{i},{'ABC'[i % 3]}" for i in range(5)]
    (tmp_path / "table.csv").write_text("\n".join(["i,region", *rows]))
    table = {"table": tmp_path / "table.csv", "group_column": "region"}
    options = OPTIONS | table | {"split": {"by": "group"}}
    made = prepare.prepare(tmp_path / "out", **data, **options)
    assert made.index.groupby("group").split.nunique().eq(1).all()
    assert set(made.index.group) == set("ABC")


def test_one_scene_is_divided_by_blocks(tmp_path):
    image = tiles.save(tmp_path / "a.tif", tiles.picture(320, 320))
    mask = tiles.save(tmp_path / "gt.tif", tiles.mask(320, 320, share=0.5))
    made = prepare.prepare(
        tmp_path / "out",
        images=image,
        masks=mask,
        split={"by": "block", "block_m": 800},
        **OPTIONS,
    )
    assert set(made.index.split) == {"train", "validation", "test"}
    assert made.dropped > 0


@pytest.fixture
def polygons(tmp_path):
    """Two scenes in UTM, and outlines in degrees with a class, in a GeoPackage."""
    for i in range(3):
        place = tiles.at(x_m=5000 * i)
        tiles.save(tmp_path / f"scenes/s_{i}.tif", tiles.picture(), transform=place)
    x = 500_000 + 5000 * np.arange(3)
    boxes = shapely.box(x + 100, 8_000_000 - 300, x + 300, 8_000_000 - 100)
    frame = geopandas.GeoDataFrame(
        {"kind": ["pit", "pond", "pit"]}, geometry=boxes, crs=tiles.UTM
    )
    vector.write(tmp_path / "mines.gpkg", frame.to_crs(4326), layer="mines")
    return {"images": tmp_path / "scenes", "polygons": tmp_path / "mines.gpkg"}


def test_polygons_say_what_is_labelled(polygons, tmp_path):
    made = prepare.prepare(tmp_path / "out", **polygons, **OPTIONS)
    for scene in made.scenes:
        labels = raster.read(scene.label)[0][..., 0]
        assert labels.sum() == 400 and labels[10:30, 10:30].all()


def test_an_attribute_of_polygons_tells_the_class(polygons, tmp_path):
    options = OPTIONS | {"task": "exclusive", "classes": ("none", "pit", "pond")}
    made = prepare.prepare(tmp_path / "out", **polygons, attribute="kind", **options)
    found = [int(raster.read(scene.label)[0].max()) for scene in made.scenes]
    assert found == [1, 2, 1]


def test_a_folder_of_scenes_may_hold_the_polygons_too(polygons, tmp_path):
    moved = (tmp_path / "mines.gpkg").rename(tmp_path / "scenes/mines.gpkg")
    options = OPTIONS | {"images": tmp_path / "scenes", "polygons": moved}
    assert len(prepare.prepare(tmp_path / "out", **options).scenes) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"polygons": "mines.gpkg"}, "masks, polygons: give one of the two"),
        ({"stride": 40}, "stride: 40, expected 1 to chip_size"),
        ({"split": {"blocks": 3}}, "split.blocks: no such key; it has by, shares"),
        ({"split": {"by": "group"}}, "'group' needs a table and group_column"),
        ({"split": {"by": "column"}}, "'column' needs a table and split_column"),
        ({"values": {"0": 1, "1": 0}, "bands": [9]}, "no band 9"),
        ({"values": {"0": 0, "1": 0}}, "masks: no pixel of any class in 5 scenes"),
        ({"values": {"0": 255, "1": 255}}, "masks: no pixel of any class in 5"),
    ],
)
def test_what_cannot_be_prepared_is_told(data, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        prepare.prepare(tmp_path / "out", **{**data, **OPTIONS, **options})
    assert not (tmp_path / "out/scenes.json").exists()


def test_no_mine_in_the_training_windows_is_told(tmp_path):
    tiles.folder(tmp_path / "train", count=2, share=0.0)
    tiles.folder(tmp_path / "val", count=2)
    data = {"images": tmp_path / "*/img", "masks": tmp_path / "*/mask"}
    with pytest.raises(InputError, match="no pixel of mine in the 18 training windows"):
        prepare.prepare(tmp_path / "out", **data, **OPTIONS, split={"by": "folder"})


def test_a_mask_of_another_size_is_told(data, tmp_path):
    tiles.save(tmp_path / "mask/mask_3.tif", tiles.mask(64, 48))
    with pytest.raises(
        InputError, match=r"mask_3\.tif: 64 x 48 .*img_3\.tif has 64 x 64"
    ):
        prepare.prepare(tmp_path / "out", **data, **OPTIONS)


def test_scenes_of_nodata_alone_are_told(tmp_path):
    data = tiles.folder(tmp_path, count=1)
    image = np.zeros((64, 64, 3), np.uint16)
    tiles.save(tmp_path / "img/img_0.tif", image, nodata=0)
    with pytest.raises(InputError, match="none of 1 scenes has a valid pixel"):
        prepare.prepare(tmp_path / "out", **data, **OPTIONS)


def test_a_truncated_scene_is_told(data, tmp_path):
    path = tmp_path / "img/img_3.tif"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"img_3\.tif: .*trunc"):
        prepare.prepare(tmp_path / "out", **data, **OPTIONS, strict=True)


def test_real_tiles_by_group(real_data, tmp_path):
    root = real_data / "tailings_s2_brazil"
    options = {
        "images": root / "img_u16",
        "masks": root / "mask_maus",
        "table": root / "index.csv",
        "table_key": "i",
        "group_column": "group",
        "split": {"by": "group", "shares": (0.5, 0.2, 0.3)},
        "chip_size": 224,
    }
    with pytest.raises(
        InputError, match=r"mask_23\.tif: 448 x 448 .*img_23\.tif has 448 x 48"
    ):
        prepare.prepare(tmp_path / "out", **options)
    made = prepare.prepare(tmp_path / "out", **options, exclude=["23"], empty="ignore")
    assert made.bands == ("B2", "B3", "B4") and made.described
    assert sum(scene.ignored for scene in made.scenes) == 18
    assert made.index.groupby("group").split.nunique().eq(1).all()
    for split, share in zip(
        ("train", "validation", "test"), (0.5, 0.2, 0.3), strict=True
    ):
        part = made.index[made.index.split == split]
        assert part.valid.sum() / made.index.valid.sum() == pytest.approx(
            share, abs=0.1
        )
        assert part.share_1.sum() / made.index.share_1.sum() == pytest.approx(
            share, abs=0.1
        )
    table = pd.read_csv(root / "index.csv").set_index("i").maus_frac
    shares = made.index.groupby("scene").share_1.mean()
    for name, share in shares.items():
        assert share == pytest.approx(table[int(name.removeprefix("img_"))], abs=1e-4)


def test_real_radar_and_optical_pictures_stack(real_data, tmp_path):
    root = real_data / "ombria_s1s2_flood"
    made = prepare.prepare(
        tmp_path / "out",
        images=[root / "S2_train/AFTER", root / "S1_train/AFTER"],
        masks=root / "S1_train/MASK",
        classes=["flood"],
        chip_size=256,
    )
    assert made.bands[-1] == "S1_train_band_1" and len(made.bands) == 4
    assert len(made.scenes) == len(made.index) == 60
    batch = pipeline.train(ChipSource(made, split="train"), batch_size=4, seed=0)[0]
    assert batch["image"].shape == (4, 256, 256, 4) and batch["weight"].all()


def test_real_folders_with_palette_masks(real_data, tmp_path):
    root = real_data / "amazon_deforestation_rgb"
    options = {
        "images": root / "*/images",
        "masks": root / "*/masks",
        "classes": ["deforested"],
        "split": {"by": "folder"},
    }
    with pytest.raises(InputError, match="choose bands that all scenes have"):
        prepare.prepare(tmp_path / "out", **options)
    options["bands"] = (1, 2, 3)
    with pytest.raises(InputError, match="values 2 without a class; .*name others"):
        prepare.prepare(tmp_path / "out", **options)
    made = prepare.prepare(tmp_path / "out", **options, values={1: 0, 2: 1})
    counts = made.index.groupby("split").scene.nunique()
    assert counts.to_dict() == {"train": 2, "validation": 3}
    assert (made.index.valid == 1).all()


def test_real_outlines_over_a_scene_and_beside_it(real_data, tmp_path):
    source = real_data / "mine_polygons/maus_v1_brazil.geojson"
    frame = vector.read(source)
    largest = frame.geometry.iloc[frame.to_crs(6933).area.argmax()]
    crs = frame.estimate_utm_crs()
    x, y = (
        geopandas.GeoSeries([largest], crs=frame.crs)
        .to_crs(crs)
        .iloc[0]
        .centroid.coords[0]
    )
    place = tiles.Affine(30, 0, x - 4800, 0, -30, y + 4800)
    image = tiles.picture(320, 320)
    path = tiles.save(tmp_path / "a.tif", image, crs=crs.to_wkt(), transform=place)
    options = {"images": path, "split": {"by": "block", "block_m": 1800}, **OPTIONS}
    made = prepare.prepare(tmp_path / "out", **options, polygons=source)
    info = raster.info(path)
    whole = vector.rasterize(
        frame, crs=info.crs, affine=info.affine, height=320, width=320
    )
    assert 0.01 < whole.mean() < 0.99
    np.testing.assert_array_equal(raster.read(made.scenes[0].label)[0][..., 0], whole)
    assert chips.positive(made.index[made.index.split == "train"]).any()
    with pytest.raises(InputError, match="indian.*polygons .* touch none of 1 scenes"):
        elsewhere = real_data / "mine_polygons/maus_v1_indian.geojson"
        prepare.prepare(tmp_path / "other", **options, polygons=elsewhere)


def test_real_radar_labels_with_no_data(real_data, tmp_path):
    root = real_data / "sen1floods11"
    options = {"images": root / "S1", "masks": root / "Labels", "classes": ["water"]}
    split = {"by": "block", "block_m": 2600}
    with pytest.raises(InputError, match="values -1 without a class"):
        prepare.prepare(tmp_path / "out", **options, split=split, chip_size=64)
    values = {-1: 255, 0: 0, 1: 1}
    made = prepare.prepare(
        tmp_path / "out", **options, split=split, chip_size=64, values=values
    )
    assert made.bands == ("VV", "VH")
    assert (made.index.valid < 1).any()
