"""One model, one stream of batches, the same losses on any layout of devices."""

import jax
import numpy as np
import pytest

from minenet.train import sharding
from minenet.types import InputError
from tests import trainings

STEPS = 20


@pytest.fixture(
    scope="module", params=["group", pytest.param("batch", marks=pytest.mark.slow)]
)
def reference(request, tmp_path_factory):
    workdir = tmp_path_factory.mktemp(request.param)
    return request.param, train(workdir, request.param, {}, devices=1)


def train(workdir, norm, axes, *, devices=8):
    mesh = sharding.mesh(devices=jax.devices()[:devices], **axes)
    return trainings.fit(
        workdir,
        # Wide enough that its kernels are cut, not copied, along fsdp.
        model={"widths": (8, 96), "norm": norm},
        optimizer={"learning_rate": 1e-3},
        steps=STEPS,
        evaluate_every=STEPS,
        mesh=mesh,
    )


@pytest.mark.parametrize(
    "axes",
    [{"data": 8}, {"data": 2, "fsdp": 4}, {"data": 2, "space": 4}],
    ids=["data", "fsdp", "space"],
)
def test_layouts_agree(reference, tmp_path, axes):
    norm, expected = reference
    found = train(tmp_path, norm, axes)
    assert found.losses[0] == pytest.approx(expected.losses[0], rel=1e-6)
    np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-4)
    assert found.score == pytest.approx(expected.score, abs=2e-3)
    if "fsdp" in axes:
        cut = [
            leaf
            for leaf in jax.tree.leaves(found.state)
            if not leaf.sharding.is_fully_replicated
        ]
        assert len(cut) >= 3  # a kernel, and both moments of the optimiser
        assert all(leaf.size >= sharding.SMALL for leaf in cut)


@pytest.mark.parametrize(
    "axes", [{"data": 3}, {"fsdp": 3}, {"data": 0}, {"space": -1}, {"fsdp": 0}]
)
def test_a_mesh_that_devices_do_not_fill_is_refused(axes):
    with pytest.raises(InputError, match="number of devices, 8"):
        sharding.mesh(devices=jax.devices()[:8], **axes)


def test_a_batch_that_cannot_be_cut_is_refused():
    mesh = sharding.mesh(devices=jax.devices()[:8], space=2)
    with pytest.raises(InputError, match="multiple of the 4 devices"):
        sharding.check_batch(6, (16, 16), mesh)
    with pytest.raises(InputError, match="15 rows"):
        sharding.check_batch(8, (15, 16), mesh)
    sharding.check_batch(8, (16, 15), mesh)
