"""Encoders under decoders: sizes, what they compute against smp, what learns."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet import models
from minenet.models import encoders, resample, torch_names
from minenet.models.depthwise import depthwise
from minenet.types import InputError
from tests import drawing
from tests.drawing import UNOPTIMIZED, drawn
from tests.narrow import KEY, normal

# Name, options, bands; parameters and statistics of segmentation_models_pytorch 0.6.
TABLE = [
    ("resnet_unet", {}, 3, 24_436_369, 19_008),
    ("resnet_unet", {}, 9, 24_455_185, 19_008),
    ("resnet_unet", {"encoder": "resnet18"}, 3, 14_328_209, 11_584),
    ("resnet_unet", {"encoder": "resnet50"}, 3, 32_521_105, 55_104),
    ("resnet_unet", {"attention": "scse"}, 7, 24_562_904, 19_008),
    ("resnet_unet", {"attention": "scse"}, 2, 24_547_224, 19_008),
    ("early_fusion", {}, 9, 24_455_185, 19_008),
    ("vgg_unet", {}, 3, 23_756_689, 12_480),
    ("unetpp", {}, 3, 26_078_609, 20_800),
    ("fpn", {}, 3, 23_155_393, 17_024),
    ("deeplabv3plus", {}, 3, 22_437_457, 21_216),
    ("upernet", {}, 3, 29_599_681, 23_168),
    ("convnext_unet", {}, 3, 31_928_753, 1_984),
]


@pytest.mark.parametrize("name,options,bands,params,statistics", TABLE)
def test_a_network_has_the_size_of_its_source(name, options, bands, params, statistics):
    model = models.build(name, num_classes=1, **options)
    image = jax.ShapeDtypeStruct((1, 131, 97, bands), jnp.float32)
    logits, variables = jax.eval_shape(model.init_with_output, KEY, image)
    assert (logits.shape, logits.dtype) == ((1, 131, 97, 1), jnp.float32)
    assert {
        kind: sum(leaf.size for leaf in jax.tree.leaves(tree))
        for kind, tree in variables.items()
    } == {"params": params, "batch_stats": statistics}


# In smp's terms: architecture, encoder and further options.
PEERS = {
    ("resnet_unet", ()): ("Unet", "resnet34", {}),
    ("resnet_unet", (("encoder", "resnet50"),)): ("Unet", "resnet50", {}),
    ("resnet_unet", (("encoder", "resnet18"), ("attention", "scse"))): (
        *("Unet", "resnet18"),
        {"decoder_attention_type": "scse"},
    ),
    ("vgg_unet", ()): ("Unet", "vgg16_bn", {}),
    ("unetpp", ()): ("UnetPlusPlus", "resnet34", {}),
    ("fpn", ()): ("FPN", "resnet34", {}),
    ("deeplabv3plus", ()): ("DeepLabV3Plus", "resnet34", {}),
    ("upernet", ()): ("UPerNet", "resnet34", {}),
    ("convnext_unet", ()): ("Unet", "tu-convnext_tiny", {}),
}


@pytest.mark.parametrize(("ours", "theirs"), PEERS.items(), ids=str)
def test_logits_are_those_of_smp(ours, theirs):
    state, expected, image = computed_by_smp(*theirs)
    model = models.build(ours[0], num_classes=2, **dict(ours[1]))
    shapes = jax.eval_shape(model.init, KEY, image)
    variables = torch_names.filled(shapes, state)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(variables))
    apply = jax.jit(model.apply, compiler_options=UNOPTIMIZED)
    np.testing.assert_allclose(apply(variables, image), expected, atol=1e-4)


def computed_by_smp(architecture, encoder, options):
    """State dict with no two weights or statistics alike, logits and their image."""
    smp = drawing.smp()
    import torch

    torch.manual_seed(0)
    network = getattr(smp, architecture)(
        encoder, encoder_weights=None, in_channels=4, classes=2, **options
    )
    image = normal(1, 64, 96, 4)
    return *drawing.computed_by_torch(network, image), image


SUBTRACTED = "the mean that the norm subtracts contains it"
UNUSED = "the last block joins no map, so its first attention is passed by, as in smp"
SMALL = {"encoder": "resnet18", "encoder_width": 4}
WIDTHS = {"decoder_widths": (4, 4, 6, 8, 8)}
# Name and options, and of the parameters that a step does not change, which and why.
NARROW = {
    "unet": ("resnet_unet", SMALL | WIDTHS | {"norm": "group"}, {}),
    "bottleneck": ("resnet_unet", SMALL | WIDTHS | {"encoder": "resnet50"}, {}),
    "scse": (
        "resnet_unet",
        SMALL | WIDTHS | {"attention": "scse"},
        {r"decoder/block_4/attention1/.*": UNUSED},
    ),
    "vgg": (
        "vgg_unet",
        {"encoder_width": 4} | WIDTHS,
        {r"encoder/features_\w+/bias": SUBTRACTED},
    ),
    "unetpp": ("unetpp", SMALL | WIDTHS, {}),
    "fpn": ("fpn", SMALL | {"decoder_widths": (8, 8)}, {}),
    "deeplabv3plus": ("deeplabv3plus", SMALL | {"decoder_widths": (8,)}, {}),
    "upernet": ("upernet", SMALL | {"decoder_widths": (8,)}, {}),
    "convnext": ("convnext_unet", {"encoder_width": 4} | WIDTHS, {}),
}
SLOW = ("bottleneck", "convnext", "unetpp", "deeplabv3plus", "upernet")
each_variant = pytest.mark.parametrize(
    "variant",
    [
        pytest.param(variant, marks=[pytest.mark.slow] * (variant in SLOW))
        for variant in NARROW
    ],
)


@functools.cache
def stepped(variant):
    """Gradient and new statistics of a step; logits, in both types, without one."""
    name, options, _ = NARROW[variant]
    model = models.build(name, num_classes=2, **options)
    low = models.build(name, num_classes=2, **options, dtype="bfloat16")
    image = normal(3, 64, 64, 3)
    variables = drawn(jax.eval_shape(model.init, KEY, image))

    @functools.partial(jax.jit, compiler_options=UNOPTIMIZED)
    def step(variables):
        def loss(params):
            logits, updated = model.apply(
                {**variables, "params": params},
                image,
                train=True,
                rngs={"dropout": KEY},
                mutable=["batch_stats"],
            )
            return (logits**2).sum(), updated

        gradient, updated = jax.grad(loss, has_aux=True)(variables["params"])
        return gradient, updated, *(m.apply(variables, image) for m in (model, low))

    return variables, *step(variables)


@each_variant
def test_every_parameter_learns_but_the_named(variant):
    paths, unmoved = drawing.unmoved(stepped(variant)[1])
    named = NARROW[variant][2]
    expected = {path for path in paths if any(re.fullmatch(p, path) for p in named)}
    assert unmoved == expected
    assert bool(unmoved) is bool(named)


@each_variant
def test_a_step_moves_all_statistics(variant):
    before, _, after, *_ = stepped(variant)
    assert set(after) == set(before) - {"params"}
    for name in after:
        for old, new in zip(
            jax.tree.leaves(before[name]), jax.tree.leaves(after[name]), strict=True
        ):
            assert jnp.isfinite(new).all() and jnp.any(old != new)


@each_variant
def test_bfloat16_is_near(variant):
    *_, high, low = stepped(variant)
    assert low.dtype == high.dtype == jnp.float32
    assert jnp.isfinite(low).all() and jnp.any(low != high)
    assert jnp.abs(low - high).mean() < 0.05 * high.std()


def test_a_depthwise_convolution_is_a_grouped_one_and_so_is_its_gradient():
    x, kernel, weight = normal(2, 7, 9, 4), normal(3, 3, 4), normal(2, 7, 9, 4)

    def grouped(x, kernel, dilation):
        return jax.lax.conv_general_dilated(
            x,
            kernel[:, :, None],
            window_strides=(1, 1),
            padding=[(dilation, dilation)] * 2,
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=4,
        )

    for dilation in (1, 3, 8):  # where 8 is more than the height
        for ours, theirs in zip(
            *(
                jax.value_and_grad(
                    lambda x, k, f=f: (weight * f(x, k, dilation=dilation)).sum(),  # noqa: B023
                    argnums=(0, 1),
                )(x, kernel)
                for f in (depthwise, grouped)
            ),
            strict=True,
        ):
            jax.tree.map(
                functools.partial(np.testing.assert_allclose, atol=1e-4), ours, theirs
            )


def test_aligned_enlargement_keeps_the_outermost_pixels_and_lines_straight():
    rows, cols = np.mgrid[:3, :5].astype(np.float32)
    plane = (2 * rows + 3 * cols)[None, :, :, None]
    found = resample.bilinear_aligned(plane, 4)[0, :, :, 0]
    at = np.linspace(0, 2, 12)[:, None], np.linspace(0, 4, 20)
    np.testing.assert_allclose(found, 2 * at[0] + 3 * at[1], atol=1e-5)
    one = resample.bilinear_aligned(np.full((1, 1, 1, 2), 7.0, np.float32), 3)
    np.testing.assert_array_equal(one, np.full((1, 3, 3, 2), 7))


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_means_of_parts_are_those_of_their_pixels(size):
    x = normal(2, 4, 9, 3)
    found = resample.adaptive_mean(x, size)
    assert found.shape == (2, size, size, 3)

    def part(k, side):
        return slice(k * side // size, int(np.ceil((k + 1) * side / size)))

    for row, col in np.ndindex(size, size):
        pixels = x[:, part(row, 4), part(col, 9)]
        np.testing.assert_allclose(
            found[:, row, col], pixels.mean(axis=(1, 2)), atol=1e-5
        )


def test_an_encoder_halves_five_times():
    for name in encoders.names():
        maps = jax.eval_shape(
            encoders.build(name).init_with_output, KEY, jnp.zeros((1, 64, 96, 5))
        )[0]
        halved = [(64 // 2**k, 96 // 2**k) for k in range(1, 6)]
        assert [x.shape[1:3] for x in maps] == halved
        assert (maps[0].shape[-1] == 0) is (name == "convnext_tiny")
    spaced = encoders.build("resnet18", output_stride=8)
    maps = jax.eval_shape(spaced.init_with_output, KEY, jnp.zeros((1, 64, 96, 5)))[0]
    assert [x.shape[1] for x in maps] == [32, 16, 8, 8, 8]


def test_remat_and_deep_supervision_find_their_maps():
    model = models.build(
        *NARROW["fpn"][:1],
        num_classes=2,
        **NARROW["fpn"][1],
        deep_supervision=2,
        heads=(("edge", 1),),
        remat=True,
    )
    found = functools.partial(model.apply, auxiliary=True)
    image = jax.ShapeDtypeStruct((1, 40, 33, 3), jnp.float32)
    variables = jax.eval_shape(model.init, KEY, image)
    logits, further = jax.eval_shape(found, variables, image)
    shapes = {name: x.shape[1:] for name, x in further.items()}
    assert logits.shape == (1, 40, 33, 2)
    assert shapes == {
        "deep_1": (40, 33, 2),
        "deep_2": (40, 33, 2),
        "edge": (40, 33, 1),
    }


@pytest.mark.parametrize(
    "name,options,message",
    [
        ("resnet_unet", {"encoder": "resnet"}, "model.encoder='resnet': expected one"),
        ("resnet_unet", {"decoder": "unet3"}, "model.decoder='unet3': expected one of"),
        ("fpn", {"attention": "scse"}, "attention='scse': expected 'none' where model"),
        ("deeplabv3plus", {"encoder": "vgg16_bn"}, "'vgg16_bn': expected a ResNet wh"),
        ("unetpp", {"encoder": "convnext_tiny"}, "expected one with a map at 1/2 whe"),
        ("fpn", {"decoder_widths": (8,)}, "a tuple of 0 or 2 positive whole numbers"),
        ("upernet", {"encoder_width": -1}, "model.encoder_width=-1: expected a whole"),
    ],
)
def test_what_does_not_go_together_is_named(name, options, message):
    with pytest.raises(InputError, match=message):
        models.build(name, num_classes=1, **options)
