"""Variables from PyTorch: whose names and shapes there are those of which here.

Known are state dicts of `EncoderDecoder`'s networks as segmentation_models_pytorch 0.6
writes them, and of the encoders alone as torchvision, timm and torchgeo do. Names and
arrays only: `minenet.train.pretrained` reads the files.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from minenet.types import InputError

PARTS = ("encoder", "decoder", "segmentation_head")

# A place here, PyTorch's name of its weights, and that of its norm.
_PLACES = (
    # ResNet
    ("encoder/stem", "encoder.conv1", "encoder.bn1"),
    (
        r"encoder/layer(\d)_(\d+)/conv(\d)",
        r"encoder.layer\1.\2.conv\3",
        r"encoder.layer\1.\2.bn\3",
    ),
    (
        r"encoder/layer(\d)_(\d+)/downsample",
        r"encoder.layer\1.\2.downsample.0",
        r"encoder.layer\1.\2.downsample.1",
    ),
    # VGG
    (r"encoder/features_(\d+)_(\d+)", r"encoder.features.\1", r"encoder.features.\2"),
    # ConvNeXt
    ("encoder/squares_0", "encoder.stem.0", ""),
    ("encoder/norm_0", "encoder.stem.1", ""),
    (r"encoder/norm_(\d)", r"encoder.stages.\1.downsample.0", ""),
    (r"encoder/squares_(\d)", r"encoder.stages.\1.downsample.1", ""),
    (r"encoder/stage_(\d)_(\d+)/widen", r"encoder.stages.\1.blocks.\2.mlp.fc1", ""),
    (r"encoder/stage_(\d)_(\d+)/narrow", r"encoder.stages.\1.blocks.\2.mlp.fc2", ""),
    (r"encoder/stage_(\d)_(\d+)/norm", r"encoder.stages.\1.blocks.\2.norm", ""),
    (r"encoder/stage_(\d)_(\d+)", r"encoder.stages.\1.blocks.\2", ""),
    # U-Net and U-Net++
    (r"decoder/centre_(\d)", r"decoder.center.\1.0", r"decoder.center.\1.1"),
    (r"(decoder/.*)/conv(\d)", r"\1.conv\2.0", r"\1.conv\2.1"),
    (r"(decoder/.*)/attention(\d)/narrow", r"\1.attention\2.attention.cSE.1", ""),
    (r"(decoder/.*)/attention(\d)/widen", r"\1.attention\2.attention.cSE.3", ""),
    (r"(decoder/.*)/attention(\d)/pixels", r"\1.attention\2.attention.sSE.0", ""),
    # FPN
    (r"decoder/pyramid_5", r"decoder.p5", ""),
    (r"decoder/pyramid_(\d)", r"decoder.p\1.skip_conv", ""),
    (
        r"decoder/merge_(\d)_(\d)",
        r"decoder.seg_blocks.\1.block.\2.block.0",
        r"decoder.seg_blocks.\1.block.\2.block.1",
    ),
    # DeepLabV3+
    (
        r"decoder/context_(\d)",
        r"decoder.aspp.0.convs.\1.0",
        r"decoder.aspp.0.convs.\1.1",
    ),
    ("decoder/context_mean", "decoder.aspp.0.convs.4.1", "decoder.aspp.0.convs.4.2"),
    ("decoder/project", "decoder.aspp.0.project.0", "decoder.aspp.0.project.1"),
    ("decoder/refine", "decoder.aspp.1", "decoder.aspp.2"),
    ("decoder/skip", "decoder.block1.0", "decoder.block1.1"),
    ("decoder/join", "decoder.block2.0", "decoder.block2.1"),
    # UPerNet
    (r"decoder/norm_(\d)", r"decoder.feature_norms.\1", ""),
    (r"decoder/part_(\d)", r"decoder.psp.blocks.\1.1.0", r"decoder.psp.blocks.\1.1.1"),
    ("decoder/parts", "decoder.psp.out_conv.0", "decoder.psp.out_conv.1"),
    (
        r"decoder/lateral_(\d)",
        r"decoder.fpn_lateral_blocks.\1.conv_norm_relu.0",
        r"decoder.fpn_lateral_blocks.\1.conv_norm_relu.1",
    ),
    (
        r"decoder/level_(\d)",
        r"decoder.fpn_conv_blocks.\1.0",
        r"decoder.fpn_conv_blocks.\1.1",
    ),
    ("decoder/fuse", "decoder.fusion_block.0", "decoder.fusion_block.1"),
    # The logits, not those of further heads
    ("Conv_0|Dense_0", "segmentation_head.0", ""),
)

_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
    "gamma": "gamma",
    "depthwise": "0.weight",
    "pointwise": "1.weight",
    "spatial_kernel": "conv_dw.weight",
    "spatial_bias": "conv_dw.bias",
}

# Other spellings, in the order in which they are undone.
_SPELLINGS = (
    # Wrappers, and timm inside of smp
    (r"^(module|model)\.", ""),
    (r"^encoder\.model\.", "encoder."),
    (r"\b(stem|stages)_(\d)\.", r"\1.\2."),
    # ConvNeXt of its authors
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.(\d)\.", r"stages.\1.downsample."),
    (r"^stages\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.pwconv(\d)\.", r".mlp.fc\1."),
    # ConvNeXt of torchvision: one list, where stages and what lies between alternate
    (r"^features\.0\.(\d)\.", r"stem.\1."),
    *(
        (rf"^features\.{2 * stage}\.(\d)\.", rf"stages.{stage}.downsample.\1.")
        for stage in (1, 2, 3)
    ),
    *(
        (rf"^features\.{2 * stage + 1}\.(\d+)\.", rf"stages.{stage}.blocks.\1.")
        for stage in (0, 1, 2, 3)
    ),
    (r"^(stages\..*)\.block\.0\.", r"\1.conv_dw."),
    (r"^(stages\..*)\.block\.2\.", r"\1.norm."),
    (r"^(stages\..*)\.block\.3\.", r"\1.mlp.fc1."),
    (r"^(stages\..*)\.block\.5\.", r"\1.mlp.fc2."),
    (r"\.layer_scale$", ".gamma"),
)

# What a classifier has after its encoder, and a counter.
_IGNORED = r".*num_batches_tracked|(fc|classifier|classification_head|head|norm)\..*"

_FIRST = {"stem", "features_0_1", "squares_0"}


def torch_name(path: tuple[str, ...]) -> str | None:
    """Returns what segmentation_models_pytorch calls a variable, None if nothing.

    Args:
        path: Of the variable in a model's `params` or `batch_stats`.

    >>> torch_name(("encoder", "layer1_0", "conv2", "BatchNorm_0", "mean"))
    'encoder.layer1.0.bn2.running_mean'
    """
    *place, leaf = path
    of_norm = place[-1] in ("BatchNorm_0", "GroupNorm_0")
    joined = "/".join(place[:-1] if of_norm else place)
    for pattern, weights, norm in _PLACES:
        if found := re.fullmatch(pattern, joined):
            name = found.expand(norm if of_norm else weights)
            name = re.sub(r"/block_(\d)", r".blocks.\1", name)
            name = re.sub(r"/node_(\d_\d)", r".blocks.x_\1", name)
            return f"{name}.{_LEAVES[leaf]}"
    return None


def filled(
    variables: Mapping[str, Any],
    state: Mapping[str, np.ndarray],
    *,
    parts: Collection[str] = PARTS,
) -> dict[str, Any]:
    """Returns `variables` with the arrays of a PyTorch state dict in their places.

    The first convolution adapts to the bands of the model, see `tiled`. A classifier's
    last layers are passed over, and an encoder's state dict fills the encoder alone.

    Args:
        variables: Of an `EncoderDecoder` or of one of `encoders`: arrays, or their
            shapes alone.
        state: Arrays by name.
        parts: Of `PARTS`, those to take: without "segmentation_head" the classes may
            differ.

    Raises:
        InputError: A layer is missing, not known or of another shape; it is named.
    """
    whole = "encoder" in variables["params"]
    state = {name: np.asarray(array) for name, array in _spelled(state).items()}
    wanted = set(parts if whole else PARTS[:1])
    state = {name: a for name, a in state.items() if name.split(".")[0] in wanted}
    present = {name.split(".")[0] for name in state}
    found = flatten_dict(dict(variables))
    missing, differing, used = [], [], set()
    for (collection, *path), leaf in list(found.items()):
        name = torch_name(tuple(path if whole else ("encoder", *path)))
        if name is None or name.split(".")[0] not in present:
            continue
        if name not in state:
            missing.append(name)
            continue
        used.add(name)
        array = _turned(state[name])
        if path[-2] in _FIRST and array.ndim == 4:
            array = tiled(array, leaf.shape[2])
        if _sides(array.shape) != _sides(leaf.shape):
            differing.append(f"{name} {array.shape} for {leaf.shape}")
        else:
            array = array.reshape(leaf.shape).astype(leaf.dtype)
            found[collection, *path] = array
    _report(present, missing, sorted(state.keys() - used), differing)
    return unflatten_dict(found)


def tiled(kernel: np.ndarray, bands: int) -> np.ndarray:
    """Returns a first kernel `[h, w, C, F]` for another number of bands.

    The rule of timm and segmentation_models_pytorch: one band gets the sum, more repeat
    the kernel's own in turn, scaled so that the sum over all stays about the same. To
    choose bands oneself, index the state dict's array before.
    """
    depth = kernel.shape[2]
    if bands == depth:
        return kernel
    if bands == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, np.arange(bands) % depth] * np.float32(depth / bands)


def _spelled(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    spelled = {}
    for name, array in state.items():
        for pattern, replacement in _SPELLINGS:
            name = re.sub(pattern, replacement, name)
        if not re.fullmatch(_IGNORED, name):
            spelled[name] = array
    if not any(name.split(".")[0] in PARTS for name in spelled):
        spelled = {f"encoder.{name}": array for name, array in spelled.items()}
    return spelled


def _turned(array: np.ndarray) -> np.ndarray:
    # Channels come first there: a convolution's [F, C, h, w], a product's [F, C].
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    return array.T if array.ndim == 2 else array


def _sides(shape: tuple[int, ...]) -> list[int]:
    return [side for side in shape if side != 1]


def _report(
    present: Collection[str],
    missing: list[str],
    unknown: list[str],
    differing: list[str],
) -> None:
    if not present:
        raise InputError("state dict: no layer of an encoder or a decoder found")
    told = [
        f"{len(names)} {what}: {', '.join(names[:3])}{' …' * (len(names) > 3)}"
        for what, names in (
            ("not in it", missing),
            ("not in the model", unknown),
            ("of another shape", differing),
        )
        if names
    ]
    if told:
        raise InputError(f"state dict: layers do not fit; {'; '.join(told)}")
