"""Weights from PyTorch: names, shapes, bands, files."""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from minenet import models
from minenet.models import encoders, torch_names
from minenet.train import pretrained
from minenet.types import InputError
from tests import drawing
from tests.narrow import KEY, normal

SMALL = {"encoder": "resnet18", "encoder_width": 4, "decoder_widths": (4, 4, 6, 8, 8)}


def shapes_of(model, bands=3):
    return jax.eval_shape(model.init, KEY, jnp.zeros((1, 32, 32, bands)))


def small(classes=1, bands=3):
    model = models.build("resnet_unet", num_classes=classes, **SMALL)
    return shapes_of(model, bands)


def state_of(variables):
    """A state dict of these shapes, each array with a value of its own."""
    state = {}
    for path, leaf in jax.tree.leaves_with_path(variables):
        name = torch_names.torch_name(tuple(part.key for part in path[1:]))
        shape = leaf.shape
        if len(shape) in (2, 4):
            shape = (shape[-1], shape[-2], *shape[:-2])
        state[name] = normal(*shape, seed=len(state))
    return state


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_every_variable_has_a_name_of_its_own():
    for name in ("unet", "unetpp", "fpn", "deeplabv3plus", "upernet"):
        model = models.build("resnet_unet", num_classes=1, decoder=name)
        variables = shapes_of(model)
        leaves = jax.tree.leaves_with_path(variables)
        named = {
            torch_names.torch_name(tuple(part.key for part in path[1:]))
            for path, _ in leaves
        }
        assert None not in named and len(named) == len(leaves)


