"""The published networks: their sizes, and what all networks keep to."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet import models
from minenet.types import InputError
from tests import drawing, narrow

each_variant = pytest.mark.parametrize("variant", narrow.NARROW)

# Name, options, bands, classes; parameters and statistics.
TABLE = [
    ("plain_unet", {}, 12, 1, 125_837_713, 0),
    ("deepsense_unet", {}, 12, 1, 2_173_025, 6_592),
    ("mining_unet", {}, 7, 1, 31_045_825, 11_776),
    ("mining_unet", {"widths": (64, 128, 256)}, 7, 1, 1_867_713, 2_560),
    (
        "mining_unet",
        {"widths": (128, 256, 512, 1024, 2048, 4096), "dropout": 0.2},
        *(7, 1, 497_469_825, 48_128),
    ),
    ("deforestation_unet", {}, 3, 3, 7_760_163, 0),
    (
        "deforestation_unet",
        {"widths": (32, 64, 128, 256, 512, 1024)},
        *(3, 3, 31_094_563, 0),
    ),
    (
        "deforestation_unet",
        {"widths": (32, 64, 128, 256, 512, 1024, 2048)},
        *(3, 3, 124_424_995, 0),
    ),
    ("full_scale_unet", {}, 3, 3, 15_369_395, 0),
    ("full_scale_unet", {"widths": (8, 16, 32, 64, 128)}, 3, 3, 1_386_331, 0),
    ("elu_unet", {}, 3, 1, 7_852_545, 5_888),
    ("elu_unet", {"crop": 16}, 3, 1, 7_852_545, 5_888),
    # With the three classes of Keras's example: 2 058 979 in all, as it prints.
    ("separable_unet", {}, 3, 3, 2_055_203, 3_776),
    ("context_net", {}, 3, 1, 44_645, 332),
    ("resenc_unet", {}, 3, 1, 71_816_165, 0),
    ("attention_unet", {}, 3, 1, 2_183_524, 3_904),
]


@pytest.mark.parametrize("name,options,bands,classes,params,statistics", TABLE)
def test_a_published_network_has_its_size(
    name, options, bands, classes, params, statistics
):
    model = models.build(name, num_classes=classes, **options)
    image = jax.ShapeDtypeStruct((1, 131, 97, bands), jnp.float32)
    logits, variables = jax.eval_shape(model.init_with_output, narrow.KEY, image)
    lost = 2 * options.get("crop", 0)
    assert logits.shape == (1, 131 - lost, 97 - lost, classes)
    assert logits.dtype == jnp.float32
    sizes = {
        kind: sum(leaf.size for leaf in jax.tree.leaves(tree))
        for kind, tree in variables.items()
    }
    assert sizes.pop("params") == params
    assert sizes == ({"batch_stats": statistics} if statistics else {})


# What a step does not change: paths of the parameters, and why.
SUBTRACTED = "the mean that the norm subtracts contains it"
FROZEN = "frozen norms do not learn"
UNMOVED = {
    "deepsense": {r"BatchNorm_\d+/(scale|bias)": FROZEN},
    "deepsense, as meant": {r"TransposedConv_\d/bias": SUBTRACTED},
    "mining": {r"ConvBlock_\d+/ConvNorm_\d/bias": SUBTRACTED},
    "deforestation, as meant": {r"ConvBlock_\d+/ConvNorm_\d/bias": SUBTRACTED},
    "elu": {r".*ConvNorm_\d/bias": SUBTRACTED},
    "elu, cropped": {r".*ConvNorm_\d/bias": SUBTRACTED},
    "separable": {
        r"SeparableConv_\d/Dense_0/bias": SUBTRACTED,
        r"ConvNorm_[0-6]/bias": SUBTRACTED,
    },
    "resenc": {r".*ConvNorm_\d/bias": SUBTRACTED},
    "attention": {
        r".*ConvNorm_\d/bias": SUBTRACTED,
        r"AttentionGate_\d/passed/bias": SUBTRACTED,
    },
}


@each_variant
def test_every_parameter_learns_but_the_named(variant):
    paths, unmoved = drawing.unmoved(narrow.trained(variant)[2])
    named = UNMOVED.get(variant, {})
    expected = {path for path in paths if any(re.fullmatch(p, path) for p in named)}
    assert unmoved == expected
    for pattern in named:
        assert any(re.fullmatch(pattern, path) for path in paths)


@each_variant
def test_any_size_has_logits_in_training_and_moves_statistics(variant):
    logits, after, _ = narrow.trained(variant)
    lost = 2 * narrow.NARROW[variant][1].get("crop", 0)
    assert logits.shape == (2, 13 - lost, 18 - lost, 2)
    assert jnp.isfinite(logits).all()
    before = narrow.variables_of(variant).get("batch_stats", {})
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert jnp.isfinite(new).all()
        assert bool(jnp.any(old != new)) is (variant != "deepsense")


@each_variant
def test_bfloat16_is_near(variant):
    _, high, low = narrow.predicted(variant)
    assert low.dtype == high.dtype == jnp.float32
    assert jnp.isfinite(low).all() and jnp.any(low != high)
    assert jnp.abs(low - high).mean() < 0.05 * high.std()


@pytest.mark.parametrize("variant", ["context", "separable"])
def test_jit_is_eager(variant):
    image, logits, _ = narrow.predicted(variant)
    with jax.disable_jit():
        eager = narrow.build(variant).apply(narrow.variables_of(variant), image)
    np.testing.assert_allclose(logits, eager, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", ["full scale", "resenc"])
def test_remat_computes_the_same(variant):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3),
        narrow.trained(variant),
        narrow.trained(variant, remat=True),
    )


def test_noise_and_dropout_are_for_training_only_and_decided_by_their_key():
    model = narrow.build("context", border=0, dropout=0.0)
    variables, image = narrow.variables_of("context"), narrow.normal(1, 9, 9, 3)
    apply = jax.jit(
        lambda key, train: model.apply(
            variables,
            image,
            train=train,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )[0],
        static_argnums=1,
    )
    one, two = jax.random.split(narrow.KEY)
    np.testing.assert_array_equal(apply(one, False), apply(two, False))
    np.testing.assert_array_equal(apply(one, True), apply(one, True))
    assert jnp.abs(apply(one, True) - apply(two, True)).max() > 1e-3


def test_the_border_of_the_context_net_says_that_nothing_is_there():
    _, logits, _ = narrow.predicted("context")
    inner = logits[:, 3:-3, 3:-3]
    border = jnp.ones(logits.shape).at[:, 3:-3, 3:-3].set(0) > 0
    np.testing.assert_allclose(jax.nn.sigmoid(logits[border]), 1e-7, rtol=1e-3)
    assert inner.std() > 0.1


def test_an_image_no_larger_than_the_margins_is_named():
    model = narrow.build("elu, cropped")
    with pytest.raises(
        InputError, match=r"image of 6×9 pixels: expected more than 2·3"
    ):
        model.apply(narrow.variables_of("elu, cropped"), narrow.normal(1, 6, 9, 3))


@pytest.mark.parametrize(
    "name,options,message",
    [
        ("elu_unet", {"crop": -1}, "model.crop=-1: expected a whole number"),
        ("context_net", {"noise": 1}, "model.noise=1: expected a number from 0"),
        ("context_net", {"dilations": ()}, r"model.dilations=\(\): expected a tuple"),
        ("deepsense_unet", {"norm": "layer"}, "model.norm='layer': expected one of fr"),
        (
            "deepsense_unet",
            {"width": 0},
            "model.width=0: expected a whole number, 2 or",
        ),
        ("separable_unet", {"decoder_widths": (4,)}, "model.decoder_widths=.*"),
        ("resenc_unet", {"blocks": (1,)}, r"model.blocks=\(1,\): expected a tuple"),
        ("full_scale_unet", {"widths": (4,)}, r"model.widths=\(4,\): expected a tuple"),
    ],
)
def test_what_is_not_allowed_is_named(name, options, message):
    with pytest.raises(InputError, match=message):
        models.build(name, num_classes=1, **options)
