import ctypes
import platform
import subprocess
import sys

import pytest

from minenet.data import memory

FAULTS = """
import resource
from minenet.data import memory
memory.keep()
before = None
for _ in range(6):
    b"x" * (40 << 20)
    now = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    before = now if before is None else before
print((now - before) * resource.getpagesize() / (40 << 20))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is told to glibc alone")
def test_memory_is_used_again():
    command = [sys.executable, "-c", FAULTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.5  # else the system clears it anew each time: 5


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_what_the_user_told_stands(monkeypatch, name):
    class Library:
        mallopt = staticmethod(lambda *given: called.append(given))

    called: list[tuple] = []
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2"))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library)
    monkeypatch.setenv(name, "1")
    memory.keep.__wrapped__()
    assert not called
    monkeypatch.delenv(name)
    memory.keep.__wrapped__()
    assert len(called) == 2
