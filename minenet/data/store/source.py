"""Chips on demand from a store, the same as from the rasters it was made of."""

from __future__ import annotations

from minenet.data.source import ChipSource
from minenet.data.store.read import Store
from minenet.types import InputError


class StoreSource(ChipSource):
    """The chips of one split; batches are those of `ChipSource` for the same draws.

    Args:
        store: filled.
        split: "train", "validation" or "test".

    Raises:
        InputError: shards are missing.
    """

    def __init__(self, store: Store, *, split: str):
        missing = store.pending()
        if missing:
            raise InputError(
                f"{store.url}: {len(missing)} of {store.layout.shards} shards are "
                "missing; run --mode=prepare again, it goes on where it was"
            )
        super().__init__(store.prepared, split=split, pixels=store)
