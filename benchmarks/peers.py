"""The libraries that we compare with: the one place where each is imported.

`python benchmarks/peers.py` imports them all and prints their versions.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

# By default OpenMP threads spin while they wait. Beside any other load that makes torch
# several times slower, and it burns the processor time that a budget counts.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

HINT = "bash benchmarks/install_peers.sh PYTHON installs the peers (Python 3.11)"


def torch() -> ModuleType:
    """Returns PyTorch."""
    try:
        import torch
    except ImportError as error:
        sys.exit(f"{error.name} is missing: {HINT}")
    return torch


def smp() -> ModuleType:
    """Returns segmentation_models_pytorch."""
    _vision()
    import segmentation_models_pytorch

    return segmentation_models_pytorch


def monai_inferers() -> ModuleType:
    """Returns `monai.inferers`."""
    torch()
    import monai.inferers

    return monai.inferers


def torchgeo() -> ModuleType:
    """Returns torchgeo, with `datasets` and `samplers`."""
    _vision()
    import torchgeo.datasets
    import torchgeo.samplers

    return torchgeo


def torchmetrics() -> ModuleType:
    """Returns `torchmetrics.functional.classification`."""
    _vision()
    import torchmetrics.functional.classification

    return torchmetrics.functional.classification


def panoptic_quality() -> Callable[..., Any]:
    """Returns `torchmetrics.functional.detection.panoptic_quality`."""
    _vision()
    from torchmetrics.functional.detection import panoptic_quality

    return panoptic_quality


@functools.cache
def _vision() -> object:
    """Imports torchvision, also beside a torch without CUDA.

    Its wheels are built for the CUDA torch. Beside the other one their library does not
    load, and the import stops at two operators that nobody here calls: declaring them
    is enough. Where it does load, declaring them twice would be an error.
    """
    torch()
    with contextlib.suppress(RuntimeError):
        return importlib.import_module("torchvision")
    operators = torch().library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(
            f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
    return operators  # cached, for they are forgotten with this object


if __name__ == "__main__":
    smp(), monai_inferers(), torchgeo()
    for name in ("torch", "segmentation-models-pytorch", "monai", "torchgeo"):
        print(name, importlib.metadata.version(name))
