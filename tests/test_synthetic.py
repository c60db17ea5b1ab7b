"""Synthetic scenes: drawn from their seed, misleading as real ones, read back whole."""

import numpy as np
import pytest
import shapely

from minenet.data import synthetic
from minenet.data.synthetic import noise
from minenet.geo import raster, vector

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
    boxes = [footprint(synthetic.scene(0, place=p, **SIZE)) for p in range(3)]
    assert not any(a.intersects(b) for a, b in zip(boxes, boxes[1:], strict=False))


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
