"""How arrays lie on the devices of all hosts: one mesh, one rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from minenet.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minenet.types import Batch

AXES = ("data", "fsdp", "space")
"""Samples, parameters with samples, and rows of a chip are cut along these."""

SMALL = 2**16
"""Arrays of fewer elements are copied to every device: cutting them costs more."""


def mesh(
    *,
    data: int = -1,
    fsdp: int = 1,
    space: int = 1,
    devices: Sequence[jax.Device] | None = None,
) -> Mesh:
    """Returns the mesh over all devices of all hosts.

    Args:
        data: Copies of the parameters; -1 for what the other axes leave.
        fsdp: Parts that parameters and optimiser state are cut into.
        space: Parts that the rows of a chip are cut into.
        devices: All of them if None.

    Raises:
        InputError: The axes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    rest = fsdp * space
    if data == -1 and rest > 0:
        data = max(1, len(devices) // rest)
    if min(data, fsdp, space) < 1 or data * rest != len(devices):
        raise InputError(
            f"config.mesh: data={data} × fsdp={fsdp} × space={space} is not the number "
            f"of devices, {len(devices)}"
        )
    # Explicit axes, the default since jax 0.7, refuse convolutions with cut kernels.
    return jax.make_mesh(
        (data, fsdp, space), AXES, axis_types=(AxisType.Auto,) * 3, devices=devices
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of what every device has a copy of."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh, rank: int) -> NamedSharding:
    """Returns the sharding of a batch's array of `rank` axes: samples, then rows."""
    spec = (("data", "fsdp"), "space") if rank > 2 else (("data", "fsdp"),)
    return NamedSharding(mesh, PartitionSpec(*spec))


def state_sharding(mesh: Mesh, abstract: Any) -> Any:
    """Returns the sharding of each array of a tree of shapes.

    Along `fsdp`, large arrays are cut at their largest axis that divides evenly.
    """
    parts = mesh.shape["fsdp"]

    def rule(leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        if parts == 1 or leaf.size < SMALL:
            return replicated(mesh)
        even = [axis for axis, size in enumerate(leaf.shape) if size % parts == 0]
        if not even:
            return replicated(mesh)
        axis = max(even, key=lambda axis: leaf.shape[axis])
        spec = [None] * leaf.ndim
        spec[axis] = "fsdp"
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(rule, abstract)


def to_global(batch: Batch, mesh: Mesh) -> Batch:
    """Returns the global arrays that the hosts' parts of a batch make up."""
    return {
        name: jax.make_array_from_process_local_data(
            batch_sharding(mesh, np.ndim(array)), np.asarray(array)
        )
        for name, array in batch.items()
    }


def on_host(tree: Any) -> Any:
    """Returns whole arrays on the host, also of what is cut over processes."""
    if jax.process_count() > 1:
        return multihost_utils.process_allgather(tree, tiled=True)
    return jax.device_get(tree)


def check_batch(batch_size: int, chip: tuple[int, int], mesh: Mesh) -> None:
    """Checks that a global batch can be cut over the mesh.

    Raises:
        InputError: It cannot; the message says what can.
    """
    copies = mesh.shape["data"] * mesh.shape["fsdp"]
    if batch_size % copies:
        raise InputError(
            f"config.train.batch_size={batch_size}: must be a multiple of the {copies} "
            "devices along data and fsdp"
        )
    if chip[0] % mesh.shape["space"]:
        raise InputError(
            f"config.mesh.space={mesh.shape['space']}: must divide the "
            f"{chip[0]} rows of a chip"
        )
