import jax
import numpy as np
import pytest

from minenet import models
from minenet.infer import predict
from minenet.ops import geometry, normalize
from minenet.types import InputError
from tests import bundles


def windows(count, size=16, bands=3, seed=0):
    generator = np.random.default_rng(seed)
    found = generator.uniform(0, 1000, (count, size, size, bands)).astype(np.float32)
    found[:, :2, :3] = np.nan
    return found


@pytest.mark.parametrize("model", [bundles.LINEAR, bundles.UNET], ids=["linear", "u"])
@pytest.mark.parametrize("count", [1, 8, 19])
def test_windows_come_back_in_order_as_the_model_alone_sees_them(model, count):
    bundle = bundles.bundle(model=model)
    images = windows(count)
    found = list(predict.predictor(bundle, batch_size=8)(images))
    assert len(found) == count
    options = {k: v for k, v in model.items() if k != "name"}
    module = models.build(model["name"], num_classes=1, **options)
    image = normalize.apply(images, bundle.normalizer)
    expected = jax.nn.sigmoid(module.apply(bundle.variables, image))
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-6)


def test_no_windows_give_nothing():
    assert list(predict.predictor(bundles.bundle(), batch_size=8)([])) == []


def test_the_program_is_traced_once(monkeypatch):
    traces = []
    build = models.build

    def counting(name, **options):
        module = build(name, **options)

        class Counting:
            def apply(self, variables, image):
                traces.append(image.shape)
                return module.apply(variables, image)

        return Counting()

    bundle = bundles.bundle()
    monkeypatch.setattr(models, "build", counting)
    run = predict.predictor(bundle, batch_size=3)
    for count in (1, 7, 20):
        list(run(windows(count)))
    # Three windows at a time are not to be cut over eight devices.
    assert traces == [(jax.local_device_count(), 16, 16, 3)]


def test_exclusive_classes_share_out_one():
    bundle = bundles.bundle(classes=("background", "mine", "tailings"))
    (found,) = predict.predictor(bundle, batch_size=1)(windows(1))
    assert found.shape == (16, 16, 3)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)


def test_averaged_over_orientations_the_map_turns_with_the_image():
    bundle = bundles.bundle(model=bundles.UNET)
    run = predict.predictor(bundle, batch_size=8, tta=True)
    (image,) = windows(1)
    turned = [np.asarray(geometry.orient(image, e)) for e in geometry.ALL]
    found = list(run(turned))
    for element, each in zip(geometry.ALL, found, strict=True):
        np.testing.assert_allclose(
            each, np.asarray(geometry.orient(found[0], element)), atol=1e-5
        )
    (plain,) = predict.predictor(bundle, batch_size=8)([image])
    assert np.abs(plain - found[0]).max() > 1e-4


@pytest.mark.parametrize("element", geometry.ALL)
def test_each_orientation_is_undone(element):
    image = np.arange(18).reshape(3, 3, 2)
    there = geometry.orient(image, element)
    back = geometry.orient(there, predict.INVERSE[element])
    np.testing.assert_array_equal(back, image)


def test_bands_to_do_without_are_as_if_they_had_no_value():
    bundle = bundles.bundle(model=bundles.UNET)
    whole, without = windows(2), windows(2)
    without[..., [0, 2]] = np.nan
    names = bundle.contract.names
    run = predict.predictor(bundle, batch_size=2, missing=(names[0], 3))
    plain = predict.predictor(bundle, batch_size=2)
    np.testing.assert_array_equal(list(run(whole)), list(plain(without)))
    assert np.abs(np.stack(list(run(whole))) - list(plain(whole))).max() > 1e-3


@pytest.mark.parametrize("band", ["thermal", 0, 4])
def test_a_band_that_the_model_lacks_cannot_be_missing(band):
    with pytest.raises(InputError, match=r"predict.missing: no band .* has .*, number"):
        predict.predictor(bundles.bundle(), batch_size=1, missing=(band,))
