"""Update rules by name: what is made of a gradient before the learning rate.

Where torch and Keras compute a rule differently, `convention` says whose:

| rule | torch | keras |
|---|---|---|
| adam, adamw | ε is added after the bias correction of √v | before it |
| adamax | u ← max(β₂u, abs(g) + ε) | u ← max(β₂u, abs(g)), ε added on use |
| nadam | momentum β₁(1 − ½ · 0.96^(0.004 t)), as in Keras 1 and 2 | 0.96^t |
| rmsprop | √v + ε, as tf.keras before 2.11 without momentum | √(v + ε) |

Keras's ε is 1e-7, torch's 1e-8; the default follows the convention. Momentum of sgd and
rmsprop is torch's: the rate stands outside, and is the newest for all of the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from minenet.train import choices
from minenet.train.choices import require

EPS = {"torch": 1e-8, "keras": 1e-7}


def build(name: str, **options: Any) -> optax.GradientTransformation:
    """Returns the rule `name` of `RULES`.

    Raises:
        InputError: A name or option is not known, or a value out of its range.
    """
    choices.check("optimizer", name, RULES, options)
    for option in ("b1", "b2", "rho", "momentum"):
        value = options.get(option, 0)
        require(0 <= value < 1, f"optimizer.{option}", value, "in 0..1, below 1")
    eps = options.get("eps", 1)
    require(eps > 0, "optimizer.eps", eps, "positive")
    convention = options.get("convention", "torch")
    allowed = " or ".join(map(repr, EPS))
    require(convention in EPS, "optimizer.convention", convention, allowed)
    return RULES[name](**options)


def adam(
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float | None = None,
    convention: str = "torch",
) -> optax.GradientTransformation:
    """Returns Adam's rule; Kingma, Ba, 2015."""
    eps = EPS[convention] if eps is None else eps
    if convention == "torch":
        return optax.scale_by_adam(b1=b1, b2=b2, eps=eps)

    def update(gradient: Any, state: optax.ScaleByAdamState, params: Any = None) -> Any:
        state = _moments(gradient, state, b1, _square(b2))
        rate = jnp.sqrt(1 - b2**state.count) / (1 - b1**state.count)
        return jax.tree.map(
            lambda m, v: rate * m / (jnp.sqrt(v) + eps), state.mu, state.nu
        ), state

    return optax.GradientTransformation(_no_moments, update)


def adamax(
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float | None = None,
    convention: str = "torch",
) -> optax.GradientTransformation:
    """Returns Adam's rule with the largest gradient as its scale; same paper."""
    eps = EPS[convention] if eps is None else eps
    if convention == "torch":
        return optax.scale_by_adamax(b1=b1, b2=b2, eps=eps)

    def largest(gradient: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.maximum(b2 * old, jnp.abs(gradient))

    def update(gradient: Any, state: optax.ScaleByAdamState, params: Any = None) -> Any:
        state = _moments(gradient, state, b1, largest)
        rate = 1 / (1 - b1**state.count)
        return jax.tree.map(
            lambda m, u: rate * m / (u + eps), state.mu, state.nu
        ), state

    return optax.GradientTransformation(_no_moments, update)


class NadamState(NamedTuple):
    """Adam's moments, and the product of all momenta so far."""

    moments: optax.ScaleByAdamState
    product: jax.Array


def nadam(
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float | None = None,
    convention: str = "torch",
) -> optax.GradientTransformation:
    """Returns Adam's rule with Nesterov's momentum on a schedule; Dozat, 2016.

    optax's own keeps the momentum constant, which neither torch nor Keras does.
    """
    eps = EPS[convention] if eps is None else eps
    pace = 0.004 if convention == "torch" else 1.0

    def momentum(step: jax.Array) -> jax.Array:
        return b1 * (1 - 0.5 * 0.96 ** (step * pace))

    def init(params: Any) -> NadamState:
        return NadamState(_no_moments(params), jnp.ones(()))

    def update(gradient: Any, state: NadamState, params: Any = None) -> Any:
        moments = _moments(gradient, state.moments, b1, _square(b2))
        now, following = momentum(moments.count), momentum(moments.count + 1)
        product = state.product * now
        old = following / (1 - product * following)
        new = (1 - now) / (1 - product)
        bias = 1 - b2**moments.count
        return jax.tree.map(
            lambda g, m, v: (old * m + new * g) / (jnp.sqrt(v / bias) + eps),
            gradient,
            moments.mu,
            moments.nu,
        ), NadamState(moments, product)

    return optax.GradientTransformation(init, update)


def rmsprop(
    *,
    rho: float | None = None,
    eps: float | None = None,
    momentum: float = 0.0,
    convention: str = "torch",
) -> optax.GradientTransformation:
    """Returns the gradient over the root of its running mean square; Hinton, 2012.

    The mean's decay `rho` is 0.99 in torch (`alpha`) and 0.9 in Keras.
    """
    torch = convention == "torch"
    rho = (0.99 if torch else 0.9) if rho is None else rho
    eps = EPS[convention] if eps is None else eps
    rule = optax.scale_by_rms(decay=rho, eps=eps, eps_in_sqrt=not torch)
    return optax.chain(rule, optax.trace(momentum)) if momentum else rule


def sgd(
    *, momentum: float = 0.9, nesterov: bool = True
) -> optax.GradientTransformation:
    """Returns the sum of gradients that each step fades by `momentum`."""
    return optax.trace(momentum, nesterov=nesterov)


RULES: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": adam,
    "adamw": adam,
    "adamax": adamax,
    "nadam": nadam,
    "rmsprop": rmsprop,
    "sgd": sgd,
}

Second = Callable[[jax.Array, jax.Array], jax.Array]


def _square(b2: float) -> Second:
    return lambda gradient, old: b2 * old + (1 - b2) * jnp.square(gradient)


def _no_moments(params: Any) -> optax.ScaleByAdamState:
    return optax.ScaleByAdamState(
        count=jnp.zeros((), jnp.int32),
        mu=optax.tree.zeros_like(params),
        nu=optax.tree.zeros_like(params),
    )


def _moments(
    gradient: Any, state: optax.ScaleByAdamState, b1: float, second: Second
) -> optax.ScaleByAdamState:
    return optax.ScaleByAdamState(
        count=optax.safe_increment(state.count),
        mu=optax.tree.update_moment(gradient, state.mu, b1, 1),
        nu=jax.tree.map(second, gradient, state.nu),
    )
