"""Samples of a batch mixed with one another.

Each takes another sample of the batch, its partner, by `partners`: the batch is drawn
at random already, and pairs by index are the same for any order of the samples in it,
and so for any number of devices. What a sample lacks stays missing: pixels of weight 0
that are mixed into, and bands by `present [B, C]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from minenet.ops import bands
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Array

Samples = Mapping[str, jax.Array]
"""Fields of a batch, each with a first axis B."""


def partners(index: Array) -> jax.Array:
    """Returns the place `[B]` of each sample's partner, the one of the next index."""
    order = jnp.argsort(index)
    return jnp.zeros_like(order).at[order].set(jnp.roll(order, -1))


def mixup(batch: Samples, partner: Array, share: Array) -> dict[str, jax.Array]:
    """Returns a batch blended with its partners, after Zhang et al. 2018.

    Where the partner has no value, a sample keeps its own.

    Args:
        batch: With image, target and weight.
        partner: `[B]`, places in the batch.
        share: `[B]`, what a sample keeps of itself; 1 changes nothing.
    """
    other = {name: batch[name][partner] for name in ("image", "target", "weight")}
    both = (batch["weight"] > 0) & (other["weight"] > 0)
    kept = jnp.where(both, share[:, None, None], 1.0)

    def blend(name: str, kept: jax.Array) -> jax.Array:
        kept = jnp.broadcast_to(kept, batch[name].shape)
        return batch[name] * kept + other[name] * (1 - kept)

    known = (batch["image"] != 0) & (other["image"] != 0)
    return {
        **batch,
        "image": jnp.where(known, blend("image", kept[..., None]), batch["image"]),
        "target": blend("target", kept[..., None]),
        "weight": blend("weight", kept),
    }


def cutmix(batch: Samples, partner: Array, box: Array) -> dict[str, jax.Array]:
    """Returns a batch with a box of each sample from its partner, labels included.

    After Yun et al. 2019; what is invalid in the box of the partner is so here.

    Args:
        batch: With image, target and weight.
        partner: `[B]`, places in the batch.
        box: `[B, 4]` top, left, bottom, right in 0..1 of the frame; bottom and right
            excluded. An empty one changes nothing.
    """
    height, width = batch["weight"].shape[1:]
    row = ((jnp.arange(height) + 0.5) / height)[None, :, None]
    col = ((jnp.arange(width) + 0.5) / width)[None, None, :]
    shape = batch["weight"].shape
    row, col = jnp.broadcast_to(row, shape), jnp.broadcast_to(col, shape)
    top, left, bottom, right = (
        jnp.broadcast_to(side[:, None, None], shape) for side in box.T
    )
    inside = (row >= top) & (row < bottom) & (col >= left) & (col < right)
    return _paste(batch, partner, inside)


def copy_paste(
    batch: Samples, partner: Array, chosen: Array, *, mines: Sequence[int] = (0,)
) -> dict[str, jax.Array]:
    """Returns a batch with the mines of partners pasted, after Ghiasi et al. 2021.

    Only where both pixels count.

    Args:
        batch: With image, target and weight.
        partner: `[B]`, places in the batch.
        chosen: `[B]`, True for the samples that receive.
        mines: Channels of the target that are pasted: (0,) for binary targets, those
            but the background for exclusive ones.

    Raises:
        InputError: If there is no such channel.
    """
    channels = batch["target"].shape[-1]
    if not mines or not {*mines} <= {*range(channels)}:
        raise InputError(
            f"augment.mines={mines}: must be channels of the target, 0 to "
            f"{channels - 1}"
        )
    target = batch["target"][partner][..., jnp.array(mines)].max(-1)
    counts = (batch["weight"] > 0) & (batch["weight"][partner] > 0)
    return _paste(batch, partner, (target > 0.5) & counts & chosen[:, None, None])


def random_mixup(
    keys: jax.Array, batch: Samples, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a blended batch, in shares of Beta(`amount`, `amount`).

    The larger share of each sample is its own.
    """
    share = jax.vmap(lambda key: jax.random.beta(key, amount, amount))(keys)
    return mixup(batch, partners(batch["index"]), jnp.maximum(share, 1 - share))


def random_cutmix(
    keys: jax.Array, batch: Samples, *, amount: float
) -> dict[str, jax.Array]:
    """Returns a batch in which a sample has another's box with probability `amount`.

    The area of the box is uniform, up to half the frame, and its centre too.
    """

    def draw(key: jax.Array) -> jax.Array:
        apply_key, area_key, centre_key = jax.random.split(key, 3)
        area = jax.random.uniform(area_key, maxval=0.5)
        half = jnp.where(jax.random.uniform(apply_key) < amount, jnp.sqrt(area) / 2, 0)
        low = jax.random.uniform(centre_key, (2,)) * (1 - 2 * half)
        return jnp.concatenate([low, low + 2 * half])

    return cutmix(batch, partners(batch["index"]), jax.vmap(draw)(keys))


def random_copy_paste(
    keys: jax.Array, batch: Samples, *, amount: float, mines: Sequence[int] = (0,)
) -> dict[str, jax.Array]:
    """Returns a batch in which a sample has another's mines too with `amount`."""
    chosen = jax.vmap(jax.random.uniform)(keys) < amount
    return copy_paste(batch, partners(batch["index"]), chosen, mines=mines)


def _paste(batch: Samples, partner: Array, where: jax.Array) -> dict[str, jax.Array]:
    """A batch with the pixels `where [B, H, W]` of the partners."""
    other = {name: batch[name][partner] for name in ("image", "target", "weight")}
    if "present" in batch:
        here = batch["present"][:, None, None, :] > 0
        image = jnp.where(here, other["image"], 0.0)
        weight = bands.counted(other["weight"], other["image"], image)
        other = {**other, "image": image, "weight": weight}
    pasted = {
        name: jnp.where(where if name == "weight" else where[..., None], value, old)
        for name, (value, old) in {n: (other[n], batch[n]) for n in other}.items()
    }
    return {**batch, **pasted}
