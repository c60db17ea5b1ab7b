import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.interpolate import BSpline

from minenet.ops import color, geometry, spline, warp

SIZE = 12
CONTROL = jnp.asarray(np.random.default_rng(5).uniform(-1.5, 1.5, (6, 6, 2)), "float32")
MAPS = {
    "zoom": functools.partial(warp.zoomed, factor=1.31, row=0.4, col=0.6),
    "shrink": functools.partial(warp.zoomed, factor=0.7, row=0.5, col=0.5),
    "rotation": functools.partial(warp.rotated, angle_rad=0.5),
    "translation": functools.partial(warp.translated, down=2.3, right=-1.6),
    "crop": functools.partial(warp.cropped, top=0.1, left=0.3, height=0.6, width=0.5),
    "elastic": functools.partial(warp.displaced, control=CONTROL),
}
RANDOM = {
    "zoom": functools.partial(warp.random_zoomed, amount=0.5),
    "rotation": functools.partial(warp.random_rotated, amount=180.0),
    "translation": functools.partial(warp.random_translated, amount=0.3),
    "crop": functools.partial(warp.random_cropped, amount=0.7),
    "elastic": functools.partial(warp.random_displaced, amount=0.39),
}
NEUTRAL = {
    "zoom": functools.partial(warp.zoomed, factor=1.0, row=0.25, col=0.75),
    "rotation": functools.partial(warp.rotated, angle_rad=0.0),
    "translation": functools.partial(warp.translated, down=0.0, right=0.0),
    "crop": functools.partial(warp.cropped, top=0.0, left=0.0, height=1.0, width=1.0),
    "elastic": functools.partial(warp.displaced, control=CONTROL * 0),
}


def labelled(seed=0, *, size=SIZE):
    """A sample whose image is its label: two classes, and nothing, of weight 0."""
    noise = np.random.default_rng(seed).normal(size=(size, size))
    regions = np.digitize(ndimage.gaussian_filter(noise, 1.5), [-0.1, 0.1])
    one_hot = jnp.asarray(np.stack([regions == 1, regions == 2], -1), jnp.float32)
    return {"image": one_hot, "target": one_hot, "weight": one_hot.sum(-1)}


def ramp(height, width):
    """A sample whose every value says which pixel it is."""
    value = jnp.arange(1.0, 1 + height * width).reshape(height, width)
    return {"image": value[..., None], "target": value[..., None], "weight": value}


def assert_image_is_label(fields):
    np.testing.assert_array_equal(fields["image"], fields["target"])
    np.testing.assert_array_equal(fields["target"].sum(-1), fields["weight"])


@pytest.mark.parametrize("name", MAPS)
def test_an_image_that_is_its_label_stays_so(name):
    before = labelled()
    after = warp.apply(before, MAPS[name])
    assert not np.allclose(after["image"], before["image"])
    assert_image_is_label(after)


@pytest.mark.parametrize("name", RANDOM)
def test_so_it_does_for_every_draw(name):
    draw = jax.jit(
        lambda key, fields: warp.apply(
            fields, lambda positions: RANDOM[name](key, positions)
        )
    )
    fields = labelled(1, size=48)
    for seed in range(8):
        assert_image_is_label(draw(jax.random.key(seed), fields))
    again = draw(jax.random.key(0), fields)
    jax.tree.map(np.testing.assert_array_equal, again, draw(jax.random.key(0), fields))
    other = draw(jax.random.key(1), fields)
    assert not np.array_equal(again["target"], other["target"])


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_parameters_change_nothing(name):
    fields = labelled()
    after = warp.apply(fields, NEUTRAL[name])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), fields, after
    )


def test_a_chain_looks_up_once_what_two_steps_look_up_twice():
    fields = ramp(SIZE, SIZE)
    shift = functools.partial(warp.translated, down=2.0, right=1.0)
    turn = functools.partial(warp.rotated, angle_rad=np.pi / 2)
    chained = warp.apply(fields, turn, shift)  # what comes last in the sample is first
    stepwise = warp.apply(warp.apply(fields, shift), turn)
    np.testing.assert_allclose(chained["image"], stepwise["image"], atol=1e-3)


def test_quarter_turns_are_those_of_the_square():
    fields = ramp(SIZE, SIZE)
    for quarters, element in enumerate((0, 5, 3, 6)):
        turn = functools.partial(warp.rotated, angle_rad=quarters * np.pi / 2)
        expected = geometry.orient(fields["image"], element)
        after = warp.apply(fields, turn)["image"]
        np.testing.assert_allclose(after, expected, atol=1e-3)
        np.testing.assert_array_equal(after[..., 0].round(), expected[..., 0])


