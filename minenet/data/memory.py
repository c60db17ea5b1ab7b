"""Memory that this process keeps, instead of handing it back with every batch.

glibc maps blocks of many megabytes anew each time and unmaps them when they are freed.
The system then clears every page again: that was half the work of reading a store.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform

KEPT = 1 << 30
"""Bytes that may wait to be used again; larger blocks are handed back as before."""

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # as malloc.h numbers them


@functools.cache
def keep() -> None:
    """Has the C library keep what is freed, for as long as this process lives.

    What `MALLOC_…` or `GLIBC_TUNABLES` in the environment say stands. Nothing happens
    without glibc.
    """
    told = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if not told and platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, KEPT)
        library.mallopt(TRIM_THRESHOLD, KEPT)
