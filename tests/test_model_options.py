"""Models by name: which options there are, and what is said of wrong ones."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from minenet import models
from minenet.types import InputError

SMALL = {"widths": (4, 8)}


def unet(**options):
    return models.build("unet", num_classes=1, **SMALL | options)


def test_models_are_values():
    assert unet(widths=[4, 8]) == unet(widths=(4, 8))
    assert hash(unet(widths=[4, 8])) == hash(unet(widths=(4, 8)))
    assert models.names() == sorted(models.names())


@pytest.mark.parametrize(
    "name,options,message",
    [
        (
            "unett",
            {},
            "model.name='unett': no such model; the nearest is 'unet' of ",
        ),
        (
            "unet",
            {"width": (4,)},
            "model.width: unet has no such option; the nearest is 'widths'",
        ),
        (
            "linear",
            {"stem": 2},
            "model.stem: linear has no such option; the nearest is",
        ),
        ("linear", {"dtype": "int8"}, "model.dtype='int8': expected one of float32"),
        ("unet", {"norm": "layer"}, "model.norm='layer': expected one of group, batch"),
        (
            "unet",
            {"activation": "tanh"},
            "model.activation='tanh': expected one of relu",
        ),
        ("unet", {"upsample": "cubic"}, "model.upsample='cubic': expected one of near"),
        ("unet", {"residual": "yes"}, "model.residual='yes': expected one of False"),
        ("unet", {"stem": 3}, "model.stem=3: expected one of 1, 2, 4, 8"),
        ("unet", {"widths": ()}, r"model.widths=\(\): expected a tuple of 1 to 12"),
        ("unet", {"widths": 8}, "model.widths=8: expected a tuple"),
        ("unet", {"widths": (4, 0)}, r"model.widths=\(4, 0\): expected"),
        ("unet", {"blocks": (1,)}, "a tuple of 0 or 2 positive whole numbers"),
        (
            "unet",
            {"decoder_widths": (4, 4)},
            "a tuple of 0 or 1 positive whole numbers",
        ),
        ("unet", {"bottom_dilations": (0,)}, r"model.bottom_dilations=\(0,\): exp"),
        ("unet", {"head": 8}, "model.head=8: expected 0 where model.stem is 1"),
        ("unet", {"head": -1}, "model.head=-1: expected a whole number, 0 or more"),
        ("unet", {"dropout": 1.0}, "model.dropout=1.0: expected a number from 0"),
        ("unet", {"bottom_dropout": "x"}, "model.bottom_dropout='x': expected a numb"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(name, options, message):
    defaults = SMALL if name == "unet" else {}
    with pytest.raises(InputError, match=message) as error:
        models.build(name, num_classes=1, **defaults | options)
    assert "\n" not in str(error.value)


def test_every_option_is_documented():
    for name in models.names():
        model = models.build(name, num_classes=1)
        for field in dataclasses.fields(model):
            if field.name not in ("parent", "name"):
                told = "".join(base.__doc__ or "" for base in type(model).__mro__)
                assert f"    {field.name}: " in told


@pytest.mark.parametrize(
    "options,count",
    [
        ({"widths": (32, 64, 128, 256)}, 1_948_289),
        ({"widths": (32, 64, 128, 256), "upsample": "transpose"}, 1_927_009),
        ({"widths": (32, 64, 128, 256), "stem": 2}, 1_950_980),
    ],
    ids=str,
)
def test_the_number_of_parameters_stays(options, count):
    shapes = jax.eval_shape(
        unet(**options).init, jax.random.key(0), jnp.zeros((1, 32, 32, 3))
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count
