"""Networks: laws of their shapes, types, training and randomness."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minenet import models

KEY = jax.random.key(0)
SMALL = {"widths": (4, 8)}
VARIANTS = {
    "plain": {},
    "one level": {"widths": (4,), "norm": "none", "activation": "elu"},
    "rich": {
        "stem": 2,
        "head": 4,
        "residual": True,
        "blocks": (1, 2),
        "decoder_widths": (2,),
        "bottom_dilations": (2,),
    },
    "batch": {"norm": "batch", "stem": 2},
    "bilinear": {"upsample": "bilinear"},
    "transpose": {"upsample": "transpose"},
    "depth_to_space": {"upsample": "depth_to_space"},
}


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def unet(num_classes=1, **options):
    return models.build("unet", num_classes=num_classes, **SMALL | options)


def variables_of(model, *inputs, **call):
    """Variables of the model's shapes, drawn on the host: nothing to compile."""
    draw = np.random.default_rng(1)

    def value(path, leaf):
        name = path[-1].key
        if name == "kernel":
            spread = (2 / np.prod(leaf.shape[:-1])) ** 0.5
            return draw.normal(scale=spread, size=leaf.shape).astype(leaf.dtype)
        return np.full(leaf.shape, name in ("scale", "var"), leaf.dtype)

    shapes = jax.eval_shape(functools.partial(model.init, **call), KEY, *inputs)
    return jax.tree.map_with_path(value, shapes)


@functools.cache
def born(variant):
    model = unet(2, **VARIANTS[variant])
    image = normal(2, 16, 32, 3)
    return model, variables_of(model, image), image


each_variant = pytest.mark.parametrize("variant", VARIANTS)
main_variants = pytest.mark.parametrize("variant", ["plain", "rich", "batch"])


@each_variant
@pytest.mark.parametrize("size", [(1, 1), (17, 33)])
def test_logits_of_any_size_are_finite_float32_of_that_size(variant, size):
    model, variables, _ = born(variant)
    image = normal(2, *size, 3)
    logits = jax.jit(model.apply)(variables, image)
    assert logits.shape == (2, *size, 2)
    assert logits.dtype == jnp.float32
    assert jnp.isfinite(logits).all()


