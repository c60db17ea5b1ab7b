"""What the tests of large networks share."""

import warnings

import jax
import numpy as np
import pytest

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