def test_a_convolution_turns_and_a_counter_is_passed_over():
    variables = small()
    state = state_of(variables)
    state["encoder.bn1.num_batches_tracked"] = np.array(7)
    found = torch_names.filled(variables, state)
    kernel = found["params"]["encoder"]["layer2_0"]["conv1"]["kernel"]
    theirs = state["encoder.layer2.0.conv1.weight"]
    assert kernel.shape == (3, 3, 4, 8)
    np.testing.assert_array_equal(kernel[0, 1, 2], theirs[:, 2, 0, 1])
    mean = found["batch_stats"]["encoder"]["stem"]["BatchNorm_0"]["mean"]
    np.testing.assert_array_equal(mean, state["encoder.bn1.running_mean"])


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_the_first_convolution_adapts_as_in_timm(bands):
    drawing.smp()
    import torch
    from timm.models import adapt_input_conv as adapt

    kernel = normal(3, 3, 3, 4)
    theirs = adapt(bands, torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
    ours = torch_names.tiled(kernel, bands)
    np.testing.assert_allclose(ours, theirs.numpy().transpose(2, 3, 1, 0), rtol=1e-6)
    found = torch_names.filled(small(bands=bands), state_of(small()))
    stem = found["params"]["encoder"]["stem"]["kernel"]
    wanted = state_of(small())["encoder.conv1.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(stem, torch_names.tiled(wanted, bands))


def test_an_encoder_fills_an_encoder_alone():
    variables = small()
    state = state_of(variables)
    alone = {
        name.removeprefix("encoder."): array
        for name, array in state.items()
        if name.startswith("encoder.")
    }
    alone |= {"fc.weight": normal(10, 32), "fc.bias": normal(10)}
    found = torch_names.filled(variables, alone)
    whole = torch_names.filled(variables, state)
    same(found["params"]["encoder"], whole["params"]["encoder"])
    assert found["params"]["decoder"] == variables["params"]["decoder"]
    bare = shapes_of(encoders.build("resnet18", width=4))
    for given in (alone, state, {f"model.{k}": v for k, v in state.items()}):
        same(torch_names.filled(bare, given)["params"], whole["params"]["encoder"])


def test_other_classes_keep_their_head():
    variables, state = small(classes=3), state_of(small(classes=1))
    with pytest.raises(InputError, match="2 of another shape: segmentation_head.0.bi"):
        torch_names.filled(variables, state)
    found = torch_names.filled(variables, state, parts=("encoder", "decoder"))
    assert found["params"]["Conv_0"] == variables["params"]["Conv_0"]
    same(found["batch_stats"], torch_names.filled(small(), state)["batch_stats"])


def test_what_does_not_fit_is_named():
    variables = small()
    state = state_of(variables)
    del state["encoder.layer3.1.bn2.running_var"]
    state["decoder.blocks.9.conv1.0.weight"] = normal(1)
    state["encoder.layer1.0.conv1.weight"] = normal(4, 4, 5, 5)
    with pytest.raises(InputError) as error:
        torch_names.filled(variables, state)
    message = str(error.value)
    assert "1 not in it: encoder.layer3.1.bn2.running_var" in message
    assert "1 not in the model: decoder.blocks.9.conv1.0.weight" in message
    assert "1 of another shape: encoder.layer1.0.conv1.weight (5, 5, 4, 4) " in message
    assert "\n" not in message
    with pytest.raises(InputError, match="no layer of an encoder or a decoder found"):
        torch_names.filled(variables, {"fc.weight": normal(1)})


def of_meta(make):
    """Names and shapes of a PyTorch network's arrays, each filled with its place."""
    import torch

    with torch.device("meta"):
        network = make()
    named = [
        (name, tuple(value.shape))
        for name, value in network.state_dict().items()
        if not re.match("(head|classifier|fc)[.]", name)
    ]
    return {name: np.full(shape, place) for place, (name, shape) in enumerate(named)}


def test_names_of_torchvision_timm_and_torchgeo_are_known():
    drawing.smp()
    import timm
    import torchvision

    # All three list the same layers in the same order, under names of their own.
    bare = shapes_of(encoders.build("convnext_tiny"))
    theirs = of_meta(lambda: timm.create_model("convnext_tiny"))
    found = torch_names.filled(bare, theirs)
    same(
        found,
        torch_names.filled(bare, of_meta(lambda: torchvision.models.convnext_tiny())),
    )
    first = {}
    for name, array in theirs.items():
        name = re.sub(r"stem", "downsample_layers.0", name)
        name = re.sub(r"stages.(\d).downsample", r"downsample_layers.\1", name)
        name = name.replace(".blocks.", ".").replace("conv_dw", "dwconv")
        first[name.replace("mlp.fc", "pwconv")] = array
    same(found, torch_names.filled(bare, first))
    for name in ("resnet18", "resnet50"):
        bare = shapes_of(encoders.build(name), bands=13)
        theirs = of_meta(lambda name=name: timm.create_model(name, in_chans=13))
        torch_names.filled(bare, theirs)
    bare = shapes_of(encoders.build("vgg16_bn"))
    torch_names.filled(bare, of_meta(lambda: torchvision.models.vgg16_bn()))


def test_safetensors_need_no_torch(tmp_path):
    variables = small()
    state = state_of(variables)
    half = {name: array.astype(np.float16) for name, array in state.items()}
    save_file(half, tmp_path / "weights.safetensors")
    found = pretrained.filled(variables, tmp_path / "weights.safetensors")
    rounded = {name: array.astype(np.float32) for name, array in half.items()}
    same(found, torch_names.filled(variables, rounded))
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(found))
    del half["segmentation_head.0.bias"]
    save_file(half, tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="weights.safetensors: state dict: layers do"):
        pretrained.filled(variables, tmp_path / "weights.safetensors")


def test_a_file_of_torch_gives_its_arrays_and_runs_nothing(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch writes such files")
    arrays = {"a": torch.arange(3.0), "b": torch.ones(2, dtype=torch.bfloat16)}
    for wrapped in (arrays, {"state_dict": arrays, "epoch": 3}, {"model": arrays}):
        torch.save(wrapped, tmp_path / "weights.pth")
        found = pretrained.read(tmp_path / "weights.pth")
        assert {name: array.dtype for name, array in found.items()} == {
            "a": np.float32,
            "b": np.float32,
        }
        np.testing.assert_array_equal(found["a"], [0, 1, 2])
    torch.save({"a": InputError}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="weights.pth: not a file of weights alone"):
        pretrained.read(tmp_path / "weights.pth")
    torch.save([1], tmp_path / "weights.pth")
    with pytest.raises(InputError, match="expected a state dict, not list"):
        pretrained.read(tmp_path / "weights.pth")


def test_files_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no.pth: no such file"):
        pretrained.read(tmp_path / "no.pth")
    for suffix, message in {
        ".h5": r"weights.h5: expected a file that ends in one of .safetensors, .pth",
        ".safetensors": "weights.safetensors: not a safetensors file",
    }.items():
        path = tmp_path / f"weights{suffix}"
        path.write_bytes(b"nothing")
        with pytest.raises(InputError, match=message):
            pretrained.read(path)
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "weights.pth").write_bytes(b"")
    with pytest.raises(InputError, match="PyTorch reads it, and is not installed"):
        pretrained.read(tmp_path / "weights.pth")
