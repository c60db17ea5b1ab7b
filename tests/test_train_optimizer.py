"""Each rule is torch's, or Keras's; decay, rates and freezing find whom they mean."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minenet.train import optimizer
from minenet.types import InputError

STEPS = 50
PLAIN = {"steps": STEPS, "warmup": 0.0, "clip": 0.0, "schedule": {"name": "constant"}}


def start():
    generator = np.random.default_rng(0)
    return {"kernel": generator.normal(size=(4, 5)), "bias": generator.normal(size=5)}


def gradient(params, step):
    """Of a bumpy bowl; tiny for some parameters, where ε matters, and late for one."""
    found = {}
    for name, value in params.items():
        scale = np.logspace(-9, 0, value.size).reshape(value.shape)
        scale.flat[-1] *= step >= 10
        found[name] = scale * (value + np.sin(3 * value + step))
    return found


def ours(**options):
    """Parameters after 50 steps in float64."""
    with jax.enable_x64(True):
        built = optimizer.build(**PLAIN | options)
        params = jax.tree.map(jnp.asarray, start())
        state, update = built.init(params), jax.jit(built.update)
        for step in range(STEPS):
            found = gradient(jax.tree.map(np.asarray, params), step)
            updates, state = update(found, state, params)
            params = optax.apply_updates(params, updates)
        assert params["kernel"].dtype == np.float64
        return jax.tree.map(np.asarray, params)


def agree(found, expected, rtol=1e-9):
    for name, value in expected.items():
        moved = np.abs(value - start()[name]).max()
        assert moved > 1e-4
        np.testing.assert_allclose(found[name], value, rtol=0, atol=rtol * moved)


TORCH = {
    "adam": ("Adam", {"lr": 1e-3}, {}),
    "adam-l2": ("Adam", {"lr": 1e-2, "weight_decay": 0.1}, {"weight_decay": 0.1}),
    "adamw": ("AdamW", {"lr": 1e-2, "weight_decay": 0.1}, {"weight_decay": 0.1}),
    "adamax": ("Adamax", {"lr": 1e-3}, {}),
    "adamax-eps": ("Adamax", {"lr": 1e-3, "eps": 1e-3}, {"eps": 1e-3}),
    "nadam": ("NAdam", {"lr": 1e-3}, {}),
    "nadam-b": ("NAdam", {"lr": 1e-3, "betas": (0.8, 0.9)}, {"b1": 0.8, "b2": 0.9}),
    "rmsprop": ("RMSprop", {"lr": 1e-3}, {}),
    "rmsprop-momentum": (
        "RMSprop",
        {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7, "momentum": 0.9, "weight_decay": 0.1},
        {"rho": 0.9, "eps": 1e-7, "momentum": 0.9, "weight_decay": 0.1},
    ),
    "sgd": ("SGD", {"lr": 1e-2, "momentum": 0.9, "nesterov": True}, {}),
    "sgd-plain": (
        "SGD",
        {"lr": 1e-2, "weight_decay": 0.1},
        {"momentum": 0.0, "nesterov": False, "weight_decay": 0.1},
    ),
}


@pytest.mark.parametrize("case", TORCH)
def test_fifty_steps_are_those_of_torch(case):
    torch = pytest.importorskip("torch", reason="the oracle of update rules")
    peer, theirs, options = TORCH[case]
    params = {name: torch.tensor(value) for name, value in start().items()}
    stepper = getattr(torch.optim, peer)(params.values(), **theirs)
    for step in range(STEPS):
        found = gradient({n: p.numpy() for n, p in params.items()}, step)
        for name, value in params.items():
            value.grad = torch.tensor(found[name])
        stepper.step()
    found = ours(
        name=case.split("-")[0],
        learning_rate=theirs["lr"],
        decay_all=True,
        **{"weight_decay": 0.0} | options,
    )
    agree(found, {name: value.numpy() for name, value in params.items()})


def keras(name, gradients, rate):
    """Updates of Keras 3, from its definitions."""
    m = v = u = 0.0
    b1, b2, eps, product = 0.9, 0.999, 1e-7, 1.0
    for t, g in enumerate(gradients, start=1):
        m = m + (g - m) * (1 - b1)
        v = v + (g**2 - v) * (1 - (0.9 if name == "rmsprop" else b2))
        u = np.maximum(b2 * u, np.abs(g))
        if name == "adam":
            alpha = rate * np.sqrt(1 - b2**t) / (1 - b1**t)
            yield -alpha * m / (np.sqrt(v) + eps)
        elif name == "adamax":
            yield -rate * m / ((1 - b1**t) * (u + eps))
        elif name == "rmsprop":
            yield -rate * g / np.sqrt(v + eps)
        else:
            now, after = (b1 * (1 - 0.5 * 0.96**s) for s in (t, t + 1))
            product *= now
            mean = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
            yield -rate * mean / (np.sqrt(v / (1 - b2**t)) + eps)


@pytest.mark.parametrize("name", ["adam", "adamax", "nadam", "rmsprop"])
def test_fifty_steps_are_those_of_keras(name):
    gradients = [gradient(start(), step)["kernel"] for step in range(STEPS)]
    expected = start()["kernel"] + sum(keras(name, gradients, 1e-3))
    totals = {}
    for convention in ("keras", "torch"):
        with jax.enable_x64(True):
            built = optimizer.build(
                **PLAIN, name=name, learning_rate=1e-3, convention=convention
            )
            params = {"kernel": jnp.asarray(start()["kernel"])}
            state, update = built.init(params), jax.jit(built.update)
            for each in gradients:
                updates, state = update({"kernel": each}, state, params)
                params = optax.apply_updates(params, updates)
            totals[convention] = np.asarray(params["kernel"])
    agree({"kernel": totals["keras"]}, {"kernel": expected})
    # The two conventions are two: the test could tell one from the other.
    assert np.abs(totals["torch"] - expected).max() > 1e-4


def test_the_default_is_the_adamw_that_checkpoints_know():
    kernels = lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)  # noqa: E731
    known = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(
            optax.warmup_cosine_decay_schedule(0.0, 2e-3, 2, STEPS, 2e-5),
            weight_decay=0.05,
            mask=kernels,
        ),
    )
    built = optimizer.build(steps=STEPS, learning_rate=2e-3)
    params = jax.tree.map(jnp.float32, start())
    runs = []
    for each in (known, built):
        state, held, update = each.init(params), params, jax.jit(each.update)
        for step in range(STEPS):
            found = gradient(jax.tree.map(np.asarray, held), step)
            updates, state = update(jax.tree.map(np.float32, found), state, held)
            held = optax.apply_updates(held, updates)
        runs.append((held, state))
    assert jax.tree.structure(runs[0]) == jax.tree.structure(runs[1])
    jax.tree.map(np.testing.assert_array_equal, *runs)


def one_step(params, gradients=None, **options):
    built = optimizer.build(**PLAIN | {"learning_rate": 0.1} | options)
    state = built.init(params)
    if gradients is None:
        gradients = jax.tree.map(jnp.ones_like, params)
    updates, state = built.update(gradients, state, params)
    return optax.apply_updates(params, updates), state


def layer(value=1.0):
    return {"kernel": jnp.full((2, 2), value), "bias": jnp.full(2, value)}


NET = {"encoder": {"stage_1": layer(), "stage_2": layer()}, "decoder": layer()}
SGD = {"name": "sgd", "momentum": 0.0, "nesterov": False}


@pytest.mark.parametrize("options", [{"name": "adamw"}, SGD], ids=["adamw", "sgd"])
def test_only_kernels_decay_unless_all_shall(options):
    zeros = jax.tree.map(jnp.zeros_like, layer())
    some, _ = one_step(layer(), zeros, weight_decay=0.5, **options)
    np.testing.assert_allclose(some["kernel"], 0.95, rtol=1e-6)
    np.testing.assert_array_equal(some["bias"], 1.0)
    every, _ = one_step(layer(), zeros, weight_decay=0.5, decay_all=True, **options)
    np.testing.assert_allclose(every["bias"], 0.95, rtol=1e-6)


@pytest.mark.parametrize(("name", "decays"), [("adamw", True), ("adam", False)])
def test_adamw_alone_decays_by_default(name, decays):
    after, _ = one_step(layer(), jax.tree.map(jnp.zeros_like, layer()), name=name)
    assert bool((after["kernel"] < 1).all()) is decays


def test_rates_follow_paths_and_the_first_pattern_counts():
    rates = (("encoder/stage_1", 0.5), ("encoder", 0.1), ("*/bias", 2.0))
    after, _ = one_step(NET, rates=rates, **SGD)
    moved = jax.tree.map(lambda new, old: float((old - new).max() / 0.1), after, NET)
    assert moved["encoder"]["stage_1"] == pytest.approx({"kernel": 0.5, "bias": 0.5})
    assert moved["encoder"]["stage_2"] == pytest.approx({"kernel": 0.1, "bias": 0.1})
    assert moved["decoder"] == pytest.approx({"kernel": 1.0, "bias": 2.0})


def test_what_is_frozen_stays_and_counts_for_nothing():
    steep = jax.tree.map(lambda leaf: 100 * jnp.ones_like(leaf), NET)
    options = {"clip": 1.0, "weight_decay": 0.5, "freeze": ("encoder",), **SGD}
    after, _ = one_step(NET, steep, **options)
    jax.tree.map(np.testing.assert_array_equal, after["encoder"], NET["encoder"])
    # The rest moves as if it were alone: the norm is its own.
    rest = {"decoder": layer()}
    alone, _ = one_step(
        rest, {"decoder": steep["decoder"]}, clip=1.0, weight_decay=0.5, **SGD
    )
    jax.tree.map(np.testing.assert_array_equal, after["decoder"], alone["decoder"])


def test_nothing_is_remembered_of_what_is_frozen():
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(one_step(NET, freeze=freeze)[1]))
        for freeze in ((), ("encoder",))
    ]
    assert sizes[0] - sizes[1] == 2 * 12  # two moments of two layers


def test_clipping_bounds_the_norm_of_all_together():
    after, _ = one_step(NET, clip=0.5, **SGD)
    moved = optax.tree.norm(optax.tree.sub(NET, after)) / 0.1
    assert float(moved) == pytest.approx(0.5, rel=1e-5)
    free, _ = one_step(NET, clip=0.0, **SGD)
    assert float(free["decoder"]["bias"][0]) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "adan"}, "optimizer.name='adan': choose one of adam, adamw, adamax,"),
        ({"name": "sgd", "b1": 0.9}, "optimizer.b1: sgd has no such option; it takes"),
        ({"b2": 1.0}, r"optimizer.b2=1.0: must be in 0..1"),
        ({"eps": 0.0}, "optimizer.eps=0.0: must be positive"),
        ({"convention": "jax"}, "convention='jax': must be 'torch' or 'keras'"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0: must be at least 0"),
        ({"clip": -1.0}, "clip=-1.0: must be positive, or 0 for none"),
        ({"rates": ("encoder", 0.1)}, "optimizer.rates=.*: must be pairs such as"),
        ({"rates": (("encoder", -1),)}, "rates 'encoder'=-1: must be at least 0"),
        ({"rates": (("head", 0.1),)}, "rates: no parameter lies under 'head'"),
        ({"freeze": ("head",)}, "freeze: .* outermost modules are decoder, encoder"),
    ],
)
def test_errors_name_the_key_and_the_choices(options, message):
    with pytest.raises(InputError, match="config.*" + message):
        one_step(NET, **options)
