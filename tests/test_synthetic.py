"""Synthetic scenes: drawn from their seed, misleading as real ones, read back whole."""

import itertools

import numpy as np
import pytest
import shapely

from minenet.data import synthetic
from minenet.data.synthetic import farms, noise, workings
from minenet.geo import raster, vector
from minenet.types import InputError

SIZE = {"height": 192, "width": 224}


@pytest.fixture(scope="module")
def made():
    return synthetic.scene(3, height=320, width=320)


def truth(scene):
    height, width, _ = scene.image.shape
    return vector.rasterize(
        scene.mines, crs=scene.crs, affine=scene.affine, height=height, width=width
    ).astype(bool)


def test_a_scene_is_a_function_of_its_seed():
    one, same = (synthetic.scene(1, **SIZE) for _ in range(2))
    np.testing.assert_array_equal(one.image, same.image)
    assert one.mines.geometry.geom_equals(same.mines.geometry).all()
    other = synthetic.scene(2, **SIZE)
    assert (one.image != other.image).mean() > 0.9


def test_places_do_not_overlap():
    places = (0, 1, 2, 200)  # the last in another row
    boxes = [footprint(synthetic.scene(0, place=p, **SIZE)) for p in places]
    assert not any(a.intersects(b) for a, b in itertools.combinations(boxes, 2))
    assert all(box.bounds[2] < 850_000 for box in boxes)  # within the UTM zone


def footprint(scene):
    height, width, _ = scene.image.shape
    return shapely.box(*(scene.affine @ (0, height)), *(scene.affine @ (width, 0)))


def test_mines_are_rare_inside_and_irregular(made):
    mines = truth(made)
    assert 0.01 < mines.mean() < 0.4
    assert footprint(made).buffer(1).contains(shapely.union_all(made.mines.geometry))
    area, length = made.mines.area, made.mines.length
    assert (4 * np.pi * area / length**2 < 0.95).all()  # none is a circle


def test_a_wedge_has_no_data_in_any_band(made):
    nodata = made.image == 0
    np.testing.assert_array_equal(nodata.any(-1), nodata.all(-1))
    assert 0.02 < nodata.all(-1).mean() < 0.5


def test_colour_alone_does_not_tell_a_mine(made):
    """Of the pixels most alike a mine in colour, many are none."""
    mines, known = truth(made), (made.image > 0).all(-1)
    values = np.log(made.image[known].astype(float))
    inside = mines[known]
    centre, spread = values[inside].mean(0), values[inside].std(0)
    distance = (((values - centre) / spread) ** 2).sum(-1)
    alike = distance < np.quantile(distance, inside.mean())
    assert 0.1 < (~inside[alike]).mean() < 0.95


def test_mines_hold_vegetation_and_water(made):
    near_infrared, red = made.image[..., 3].astype(float), made.image[..., 2]
    index = (near_infrared - red) / np.maximum(near_infrared + red, 1)
    inside = index[truth(made) & (made.image > 0).all(-1)]
    assert np.quantile(inside, 0.98) > 0.4  # green
    assert np.quantile(inside, 0.02) < 0.1  # water or bare rock


def test_files_hold_what_was_drawn(tmp_path):
    synthetic.write(tmp_path, seed=5, scenes=2, **SIZE)
    expected = synthetic.scene(5, place=1, **SIZE)
    info = raster.info(tmp_path / "scene_001.tif")
    assert info.bands == synthetic.BANDS and info.described
    assert (info.affine, info.crs) == (expected.affine, expected.crs)
    image, valid = raster.read(tmp_path / "scene_001.tif")
    np.testing.assert_array_equal(image, expected.image)
    np.testing.assert_array_equal(valid, expected.image > 0)
    reflectance, _ = raster.read(tmp_path / "scene_001.tif", scaled=True)
    assert 0 < np.median(reflectance[valid]) < 0.6
    outlines = vector.read(tmp_path / "mines.gpkg")
    here = outlines[outlines["site"].str.startswith("1-")]
    assert here.geometry.area.sum() == pytest.approx(expected.mines.area.sum())


@pytest.mark.parametrize("slope", [0.5, 2.0, 3.0])
def test_smoother_fractals_have_nearer_neighbours(slope):
    field = noise.fractal(np.random.default_rng(0), (100, 130), slope=slope)
    rougher = noise.fractal(np.random.default_rng(0), (100, 130), slope=slope - 0.4)
    assert field.shape == (100, 130)
    assert field.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(field)).mean() < np.abs(np.diff(rougher)).mean()


@pytest.mark.parametrize("kind", sorted(workings.DRAW))
def test_a_working_fills_its_shape_and_nothing_beyond(kind):
    generator = np.random.default_rng(3)
    rows, cols = np.indices((60, 70))
    depth = np.maximum(0, 22 - np.hypot(rows - 30, cols - 33)).astype(np.float32)
    before = np.full((60, 70, 6), 0.05, np.float32)
    view = before.copy()
    workings.DRAW[kind](generator, view, depth, workings.Ground.draw(generator))
    changed = (view != before).any(-1)
    assert not changed[depth == 0].any()
    assert changed[depth > 5].mean() > 0.5
    assert (view > 0).all() and (view < 1).all()


def test_a_bend_is_felt_on_one_side_of_a_path():
    made = noise.path(np.random.default_rng(1), (90, 120), wander=0.8, scale=40)
    assert made.distance.min() == 0 and (made.width > 0).all()
    inner = made.bend[made.distance > 1] > 0
    assert 0.2 < inner.mean() < 0.8


@pytest.mark.parametrize("side", [6, 20])
def test_parcels_are_about_as_large_as_asked(side):
    number, field, _ = farms.parcels(np.random.default_rng(2), (200, 210), side=side)
    sizes = np.bincount(number.ravel())
    assert 0.4 * side**2 < np.median(sizes[sizes > 0]) < 3 * side**2
    assert 0 <= field.min() and field.max() <= 1 and field.mean() > 0.5


@pytest.mark.parametrize("size", [(32, 32), (33, 200), (192, 160)])
def test_every_scene_has_a_mine_within_it(size):
    for place in range(4):
        made = synthetic.scene(0, height=size[0], width=size[1], place=place)
        assert made.image.shape == (*size, 6) and len(made.mines) > 0
        assert made.mines.is_valid.all() and truth(made).any()


def test_a_scene_too_small_for_a_landscape_is_refused():
    with pytest.raises(InputError, match="at least 32 pixels"):
        synthetic.scene(0, height=16, width=64)
