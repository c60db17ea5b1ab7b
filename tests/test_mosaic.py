import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minenet.infer import blend, mosaic
from minenet.infer.predict import predictor
from minenet.types import InputError
from tests import bundles, tiles

LINEAR = bundles.bundle()
UNET = bundles.bundle(model=bundles.UNET)


@pytest.fixture(scope="module")
def predict():
    return predictor(LINEAR, batch_size=8)


@pytest.fixture(scope="module")
def predict_unet():
    return predictor(UNET, batch_size=8)


def image(height, width, *, holes=0.0, seed=0):
    """Values from 1; whole pixels, and single bands of others, are 0, the nodata."""
    found = tiles.picture(height, width, seed=seed)
    generator = np.random.default_rng(seed)
    found[generator.random(found.shape) < holes / 4] = 0
    found[generator.random(found.shape[:2]) < holes] = 0
    return found


def opened(folder, pixels, bundle=LINEAR):
    path = tiles.save(folder / "scene.tif", pixels, nodata=0)
    return mosaic.open_scene(bundle, [str(path)])


def as_float(pixels):
    return np.where(pixels == 0, np.nan, pixels.astype(np.float32))


@settings(max_examples=30)
@given(
    size=st.sampled_from([(1, 1), (1, 40), (3, 90), (90, 3), (16, 16), (33, 65)]),
    window=st.sampled_from([1, 5, 16, 32]),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.7]),
    holes=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 3),
)
def test_blended_windows_of_a_model_of_single_pixels_are_its_map_untiled(
    tmp_path_factory, predict, size, window, overlap, holes, seed
):
    pixels = image(*size, holes=holes, seed=seed)
    scene = opened(tmp_path_factory.mktemp("scene"), pixels)
    found = mosaic.whole(predict, scene, num_classes=1, window=window, overlap=overlap)
    expected = bundles.untiled(LINEAR, as_float(pixels))
    assert found.shape == (*size, 1) and found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
    known = found[np.isfinite(found)]
    assert ((known >= 0) & (known <= 1)).all()


@pytest.mark.parametrize("size", [(5, 7), (40, 100), (513, 33)])
@pytest.mark.parametrize(("window", "overlap"), [(16, 0.5), (16, 0.25), (16, 0.0)])
def test_windows_with_context_are_blended_as_if_the_scene_were_one_array(
    tmp_path, predict_unet, size, window, overlap
):
    pixels = image(*size)
    scene = opened(tmp_path, pixels, UNET)
    found = mosaic.whole(
        predict_unet, scene, num_classes=1, window=window, overlap=overlap
    )
    np.testing.assert_allclose(
        found, at_once(predict_unet, pixels, window, overlap), atol=1e-5
    )


def at_once(predict, pixels, window, overlap):
    """The weighted mean of all windows of a scene that was mirrored with numpy."""
    stride = round(window * (1 - overlap))
    margin = window - stride
    height, width = pixels.shape[:2]
    wide = np.pad(
        as_float(pixels),
        ((margin, margin + window), (margin, margin + window), (0, 0)),
        mode="reflect",
    )
    at = (np.arange(window) + 0.5) / window - 0.5
    gauss = np.maximum(np.exp(-0.5 * (at / blend.SIGMA) ** 2), blend.FLOOR)
    weight = np.outer(gauss, gauss)[..., None]
    total, weights = np.zeros((*wide.shape[:2], 1)), np.zeros((*wide.shape[:2], 1))
    places = [
        np.s_[row : row + window, col : col + window]
        for row in range(0, height + margin, stride)
        for col in range(0, width + margin, stride)
    ]
    found = predict([wide[place] for place in places])
    for place, probability in zip(places, found, strict=True):
        total[place] += probability * weight
        weights[place] += weight
    inside = np.s_[margin : margin + height, margin : margin + width]
    return total[inside] / weights[inside]


def test_a_pixel_does_not_depend_on_where_strips_are_cut(
    tmp_path, predict_unet, monkeypatch
):
    scene = opened(tmp_path, image(75, 60, holes=0.1), UNET)
    options = {"num_classes": 1, "window": 16, "overlap": 0.5}
    several = list(mosaic.strips(predict_unet, scene, **options))
    monkeypatch.setattr(mosaic, "TOGETHER", 1)
    single = list(mosaic.strips(predict_unet, scene, **options))
    assert len(single) > len(several)
    np.testing.assert_allclose(
        np.concatenate([strip for _, strip in single]),
        np.concatenate([strip for _, strip in several]),
        atol=1e-6,
    )
    for found in (single, several):
        rows = [row for row, strip in found for row in range(row, row + len(strip))]
        assert rows == list(range(75))


def counted(seen):
    def predict(windows):
        for each in windows:
            seen.append(each)
            yield np.full((*each.shape[:2], 1), 0.5, np.float32)

    return predict


def test_only_what_is_wanted_is_computed_and_only_that_is_given(tmp_path):
    pixels = image(64, 64)
    pixels[:20] = 0
    wanted = np.zeros((64, 64), bool)
    wanted[:32, :8] = True
    seen = []
    found = mosaic.whole(
        counted(seen),
        opened(tmp_path, pixels),
        num_classes=1,
        window=16,
        overlap=0.5,
        wanted=wanted,
    )
    wanted[:20] = False
    np.testing.assert_array_equal(np.isfinite(found[..., 0]), wanted)
    # Rows 20 to 31 in windows at 8, 16 and 24, columns 0 to 7 in those at -8 and 0.
    assert len(seen) == 6


def test_windows_without_data_are_not_computed(tmp_path):
    seen = []
    scene = opened(tmp_path, np.zeros((64, 64, 3), np.uint16))
    found = mosaic.whole(counted(seen), scene, num_classes=1, window=16)
    assert not seen and np.isnan(found).all() and found.shape == (64, 64, 1)


def test_strips_can_be_left_half_way(tmp_path, predict):
    scene = opened(tmp_path, image(90, 16))
    found = mosaic.strips(predict, scene, num_classes=1, window=4)
    assert next(found)[0] == 0
    found.close()


@pytest.mark.parametrize("options", [{"window": 0}, {"window": 8, "overlap": 1.0}])
def test_a_tiling_that_is_none_is_refused(tmp_path, predict, options):
    scene = opened(tmp_path, image(8, 8))
    with pytest.raises(InputError, match="config.predict"):
        mosaic.whole(predict, scene, num_classes=1, **options)
