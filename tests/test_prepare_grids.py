"""Sensors, dates and masks on grids of their own, prepared as one stack."""

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from minenet.data import chips, prepare
from minenet.data.source import ChipSource
from minenet.data.store import Store, StoreSource, create, fill
from minenet.geo import align, raster
from minenet.geo.windows import Window
from minenet.infer import bundle, mosaic
from minenet.types import InputError
from tests import tiles
from tests.test_launcher import launch

OPTIONS = {"chip_size": 32, "stride": 32}
OPTICAL = ["B02", "B03", "B04", "B08"]


def smooth(height, width, count, seed):
    """A picture that survives resampling."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(rows * a + cols * b) for a, b in rng.uniform(2, 6, (count, 2))]
    return np.stack(waves, -1).astype(np.float32)


@pytest.fixture
def two_sensors(tmp_path):
    """Four places 1 km apart: optical at 10 m, radar at 20 m of which one lacks."""
    shapes = []
    for i in range(4):
        reflectance = (1500 + 700 * smooth(64, 64, 4, i)).astype(np.uint16)
        reflectance[:8, :8] = 0
        place = tiles.at(x_m=1000 * i)
        tiles.save(
            tmp_path / "s2" / f"place_{i}.tif",
            reflectance,
            names=OPTICAL,
            transform=place,
        )
        if i != 3:
            decibel = -12 + 4 * smooth(48, 48, 2, 10 + i)
            at = tiles.at(x_m=1000 * i - 150, y_m=170, gsd_m=20)
            tiles.save(tmp_path / "s1" / f"place_{i}.tif", decibel, transform=at)
        shapes += [shapely.box(*(place @ (10, 50)), *(place @ (40, 20)))]
    frame = geopandas.GeoDataFrame(
        {"year": [2019, 2020, 2021, 2019], "kind": ["pit", "pond", "pit", "pit"]},
        geometry=shapes,
        crs=tiles.UTM,
    )
    frame.to_file(tmp_path / "mines.gpkg")
    return {
        "images": [str(tmp_path / "s2"), str(tmp_path / "s1")],
        "polygons": str(tmp_path / "mines.gpkg"),
    }


ON_OPTICAL = {
    "grid": {"like": 0},
    "resampling": ["cubic", "bilinear"],
    "sensor": ["sentinel2_l2a", "sentinel1_db"],
    "missing": True,
}


def test_sensors_on_grids_of_their_own_become_one_stack(two_sensors, tmp_path):
    made = prepare.prepare(tmp_path / "out", **two_sensors, **ON_OPTICAL, **OPTIONS)
    optical = ("s2_blue", "s2_green", "s2_red", "s2_nir")
    assert made.bands == (*optical, "s1_vv", "s1_vh")
    first = made.scenes[0]
    assert first.aligned and (first.height, first.width) == (64, 64)
    whole = Window(0, 0, 64, 64)
    numbers = {scene.name: i for i, scene in enumerate(made.scenes)}
    pixels = ChipSource(made, split="train")._pixels
    image, labels = pixels.read(numbers["place_0"], whole)
    stored = raster.read_float(first.images[0])
    stored[stored == 0] = np.nan  # the product's no data, which the file does not tell
    np.testing.assert_array_equal(image[..., :4], stored)
    radar = align.read(first.images[1], first.grid, resampling="bilinear")
    np.testing.assert_array_equal(image[..., 4:], radar)
    assert np.isfinite(radar).mean() > 0.9
    # Where one sensor sees the ground, a pixel counts.
    assert (labels[:8, :8] == 0).all() and labels[25, 25] == 1
    image, labels = pixels.read(numbers["place_3"], whole)
    assert np.isnan(image[..., 4:]).all() and np.isfinite(image[20:, 20:, :4]).all()
    assert made.scenes[3].images[1] is None and labels[25, 25] == 1
    # And the map of such a scene is made on the same grid, from the same pixels.
    infos = [raster.info(path) for path in made.images]
    contract = bundle.contract(made.stack, infos)
    opened = mosaic.open_scene(_Contract(contract), made.scenes[3].images)
    assert opened.grid == made.scenes[3].grid
    block, _ = mosaic._read(opened, np.arange(64), cols=np.arange(64), wanted=None)
    np.testing.assert_array_equal(block, image)


class _Contract:
    def __init__(self, contract):
        self.contract = contract


@pytest.mark.slow
def test_sensors_on_grids_of_their_own_from_rasters_to_maps(two_sensors, tmp_path):
    options = {
        "data.images": tuple(two_sensors["images"]),
        "data.polygons": two_sensors["polygons"],
        "data.attribute": "kind",
        "data.task": "multilabel",
        "data.classes": ("pit", "pond"),
        "data.grid.like": 0,
        "data.resampling": ("cubic", "bilinear"),
        "data.sensor": ("sentinel2_l2a", "sentinel1_db"),
        "data.bands": ("s2_red", "s2_nir", "s1_vv"),
        "data.missing": True,
        "data.scaled": True,
        "data.split.folds": 4,
        "data.chip_size": 32,
        "store.path": tmp_path / "chips",
        "train.steps": 3,
        "train.batch_size": 2,
        "predict.window": 32,
    }
    done = launch(
        "--mode=run",
        "--config=configs/default.py",
        f"--workdir={tmp_path / 'run'}",
        *(f"--config.{key}={value}" for key, value in options.items()),
    )
    assert done.returncode == 0, done.stderr
    assert Store(tmp_path / "chips").pending() == []
    folders = [Path(folder) for folder in two_sensors["images"]]
    first, lonely = (f"place_{i}.tif" for i in (1, 3))
    both, alone = ",".join(str(f / first) for f in folders), f"{folders[0] / lonely},"
    where = (f"--workdir={tmp_path / 'run'}", f"--out={tmp_path / 'maps'}")
    done = launch("--mode=predict", *where, f"--scene={both}", f"--scene={alone}")
    assert done.returncode == 0, done.stderr
    for name in ("place_1", "place_3"):
        info = raster.info(tmp_path / f"maps/{name}_probability.tif")
        assert info.bands == ("pit", "pond")
        assert (info.height, info.width, info.crs) == (64, 64, tiles.UTM)
        assert np.isfinite(raster.read_float(info.path)[20:, 20:]).all()


def test_a_store_holds_what_is_aligned(two_sensors, tmp_path):
    made = prepare.prepare(tmp_path / "out", **two_sensors, **ON_OPTICAL, **OPTIONS)
    store = create(tmp_path / "store", made)
    assert fill(store, quarantine=tmp_path / "q.jsonl") == []
    for split in ("train", "test"):
        rasters, chips_ = ChipSource(made, split=split), StoreSource(store, split=split)
        for i in range(len(rasters)):
            for key in ("image", "target", "weight"):
                np.testing.assert_array_equal(rasters[i][key], chips_[i][key])


def test_physical_numbers_are_those_of_the_sensor(two_sensors, tmp_path):
    options = ON_OPTICAL | {"bands": ["s2_B04", "s1_vv"], "scaled": True}
    made = prepare.prepare(tmp_path / "a", **two_sensors, **options, **OPTIONS)
    assert made.bands == ("s2_red", "s1_vv")
    late = prepare.prepare(
        tmp_path / "b", **two_sensors, **options, **OPTIONS, baseline="05.10"
    )
    red, _ = (each.statistics["bands"][0]["mean"] for each in (made, late)), None
    before, after = red
    assert 0.08 < before < 0.25 and after == pytest.approx(before - 0.1, abs=1e-6)


def test_a_mask_on_another_grid_is_brought_to_the_images(tmp_path):
    for i in range(3):
        place = tiles.at(x_m=1000 * i)
        tiles.save(
            tmp_path / "images" / f"p_{i}.tif", tiles.picture(60, 60), transform=place
        )
        mask = np.zeros((120, 120), np.uint8)
        mask[40:80, 20 + 10 * i : 60] = 1
        fine = tiles.at(x_m=1000 * i, gsd_m=5)
        tiles.save(tmp_path / "masks" / f"p_{i}.tif", mask, transform=fine)
    options = {"images": str(tmp_path / "images"), "masks": str(tmp_path / "masks")}
    with pytest.raises(InputError, match=r"120 x 120 pixels.*config\.data\.grid"):
        prepare.prepare(tmp_path / "no", **options, chip_size=20)
    made = prepare.prepare(tmp_path / "o", **options, chip_size=20, grid={"like": 0})
    for i, scene in enumerate(made.scenes):
        expected = np.zeros((60, 60), np.uint8)
        expected[20:40, 10 + 5 * i : 30] = 1
        found = chips.read_labels(scene, Window(0, 0, 60, 60))
        np.testing.assert_array_equal(found, expected)


def test_outlines_hold_for_the_year_of_an_image(two_sensors, tmp_path):
    table = pd.DataFrame({"name": [f"place_{i}" for i in range(4)], "date": 2020})
    table.to_csv(tmp_path / "t.csv", index=False)
    options = two_sensors | {"images": two_sensors["images"][0]}
    years = {"table": tmp_path / "t.csv", "table_year": "date", "year_column": "year"}
    made = prepare.prepare(tmp_path / "o", **options, **years, until=True, **OPTIONS)
    assert [scene.year for scene in made.scenes] == [2020] * 4
    mines = [chips.read_labels(s, Window(0, 0, 64, 64)).max() for s in made.scenes]
    assert mines == [1, 1, 0, 1]
    (tmp_path / "t.csv").write_text("name,date\n" + "place_1,soon\n" * 1)
    with pytest.raises(InputError, match="0 rows for scene 'place_0'"):
        prepare.prepare(tmp_path / "p", **options, **years, **OPTIONS)
    (tmp_path / "t.csv").write_text(
        "name,date\n" + "".join(f"place_{i},soon\n" for i in range(4))
    )
    with pytest.raises(InputError, match="date of 'place_0' is 'soon', expected a yea"):
        prepare.prepare(tmp_path / "p", **options, **years, **OPTIONS)


def test_layers_and_priority_decide_overlaps(tmp_path):
    places = [tiles.at(x_m=1000 * i) for i in range(3)]
    for i, place in enumerate(places):
        tiles.save(tmp_path / "images" / f"p_{i}.tif", tiles.picture(), transform=place)

    def layer(name, kind, *corners):
        shapes = [
            shapely.box(*(place @ corners[:2]), *(place @ corners[2:]))
            for place in places
        ]
        frame = geopandas.GeoDataFrame({"kind": [kind] * 3}, geometry=shapes)
        frame.set_crs(tiles.UTM).to_file(tmp_path / "sites.gpkg", layer=name)

    layer("pits", "pit", 10, 40, 40, 10)
    layer("ponds", "pond", 30, 60, 60, 30)
    options = {
        "images": str(tmp_path / "images"),
        "polygons": tmp_path / "sites.gpkg",
        "task": "exclusive",
        "classes": ["other", "pit", "pond"],
        "attribute": "kind",
        **OPTIONS,
    }
    with pytest.raises(InputError, match="choose one of its layers: pits, ponds"):
        prepare.prepare(tmp_path / "a", **options)
    whole = Window(0, 0, 64, 64)
    for name, more, there in (
        ("later", {"layer": ["pits", "ponds"]}, 2),
        ("other", {"layer": ["ponds", "pits"]}, 1),
        ("told", {"layer": ["ponds", "pits"], "priority": ["pit", "pond"]}, 2),
    ):
        made = prepare.prepare(tmp_path / name, **options, **more)
        labels = chips.read_labels(made.scenes[0], whole)
        assert (labels[35, 35], labels[20, 20], labels[50, 50]) == (there, 1, 2)
    with pytest.raises(InputError, match="priority: no class 'lake'; there are other"):
        prepare.prepare(tmp_path / "b", **options, priority=["lake"])


def test_nothing_counts_outside_of_the_area_and_near_outlines(two_sensors, tmp_path):
    area = geopandas.GeoDataFrame(
        geometry=[shapely.box(*(tiles.at() @ (0, 60)), *(tiles.at() @ (300, 0)))],
        crs=tiles.UTM,
    )
    area.to_file(tmp_path / "area.gpkg")
    options = two_sensors | {"images": two_sensors["images"][0]}
    made = prepare.prepare(
        tmp_path / "o",
        **options,
        area=tmp_path / "area.gpkg",
        ignore_m=15.0,
        **OPTIONS,
    )
    labels = chips.read_labels(made.scenes[0], Window(0, 0, 64, 64))
    assert (labels[60:] == 255).all() and labels[30, 25] == 1 and labels[5, 5] == 0
    assert (labels[30, 8:12] == [0, 255, 255, 1]).all()


@pytest.mark.parametrize(
    "change, match",
    [
        ({}, r"s1/place_0\.tif: 48 x 48 pixels.*config\.data\.grid"),
        ({"grid": {"lik": 0}}, "grid.lik: no such key; it has like, crs, pixel"),
        ({"grid": {"like": 2}}, "grid.like: 2, expected an image from 0 to 1"),
        ({"grid": {"like": 0}, "resampling": "sinc"}, "resampling: 'sinc', expected"),
        ({"grid": {"like": 0}, "sensor": ["landsat"]}, "sensor: 1 for 2 images"),
        ({"grid": {"like": 0}, "sensor": "modis"}, "sensor: 'modis', expected one of"),
        ({"grid": {"like": 0}, "baseline": "05.10"}, "baseline: 05.10, but no sensor"),
        (
            {"grid": {"like": 0}, "sensor": ["landsat_composite", None]},
            r"place_0\.tif: none of its bands \(B02, .*\) is one of landsat_comp",
        ),
    ],
)
def test_grids_and_sensors_that_cannot_be(two_sensors, tmp_path, change, match):
    options = {"missing": True} | change
    with pytest.raises(InputError, match=match):
        prepare.prepare(tmp_path / "out", **two_sensors, **options, **OPTIONS)


def test_numbers_that_no_sensor_gives_are_told_with_those_that_would(tmp_path):
    data = tiles.folder(tmp_path, count=3)
    for path in (tmp_path / "img").iterdir():
        reflectance = 0.1 + 0.05 * smooth(64, 64, 3, 1)
        place = raster.info(path).affine
        tiles.save(path, reflectance, names=["B02", "B03", "B04"], transform=place)
    with pytest.raises(
        InputError,
        match=r"sensor=sentinel2_l2a: blue holds 0\.0.*as reflectance that is .*"
        r"look like: 1 is full reflection",
    ):
        options = OPTIONS | {"sensor": "sentinel2_l2a"}
        prepare.prepare(tmp_path / "out", **data, **options)


def test_a_sensor_far_from_its_scene_is_told(two_sensors, tmp_path):
    away = tiles.at(x_m=50_000, gsd_m=20)
    tiles.save(tmp_path / "s1" / "place_1.tif", smooth(48, 48, 2, 0), transform=away)
    with pytest.raises(InputError, match=r"s1/place_1\.tif: .* share nothing with"):
        prepare.prepare(tmp_path / "out", **two_sensors, **ON_OPTICAL, **OPTIONS)