@main_variants
def test_a_size_that_does_not_fit_is_continued_by_its_edge(variant):
    model, variables, _ = born(variant)
    image = normal(2, 15, 31, 3)
    whole = np.pad(image, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge")
    apply = jax.jit(model.apply)
    np.testing.assert_allclose(
        apply(variables, image), apply(variables, whole)[:, :15, :31], atol=1e-5
    )


@main_variants
def test_jit_is_eager(variant):
    model, variables, image = born(variant)
    np.testing.assert_allclose(
        jax.jit(model.apply)(variables, image),
        model.apply(variables, image),
        rtol=1e-4,
        atol=1e-5,
    )


@main_variants
def test_a_sample_does_not_depend_on_the_others(variant):
    model, variables, image = born(variant)
    apply = jax.jit(model.apply)
    np.testing.assert_allclose(
        apply(variables, image)[1:], apply(variables, image[1:]), rtol=1e-4, atol=1e-5
    )


@each_variant
def test_every_parameter_learns(variant):
    model, variables, image = born(variant)

    @jax.jit
    def gradient(params):
        def loss(params):
            logits = model.apply(
                {**variables, "params": params},
                image,
                train=True,
                mutable=["batch_stats"],
            )[0]
            return (logits**2).sum()

        return jax.grad(loss)(params)

    for path, leaf in jax.tree.leaves_with_path(gradient(variables["params"])):
        assert jnp.isfinite(leaf).all() and jnp.any(leaf != 0), path


def outer_types(variables, model, image):
    """Pairs of the type and the place of every convolution and matrix product."""

    def walk(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name in ("conv_general_dilated", "dot_general"):
                yield {str(operand.aval.dtype) for operand in equation.invars}
            for inner in jax.tree.leaves(
                list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")
            ):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from walk(inner)

    return list(walk(jax.make_jaxpr(model.apply)(variables, image).jaxpr))


@each_variant
def test_bfloat16_computes_in_bfloat16_on_float32_parameters(variant):
    exact, variables, image = born(variant)
    model = unet(2, dtype="bfloat16", **VARIANTS[variant])
    for leaf in jax.tree.leaves(jax.eval_shape(model.init, KEY, image)):
        assert leaf.dtype == jnp.float32
    *inner, last = outer_types(variables, model, image)
    assert inner and all(types == {"bfloat16"} for types in inner)
    assert last == {"float32"}
    low, high = (jax.jit(m.apply)(variables, image) for m in (model, exact))
    assert low.dtype == jnp.float32
    assert jnp.abs(low - high).mean() < 0.05 * high.std()


@pytest.mark.parametrize("option", ["dropout", "bottom_dropout"])
def test_dropout_is_for_training_only_and_decided_by_its_key(option):
    model = unet(**{option: 0.5})
    image = normal(2, 16, 16, 3)
    variables = variables_of(model, image)
    apply = functools.partial(jax.jit(model.apply, static_argnames="train"), variables)

    def train(seed):
        return apply(image, train=True, rngs={"dropout": jax.random.key(seed)})

    undropped = unet().apply(variables, image)
    np.testing.assert_allclose(apply(image), undropped, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(train(1), train(1))
    assert jnp.abs(train(1) - train(2)).max() > 1e-3


def test_only_training_changes_batch_statistics():
    model, variables, image = born("batch")
    _, kept = model.apply(variables, image, mutable=["batch_stats"])
    _, moved = model.apply(variables, image, train=True, mutable=["batch_stats"])
    changed = [
        jax.tree.map(
            lambda a, b: bool(jnp.any(a != b)), variables["batch_stats"], after
        )
        for after in (kept["batch_stats"], moved["batch_stats"])
    ]
    assert not any(jax.tree.leaves(changed[0]))
    assert all(jax.tree.leaves(changed[1]))
    assert set(born("plain")[1]) == {"params"}


def test_batch_statistics_are_those_of_the_global_batch():
    model = unet(norm="batch")
    image = normal(8, 8, 8, 3) * jnp.arange(8.0)[:, None, None, None]
    variables = variables_of(model, image)
    mesh = jax.make_mesh((8,), ("data",), (jax.sharding.AxisType.Auto,))
    cut = jax.NamedSharding(mesh, jax.P("data"))
    train = jax.jit(functools.partial(model.apply, train=True, mutable=["batch_stats"]))
    for one, eight in zip(
        jax.tree.leaves(train(variables, image)),
        jax.tree.leaves(train(variables, jax.device_put(image, cut))),
        strict=True,
    ):
        np.testing.assert_allclose(one, eight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [{}, {"stem": 2}, {"residual": True}, {"upsample": "transpose"}],
    ids=str,
)
def test_a_moved_image_has_moved_logits(options):
    # Without a norm, whose statistics know the extent, and far from the edge.
    model = unet(norm="none", **{"widths": (4, 8)} | options)
    image = normal(1, 64, 64, 2)
    variables = variables_of(model, image)
    step = 2 * options.get("stem", 1)
    logits, moved = (
        model.apply(variables, x)
        for x in (image, jnp.roll(image, (step, -step), (1, 2)))
    )
    inside = np.s_[:, 24:40, 24:40]
    np.testing.assert_allclose(
        jnp.roll(logits, (step, -step), (1, 2))[inside], moved[inside], atol=1e-5
    )


def reach(model, size=96):
    """Rows of the image that the logits of the pixel in the middle depend on."""
    image = normal(1, size, size, 1)
    variables = variables_of(model, image)
    middle = jax.grad(lambda x: model.apply(variables, x)[0, size // 2, size // 2, 0])
    return int(jnp.any(jax.jit(middle)(image) != 0, axis=(0, 2, 3)).sum())


def test_depth_stem_and_dilation_widen_what_a_pixel_sees():
    def unet_(widths, **options):
        return unet(widths=widths, norm="none", activation="elu", **options)

    assert reach(models.build("linear", num_classes=1)) == 1
    # The last two convolutions see rows 46 to 50 of the middle row 48; below, that is
    # 23 to 25, after two convolutions 21 to 27, and above 42 to 55, then 40 to 57.
    near = reach(unet_((4, 8)))
    assert reach(unet_((4,))) == 5
    assert near == 18
    assert reach(unet_((4, 8), stem=2)) == 2 * near
    assert reach(unet_((4, 8), bottom_dilations=(2,))) == near + 8
    assert reach(unet_((4, 8, 8))) > 2 * near - 2


def test_variance_survives_the_depth_without_a_norm():
    model = unet(norm="none", widths=(16, 32, 64))
    image = normal(2, 32, 32, 4)
    logits = jax.jit(model.init_with_output)(KEY, image)[0]
    assert 0.2 < logits.std() < 5


def test_linear_is_one_product_a_pixel():
    model = models.build("linear", num_classes=2)
    image = normal(2, 3, 5, 4)
    variables = variables_of(model, image)
    weights = variables["params"]["Dense_0"]
    np.testing.assert_allclose(
        model.apply(variables, image),
        np.einsum("bhwc,ck->bhwk", image, weights["kernel"]) + weights["bias"],
        atol=1e-5,
    )


def test_options_shape_the_layers():
    variables = born("rich")[1]
    kernels = [
        leaf.shape
        for path, leaf in jax.tree.leaves_with_path(variables)
        if path[-1].key == "kernel"
    ]
    first = [(3, 3, 12, 4), (3, 3, 4, 4), (12, 4)]
    bottom = [(3, 3, 4, 8), (3, 3, 8, 8), (4, 8)] + 2 * [(3, 3, 8, 8)]
    decoder = [(3, 3, 8 + 4, 2), (3, 3, 2, 2)]
    dilated, head = [(3, 3, 8, 8)], [(3, 3, 4 + 3, 4), (2, 4 * 4), (4, 2)]
    assert kernels == first + bottom + decoder + dilated + head