@pytest.mark.parametrize("angle", [0.3, -1.1])
def test_rotation_is_that_of_scipy(angle):
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(21, 21)), 2)
    image = jnp.asarray(smooth[..., None] + 5, jnp.float32)
    fields = {"image": image, "target": image, "weight": image[..., 0]}
    after = warp.apply(fields, functools.partial(warp.rotated, angle_rad=angle))
    expected = ndimage.rotate(
        smooth + 5, np.degrees(angle), reshape=False, order=1, mode="mirror"
    )
    np.testing.assert_allclose(after["image"][..., 0], expected, atol=1e-4)


def test_a_translation_moves_down_and_right():
    fields = ramp(5, 7)
    after = warp.apply(fields, functools.partial(warp.translated, down=1, right=2))
    np.testing.assert_array_equal(after["weight"][1:, 2:], fields["weight"][:-1, :-2])


def test_a_crop_of_half_the_frame_doubles_its_pixels():
    fields = ramp(4, 6)
    half = functools.partial(warp.cropped, top=0.5, left=0.0, height=0.5, width=0.5)
    after = warp.apply(fields, half)
    expected = np.repeat(np.repeat(fields["weight"][2:, :3], 2, 0), 2, 1)
    np.testing.assert_array_equal(after["weight"], expected)


@pytest.mark.parametrize("element", geometry.ALL)
def test_zoom_and_colour_commute_with_orientation(element):
    orient = functools.partial(jax.tree.map, lambda x: geometry.orient(x, element))
    fields = ramp(SIZE, SIZE)

    def change(fields):
        fields = zoom(fields, 1.37, 0.5, 0.5)
        return {**fields, "image": color.contrast(fields["image"], 1.2)}

    one, other = orient(change(fields))["image"], change(orient(fields))["image"]
    np.testing.assert_allclose(one, other, rtol=1e-4)


@jax.jit
def zoom(fields, factor, row, col):
    return warp.apply(
        fields, lambda positions: warp.zoomed(positions, factor, row, col)
    )


@settings(max_examples=20)
@given(
    factor=st.floats(0.6, 1.8),
    row=st.floats(0, 1),
    col=st.floats(0, 1),
    size=st.sampled_from([(1, 1), (1, 7), (8, 8), (5, 9)]),
)
def test_zoom_keeps_values_among_those_there_were(factor, row, col, size):
    height, width = size
    fields = ramp(height, width)
    value = fields["weight"]
    after = zoom(fields, factor, row, col)
    assert set(np.unique(after["target"])) <= set(np.unique(value))
    np.testing.assert_array_equal(after["target"][..., 0], after["weight"])
    # Bilinear stays within a pixel of nearest: rows differ by `width`, columns by 1.
    distance = np.abs(after["image"][..., 0] - after["weight"])
    assert distance.max() <= 0.5 * (width + 1) + 1e-3


def test_nothing_blends_with_nodata():
    image = jnp.full((9, 9, 1), 5.0).at[:4].set(0.0)
    fields = {"image": image, "target": image * 0, "weight": (image[..., 0] > 0) * 1.0}
    after = warp.apply(fields, MAPS["zoom"], MAPS["rotation"])
    assert set(np.unique(after["image"])) == {0.0, 5.0}
    np.testing.assert_array_equal(after["image"][..., 0] > 0, after["weight"] > 0)


def test_a_surface_is_the_tensor_spline_of_scipy():
    control, shape = np.asarray(CONTROL[..., 0], float), (10, 14)
    spans = control.shape[0] - 3
    knots = np.arange(-3, spans + 4)

    def basis(size):
        place = (np.arange(size) + 0.5) * spans / size
        return BSpline(knots, np.eye(spans + 3), 3)(place)

    expected = basis(10) @ control @ basis(14).T
    np.testing.assert_allclose(spline.surface(CONTROL[..., 0], shape), expected, 1e-4)


def test_an_elastic_deformation_does_not_fold():
    grid = warp.grid((64, 64))
    for seed in range(5):
        key = jax.random.key(seed)
        moved = warp.random_displaced(key, grid, amount=0.39)
        down = np.gradient(np.asarray(moved["row"]))
        right = np.gradient(np.asarray(moved["col"]))
        assert (down[0] * right[1] - down[1] * right[0] > 0).all()
        assert np.abs(moved["row"] - grid["row"]).max() < 0.39 * 64 / warp.SPANS


def test_jit_is_eager_is_vmap():
    fields = labelled()
    change = functools.partial(warp.apply, fields)

    def by(angle):
        return change(functools.partial(warp.rotated, angle_rad=angle))["target"]

    angles = jnp.array([0.2, 1.0])
    mapped = jax.vmap(by)(angles)
    for angle, one in zip(angles, mapped, strict=True):
        np.testing.assert_array_equal(by(angle), one)
        np.testing.assert_array_equal(jax.jit(by)(angle), one)
