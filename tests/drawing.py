"""What the tests of large networks share."""

import warnings

import jax
import numpy as np
import pytest

from tests.narrow import normal

# Half of the time would go into making code fast that runs once.
UNOPTIMIZED = {"xla_backend_optimization_level": 0}


def drawn(shapes):
    """Variables drawn on the host, none at rest and no attention dead by chance."""
    draw = np.random.default_rng(1)

    def value(path, leaf):
        if path[-1].key in ("scale", "var"):
            return draw.uniform(0.5, 1.5, size=leaf.shape).astype(leaf.dtype)
        if [part.key for part in path[-2:]] == ["narrow", "bias"]:
            return np.full(leaf.shape, 3, leaf.dtype)
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 200
        spread = (2 / fan_in) ** 0.5
        return draw.normal(scale=spread, size=leaf.shape).astype(leaf.dtype)

    return jax.tree.map_with_path(value, shapes)


def smp():
    """segmentation_models_pytorch, after which timm and torchvision import too."""
    pytest.importorskip("torch", reason="the oracle needs PyTorch")
    from benchmarks import peers

    try:
        with warnings.catch_warnings(action="ignore"):
            return peers.smp()
    except ImportError as error:
        pytest.skip(f"the oracle needs {error.name}")


def computed_by_torch(network, image):
    """State dict of a network with no two statistics alike, and its logits."""
    import torch

    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        # Statistics of a batch, so that values stay near 1, and then some noise. With
        # smaller ones rounding grows through thirty norms, until PyTorch in float32 is
        # itself 1e-3 and more away from PyTorch in float64.
        network.train()(torch.from_numpy(normal(2, image.shape[-1], 64, 64, seed=1)))
        for name, value in network.eval().state_dict().items():
            if name.endswith("running_var"):
                value.clamp_(min=1).mul_(0.5 + torch.rand_like(value))
            elif name.endswith("gamma"):
                value.uniform_(0.5, 1.5)
            elif value.ndim == 1:
                value.add_(0.1 * torch.randn_like(value))
        logits = network(torch.from_numpy(image).permute(0, 3, 1, 2))
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    return state, logits.permute(0, 2, 3, 1).numpy()


def unmoved(gradient):
    """Paths of all parameters, and of those that a step leaves as they are."""
    leaves = {
        "/".join(part.key for part in path): leaf
        for path, leaf in jax.tree.leaves_with_path(gradient)
    }
    assert all(np.isfinite(leaf).all() for leaf in leaves.values())
    largest = {path: float(np.abs(leaf).max()) for path, leaf in leaves.items()}

    def still(path):
        # Not quite 0 where sums cancel: far below what their own kernel has.
        kernel = largest.get(path.rpartition("/")[0] + "/kernel", 0.0)
        return largest[path] <= 1e-4 * kernel

    return set(leaves), {path for path in leaves if still(path)}
