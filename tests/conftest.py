"""What every test shares: eight CPU devices, strict numerics, warnings as errors."""

import os

# Before jax is first imported: layouts are compared on virtual devices.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from pathlib import Path

import jax
import pytest
from hypothesis import settings

# The machine's load is no part of a law.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module", autouse=True)
def _forgotten():
    """Drops what a file compiled: of all files it would be gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real imagery, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("MINENET_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real imagery absent: no folder {folder} (set MINENET_DATA)")
    return folder
