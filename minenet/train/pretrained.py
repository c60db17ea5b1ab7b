"""Weights that PyTorch trained, from their files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minenet.models import torch_names
from minenet.types import InputError

_TORCH = (".pth", ".pt", ".ckpt", ".bin")


def filled(
    variables: Mapping[str, Any],
    path: str | Path,
    *,
    parts: Collection[str] = torch_names.PARTS,
) -> dict[str, Any]:
    """Returns `variables` with the weights of a file in their places.

    Args:
        variables: Of a model or a bare encoder, as of `torch_names.filled`.
        path: As of `read`.
        parts: Those to take; without "segmentation_head" the classes may differ.

    Raises:
        InputError: The file cannot be read, or layers do not fit.
    """
    state = read(path)
    try:
        return torch_names.filled(variables, state, parts=parts)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the state dict of a file, float16 and bfloat16 as float32.

    Args:
        path: Of a `.safetensors` file, or of PyTorch's `.pth`, `.pt`, `.ckpt` or
            `.bin`, which needs PyTorch. Nothing but arrays is unpickled. A state dict
            under "state_dict" or "model", as trainers write it, is found.

    Raises:
        InputError: There is no such file, it is none of those, or PyTorch is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        return _of_safetensors(path)
    if path.suffix in _TORCH:
        return _of_torch(path)
    listed = ", ".join((".safetensors", *_TORCH))
    raise InputError(f"{path}: expected a file that ends in one of {listed}")


def _of_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from error
    return {name: _widened(array) for name, array in state.items()}


def _of_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{path}: PyTorch reads it, and is not installed (pip install torch); "
            ".safetensors needs nothing"
        ) from error
    import pickle

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not a file of weights alone ({reason})") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping):
        raise InputError(f"{path}: expected a state dict, not {type(state).__name__}")
    return {
        name: _widened((value.float() if value.is_floating_point() else value).numpy())
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array
