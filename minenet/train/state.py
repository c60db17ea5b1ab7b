"""Everything that a training step changes, born where it will live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from minenet.train import sharding


@flax.struct.dataclass
class State:
    """The state of a training.

    Attributes:
        step: int32, how many steps were taken.
        params: The model's parameters.
        batch_stats: Its running statistics, empty without BatchNorm.
        opt_state: The optimiser's.
        ema: Exponential moving average of `params`, or None.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    ema: Any

    @property
    def variables(self) -> dict[str, Any]:
        """What the model is applied with to predict: averaged, where there is one."""
        params = self.params if self.ema is None else self.ema
        variables = {"params": params}
        return variables | (
            {"batch_stats": self.batch_stats} if self.batch_stats else {}
        )


def create(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    *,
    shape: tuple[int, int, int],
    seed: int,
    ema: bool,
) -> State:
    """Returns the first state: a pure function of its arguments.

    Args:
        model: To be trained.
        optimizer: As `optimizer.build` returns it.
        shape: `(H, W, C)` of a sample.
        seed: Of the parameters.
        ema: Whether to keep an average of the parameters.
    """
    variables = model.init(jax.random.key(seed), jnp.zeros((1, *shape)))
    params = variables["params"]
    return State(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(params),
        ema=jax.tree.map(jnp.copy, params) if ema else None,
    )


def abstract(mesh: jax.sharding.Mesh, make: Any) -> State:
    """Returns the shapes and shardings of what `make()` would return."""
    shapes = jax.eval_shape(make)
    places = sharding.state_sharding(mesh, shapes)
    return jax.tree.map(
        lambda shape, place: jax.ShapeDtypeStruct(
            shape.shape, shape.dtype, sharding=place
        ),
        shapes,
        places,
    )


def born(
    make: Callable[[], State],
    abstract: State,
    begin: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
) -> State:
    """Returns `make()` with each array cut as `abstract` says.

    None of it is ever whole anywhere, but where `begin` changes the variables.

    Args:
        make: As `create`, with its arguments.
        abstract: As of `abstract`.
        begin: `variables -> variables` on the host; the optimiser's state stays.
    """
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    state = jax.jit(make, out_shardings=places)()
    if begin is None:
        return state
    variables = begin(sharding.on_host(state.variables))

    def placed(kind: str, old: Any) -> Any:
        new = jax.tree.map(lambda _, array: array, old, variables.get(kind, {}))
        return jax.tree.map(lambda a, b: jax.device_put(a, b.sharding), new, old)

    return state.replace(
        params=placed("params", state.params),
        batch_stats=placed("batch_stats", state.batch_stats),
        ema=None if state.ema is None else placed("params", state.ema),
    )
