"""What every network has around its features: heads, deep supervision, remat."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet import models
from minenet.types import InputError

KEY = jax.random.key(0)
IMAGE = np.random.default_rng(0).normal(size=(2, 13, 18, 3)).astype(np.float32)
unet = functools.partial(
    models.build, "unet", num_classes=2, widths=(4, 8, 8), norm="batch"
)


def test_auxiliary_maps_are_as_large_as_the_image():
    model = unet(deep_supervision=2, heads=(("boundary", 1), ("type", 5)))
    variables = jax.jit(model.init)(KEY, IMAGE)
    logits, further = model.apply(variables, IMAGE, auxiliary=True)
    assert {name: found.shape for name, found in further.items()} == {
        "deep_1": (2, 13, 18, 2),
        "deep_2": (2, 13, 18, 2),
        "boundary": (2, 13, 18, 1),
        "type": (2, 13, 18, 5),
    }
    np.testing.assert_array_equal(model.apply(variables, IMAGE), logits)


def test_auxiliary_maps_leave_the_network_as_it_is():
    plain = unet().init(KEY, IMAGE)
    headed = unet(deep_supervision=1, heads=(("boundary", 1),)).init(KEY, IMAGE)
    for path, leaf in jax.tree.leaves_with_path(plain):
        found = headed
        for part in path:
            found = found[part.key]
        np.testing.assert_array_equal(found, leaf)


def test_remat_computes_the_same():
    plain, again = unet(bottom_dropout=0.5), unet(bottom_dropout=0.5, remat=True)
    variables = plain.init(KEY, IMAGE)
    assert jax.tree.all(
        jax.tree.map(
            lambda a, b: bool((a == b).all()), variables, again.init(KEY, IMAGE)
        )
    )

    def trained(model, params):
        logits, updated = model.apply(
            {**variables, "params": params},
            IMAGE,
            train=True,
            rngs={"dropout": KEY},
            mutable=["batch_stats"],
        )
        return (logits**2).sum(), updated

    results = [
        jax.jit(jax.value_and_grad(functools.partial(trained, model), has_aux=True))(
            variables["params"]
        )
        for model in (plain, again)
    ]
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4), *results
    )


def test_remat_keeps_less():
    image = jnp.zeros((4, 64, 64, 3))

    def bytes_between_passes(model):
        variables = jax.eval_shape(model.init, KEY, image)

        def loss(params):
            return model.apply({"params": params}, image, train=True).sum()

        saved = jax.eval_shape(lambda p: jax.vjp(loss, p)[1], variables["params"])
        return sum(leaf.size * 4 for leaf in jax.tree.leaves(saved))

    plain, again = (
        models.build("unet", num_classes=1, widths=(8, 16), remat=remat)
        for remat in (False, True)
    )
    assert bytes_between_passes(again) < 0.5 * bytes_between_passes(plain)


@pytest.mark.parametrize(
    "heads", [(("boundary",),), (("a", 1), ("a", 2)), "boundary", (("a", 0),)]
)
def test_wrong_heads_are_named(heads):
    with pytest.raises(InputError, match=r"model.heads=.*\(name, channels\)"):
        unet(heads=heads)
