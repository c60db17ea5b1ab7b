"""White noise, quickly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp


def normal(key: jax.Array, shape: Sequence[int]) -> jax.Array:
    """Returns nearly Gaussian noise of mean 0 and deviation 1.

    Threefry and the error function of `jax.random.normal` take a hundred times as long
    on a CPU, longer than all else that is done to a sample. Here the place of a value
    goes twice through the mixer of MurmurHash3 (Appleby 2011), each time with a word of
    the key, and the four bytes of the result are added up: bounded by 3.46, with a
    kurtosis of 2.7 in place of 3.

    Returns:
        float32 of that shape.
    """
    words = jax.random.bits(key, (2,))
    bits = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    for word in words:
        bits = bits * jnp.uint32(0x9E3779B9) + word
        bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
        bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
        bits = bits ^ (bits >> 16)
    total = sum(((bits >> i) & 255).astype(jnp.float32) for i in (0, 8, 16, 24))
    return (total - 4 * 127.5) / math.sqrt(4 * (256**2 - 1) / 12)
