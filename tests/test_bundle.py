import dataclasses
import json

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from minenet.geo import bands, raster
from minenet.infer import bundle as bundle_
from minenet.types import InputError
from tests import bundles, tiles


def infos(*paths):
    return [raster.info(path) for path in paths]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": bundles.UNET},
        {"classes": ("background", "mine", "tailings")},
        {"bands": 2, "names": ("B4", "B8"), "threshold": 0.25},
        {"classes": ("a", "b"), "task": "multilabel", "threshold": (0.25, 0.75)},
    ],
)
def test_what_is_saved_is_loaded(tmp_path, changes):
    bundle = bundles.bundle(**changes)
    bundle_.save(tmp_path / "model", bundle)
    found = bundle_.load(tmp_path / "model")
    assert {p.name for p in (tmp_path / "model").iterdir()} == {
        "bundle.json",
        "weights.safetensors",
    }
    for field in dataclasses.fields(bundle):
        if field.name in ("variables", "normalizer", "origin"):
            continue
        assert getattr(found, field.name) == getattr(bundle, field.name)
    assert found.origin["step"] == 0 and "version" in found.origin
    for value, expected in zip(found.normalizer, bundle.normalizer, strict=True):
        np.testing.assert_array_equal(value, expected)
    flat, expected = flatten_dict(found.variables), flatten_dict(bundle.variables)
    assert flat.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(flat[path], value)
    # Saved once more, it is the same bundle: nothing is lost by turns.
    bundle_.save(tmp_path / "again", found)
    for name in ("bundle.json", "weights.safetensors"):
        first = (tmp_path / "model" / name).read_bytes()
        assert (tmp_path / "again" / name).read_bytes() == first


def test_overlapping_classes_have_a_threshold_each(tmp_path):
    several = {"classes": ("a", "b"), "task": "multilabel"}
    for given, expected in ((None, (0.5, 0.5)), (0.25, (0.25, 0.25))):
        assert bundles.bundle(**several, threshold=given).threshold == expected
    with pytest.raises(ValueError, match="shape"):
        bundles.bundle(**several, threshold=(0.1, 0.2, 0.3))


def test_no_bundle(tmp_path):
    with pytest.raises(InputError, match="no bundle there; train first"):
        bundle_.load(tmp_path)


@pytest.fixture
def saved(tmp_path):
    bundle_.save(tmp_path, bundles.bundle())
    return tmp_path


def test_a_bundle_of_another_format_is_refused(saved):
    facts = json.loads((saved / "bundle.json").read_text())
    (saved / "bundle.json").write_text(json.dumps(facts | {"format": 99}))
    with pytest.raises(InputError, match="not of format 1"):
        bundle_.load(saved)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bundle.json", b"{", "a damaged bundle"),
        ("bundle.json", b'{"format": 1}', "a damaged bundle"),
        ("weights.safetensors", b"\0" * 99, "not the weights of bundle.json"),
    ],
)
def test_a_damaged_bundle_is_refused(saved, name, content, message):
    (saved / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        bundle_.load(saved)
    assert str(saved) in str(caught.value) and "\n" not in str(caught.value)


def test_weights_of_another_training_are_refused(saved, tmp_path):
    # A job killed between the two files leaves new weights under an old description.
    bundle_.save(tmp_path / "other", bundles.bundle(window=32, model=bundles.UNET))
    (saved / "weights.safetensors").write_bytes(
        (tmp_path / "other" / "weights.safetensors").read_bytes()
    )
    with pytest.raises(InputError, match="not the weights of bundle.json"):
        bundle_.load(saved)


def test_bands_are_found_by_name(tmp_path):
    bundle = bundles.bundle(bands=2, names=("B8", "B4"))
    image = tiles.picture(count=3)
    path = tiles.save(tmp_path / "scene.tif", image, names=("B2", "B4", "B8"))
    stack = bundle_.stack(bundle.contract, infos(path))
    np.testing.assert_array_equal(
        bands.read([str(path)], stack, None), image[..., [2, 1]]
    )


def test_a_missing_band_is_named_with_the_nearest(tmp_path):
    bundle = bundles.bundle(bands=2, names=("B04", "B8"))
    path = tiles.save(
        tmp_path / "scene.tif", tiles.picture(count=2), names=("B4", "B8")
    )
    with pytest.raises(InputError, match=r"scene.tif: no band B04 \(is it B4\?\)"):
        bundle_.stack(bundle.contract, infos(path))


@pytest.mark.parametrize("described", [True, False])
def test_bands_without_names_are_taken_by_their_place(tmp_path, described):
    first = tiles.save(
        tmp_path / "first.tif",
        tiles.picture(count=4),
        names=("B2", "B3", "B4", "B8") if described else None,
    )
    stack = bands.select([infos(first)], bands=[4, 2])
    contract = bundle_.contract(stack, infos(first))
    assert contract.described is described
    image = tiles.picture(count=4, seed=1)
    whole = tiles.save(tmp_path / "whole.tif", image)
    stack = bundle_.stack(contract, infos(whole))
    found = bands.read([str(whole)], stack, None)
    np.testing.assert_array_equal(found, image[..., [3, 1]])


def test_a_file_of_just_the_bands_of_a_model_with_names_needs_none(tmp_path):
    bundle = bundles.bundle(bands=2, names=("B4", "B8"))
    contract = dataclasses.replace(bundle.contract, places=(2, 3), counts=(4,))
    image = tiles.picture(count=2)
    path = tiles.save(tmp_path / "scene.tif", image)
    stack = bundle_.stack(contract, infos(path))
    np.testing.assert_array_equal(bands.read([str(path)], stack, None), image)


def test_another_number_of_bands_without_names_is_refused(tmp_path):
    path = tiles.save(tmp_path / "scene.tif", tiles.picture(count=4))
    with pytest.raises(InputError, match="4 bands, but the model was trained on 3"):
        bundle_.stack(bundles.bundle().contract, infos(path))


def test_an_alpha_band_is_no_band(tmp_path):
    image = tiles.picture(count=4)
    path = tiles.save(
        tmp_path / "scene.tif", image.astype(np.uint8), photometric="rgb", alpha="yes"
    )
    stack = bundle_.stack(bundles.bundle().contract, infos(path))
    assert [band for _, band in stack.picks] == [1, 2, 3]


@pytest.mark.parametrize("described", [True, False])
def test_several_images_stack_as_in_training(tmp_path, described):
    names = (("VV", "VH"), ("B4", "B8")) if described else (None, None)
    pictures = [tiles.picture(count=2, seed=i) for i in range(2)]
    paths = [
        tiles.save(tmp_path / f"{i}.tif", pictures[i], names=names[i]) for i in range(2)
    ]
    stack = bands.select([infos(*paths)], labels=["s1", "s2"])
    contract = bundle_.contract(stack, infos(*paths))
    again = bundle_.stack(contract, infos(*paths))
    assert again.names == stack.names
    np.testing.assert_array_equal(
        bands.read(list(map(str, paths)), again, None), np.concatenate(pictures, -1)
    )
    with pytest.raises(InputError, match=r"2 bands, but .* trained on 2 \+ 2"):
        bundle_.stack(contract, infos(paths[0]))
