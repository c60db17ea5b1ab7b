"""Streams for sensors: sizes, what a missing stream may change, grafting."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet import models
from minenet.models import fusion, torch_names
from minenet.types import InputError
from tests import drawing
from tests.drawing import UNOPTIMIZED, drawn
from tests.narrow import KEY, normal

SMALL = {
    "streams": ((0, 1), (2, 3, 4)),
    "encoder": "resnet18",
    "encoder_width": 4,
    "decoder_widths": (4, 4, 6, 8, 8),
}
KINDS = ("concat", "sum", "gated", "decision")
each_kind = pytest.mark.parametrize("kind", KINDS)


def late(kind="concat", **options):
    return models.build("late_fusion", num_classes=2, fusion=kind, **SMALL | options)


@functools.cache
def served(kind):
    """`apply` of a model that serves any subset of its sensors."""
    model = late(kind, sensor_dropout=0.5)
    variables = drawn(jax.eval_shape(model.init, KEY, jnp.zeros((1, 64, 64, 5))))
    apply = jax.jit(model.apply, compiler_options=UNOPTIMIZED)
    return functools.partial(apply, variables)


def counted(**options):
    model = models.build("late_fusion", num_classes=1, **options)
    image = jax.ShapeDtypeStruct((1, 131, 97, 9), jnp.float32)
    logits, variables = jax.eval_shape(model.init_with_output, KEY, image)
    assert (logits.shape, logits.dtype) == ((1, 131, 97, 1), jnp.float32)
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(
    "options,params",
    [
        ({}, 77_688_617),  # asm-mapping-deeplearning
        # Two whole U-Nets with attention, of 2 and 7 bands, and a 1×1 convolution.
        ({"fusion": "decision"}, 24_547_224 + 24_562_904 + 3),
    ],
    ids=str,
)
def test_a_network_has_the_size_of_its_source(options, params):
    assert counted(**options) == params


def test_full_resolution_adds_the_maps_at_one_half_and_a_level():
    def block(joined, out):
        def scse(width):
            narrow = width // 16
            return 2 * width * narrow + narrow + width + width + 1

        convolutions = 9 * (joined * out + out * out) + 4 * out
        return convolutions + scse(joined) + scse(out)

    added = block(256 + 2 * 64, 128) - block(256, 128) + block(128, 128)
    assert counted(full_resolution=True) - counted() == added


def test_logits_are_those_of_the_parts_of_smp_as_the_source_joins_them():
    smp = drawing.smp()
    import torch
    from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
    from segmentation_models_pytorch.encoders import get_encoder

    class Source(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.s1, self.planet = (get_encoder("resnet18", c) for c in (2, 3))
            # The source counts the joined maps from 1/2, where the decoder expects the
            # image first: so it leaves out those at 1/2, and its fifth block.
            self.decoder = UnetDecoder(
                encoder_channels=(128, 128, 256, 512, 1024),
                decoder_channels=(1024, 512, 256, 128, 128),
                attention_type="scse",
            )
            self.head = smp.base.SegmentationHead(128, 2, kernel_size=1, upsampling=2)

        def forward(self, x):
            maps = zip(self.s1(x[:, :2])[1:], self.planet(x[:, 2:])[1:], strict=True)
            return self.head(self.decoder([torch.cat(pair, 1) for pair in maps]))

    torch.manual_seed(0)
    image = normal(1, 64, 96, 5)
    state, expected = drawing.computed_by_torch(Source(), image)
    model = models.build(
        "late_fusion", num_classes=2, streams=SMALL["streams"], encoder="resnet18"
    )
    variables = jax.eval_shape(model.init, KEY, image)
    renamed = {
        re.sub(r"^head\.", "segmentation_head.", name): array
        for name, array in state.items()
    }
    for stream, sensor in enumerate(("s1", "planet")):
        # As a model of its own, whose decoder is the one of both.
        alone = {
            kind: {k: v for k, v in tree.items() if not k.startswith("stream")}
            | {"encoder": tree[f"stream_{stream}"]}
            for kind, tree in variables.items()
        }
        own = {re.sub(rf"^{sensor}\.", "encoder.", k): v for k, v in renamed.items()}
        alone = torch_names.filled(alone, own)
        variables = fusion.grafted(variables, alone, stream=stream)
    for kind, tree in alone.items():
        variables[kind] |= {k: v for k, v in tree.items() if k != "encoder"}
    apply = jax.jit(model.apply, compiler_options=UNOPTIMIZED)
    np.testing.assert_allclose(apply(variables, image), expected, atol=1e-4)


SENSORS = {"the first": (1, 1, 0, 0, 0), "the second": (0, 0, 1, 1, 1)}


@each_kind
def test_the_values_of_a_missing_stream_change_nothing(kind):
    apply = served(kind)
    image, other = normal(2, 64, 64, 5), normal(2, 64, 64, 5, seed=1)
    everything = np.ones((2, 5), np.float32)
    for bands in SENSORS.values():
        present = np.tile(np.array(bands, np.float32), (2, 1))
        zeroed = image * present[:, None, None]
        mixed = np.where(present[:, None, None] > 0, image, other)
        mixed[0, 0, 0] = np.where(present[0] > 0, image[0, 0, 0], np.nan)
        alone = apply(zeroed, present=everything)
        np.testing.assert_array_equal(apply(mixed, present=present), alone)
        assert jnp.isfinite(alone).all()
        assert jnp.abs(alone - apply(image, present=everything)).max() > 1e-3


@each_kind
def test_a_sample_misses_streams_by_itself(kind):
    apply, image = served(kind), normal(2, 64, 64, 5)
    present = np.array(list(SENSORS.values()), np.float32)
    both = apply(image, present=present)
    for sample in (0, 1):
        alike = apply(image, present=np.tile(present[sample], (2, 1)))
        np.testing.assert_allclose(both[sample], alike[sample], rtol=1e-4, atol=1e-4)


def test_without_tokens_a_missing_stream_is_one_of_zeros():
    assert not [
        path
        for path, _ in jax.tree.leaves_with_path(
            jax.eval_shape(late().init, KEY, jnp.zeros((1, 32, 32, 5)))
        )
        if any("missing" in part.key for part in path)
    ]


def test_dropout_leaves_a_stream_that_is_there():
    class Asks(fusion.LateFusion):
        def __call__(self, image, train=True):
            return self._seen([image[..., :1], image[..., 1:]], train=train)

    asks = Asks(num_classes=1, sensor_dropout=0.6)
    there = np.array([(1, 1), (1, 0), (0, 1), (0, 0)], bool)
    image = np.tile(there.astype(np.float32), (500, 1))[:, None, None]
    seen = asks.apply({}, image, rngs={"dropout": KEY}).reshape(500, 4, 2)
    assert not (seen & ~there).any()
    np.testing.assert_array_equal(seen.any(-1).all(0), there.any(-1))
    np.testing.assert_array_equal(seen.any(-1).any(0), there.any(-1))
    # Of two, one goes with .6 · .4 · 2, and one of both that would go.
    alone = (seen[:, 0].sum(-1) == 1).mean()
    assert abs(alone - (0.48 + 0.36)) < 0.06
    unchanged = asks.apply({}, image, train=False).reshape(500, 4, 2)
    np.testing.assert_array_equal(unchanged, np.tile(there, (500, 1, 1)))


def test_tokens_streams_and_gates_learn():
    model = late("gated", sensor_dropout=0.5)
    image = normal(6, 64, 64, 5)
    variables = drawn(jax.eval_shape(model.init, KEY, image))

    @functools.partial(jax.jit, compiler_options=UNOPTIMIZED)
    def gradient(params):
        def loss(params):
            return (
                model.apply(
                    {**variables, "params": params},
                    image,
                    train=True,
                    rngs={"dropout": KEY},
                    mutable=["batch_stats"],
                )[0]
                ** 2
            ).sum()

        return jax.grad(loss)(params)

    still = set()
    for path, leaf in jax.tree.leaves_with_path(gradient(variables["params"])):
        assert jnp.isfinite(leaf).all(), path
        if not jnp.any(leaf != 0):
            still.add("/".join(part.key for part in path))
    # By default the decoder leaves out the maps at 1/2, and the attention of its last
    # block, which joins nothing.
    unused = ("decoder/block_3/attention1/", "missing_0_0", "missing_1_0", "gate_0/")
    assert all(path.startswith(unused) for path in still)
    assert len(still) == 6 + 2 + 2


@pytest.mark.parametrize("kind", ["concat", "decision"])
def test_a_stream_starts_from_a_model_of_its_own(kind):
    model = late(kind)
    alone = models.build(
        "resnet_unet",
        num_classes=2,
        encoder="resnet18",
        encoder_width=4,
        decoder_widths=SMALL["decoder_widths"],
        attention="scse",
    )
    variables = drawn(jax.eval_shape(model.init, KEY, jnp.zeros((1, 32, 32, 5))))
    standalone = jax.tree.map(
        lambda x: x + 1,
        drawn(jax.eval_shape(alone.init, KEY, jnp.zeros((1, 32, 32, 3)))),
    )
    found = fusion.grafted(variables, standalone, stream=1)
    assert jax.tree.structure(found) == jax.tree.structure(variables)
    for name, tree in standalone.items():
        part = tree if kind == "decision" else tree["encoder"]
        jax.tree.map(np.testing.assert_array_equal, found[name]["stream_1"], part)
        rest, before = dict(found[name]), dict(variables[name])
        del rest["stream_1"], before["stream_1"]
        jax.tree.map(np.testing.assert_array_equal, rest, before)
    with pytest.raises(InputError, match="stream=0: 1 layers do not fit, such as "):
        fusion.grafted(variables, standalone, stream=0)
    with pytest.raises(InputError, match="stream=2: the fusion model has no such str"):
        fusion.grafted(variables, standalone, stream=2)


@pytest.mark.parametrize(
    "options,message",
    [
        ({"streams": ((0, 1),)}, r"model.streams=\(\(0, 1\),\): expected two or more"),
        ({"streams": ((0,), ())}, "expected two or more tuples of numbers of bands"),
        ({"streams": ((0,), (-1,))}, "expected two or more tuples of numbers of band"),
        ({"fusion": "max"}, "model.fusion='max': expected one of concat, sum, gated"),
        ({"sensor_dropout": 1}, "model.sensor_dropout=1: expected a number from 0 to"),
        ({"decoder_widths": (4, 4)}, "a tuple of 0 or 5 positive whole numbers"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        models.build("late_fusion", num_classes=1, **options)


def test_bands_that_the_image_lacks_are_named():
    with pytest.raises(InputError, match="expected numbers below the 3 bands of the"):
        jax.eval_shape(late().init, KEY, jnp.zeros((1, 32, 32, 3)))
