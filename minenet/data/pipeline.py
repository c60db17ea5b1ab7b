"""Batches as a pure function of seed and step, the same for any number of processes.

The stream of samples is one sequence. Global batch `t` is its run of `batch_size`
samples from `t * batch_size`, and process `p` of `n` reads the p-th of n equal parts.
So a job resumes on another number of hosts with nothing but its step, and each sample
keeps its number, from which every later draw is made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

import grain
import numpy as np

from minenet.data import memory, sampling
from minenet.data.source import ChipSource, Place
from minenet.types import Batch, InputError, Sample

THREADS = 8
"""Readers of one process; decoding runs in all of them at once."""

ENDLESS = 1 << 50
"""Samples in a stream: more than any job reads, and exact as a float."""


def train(
    source: ChipSource,
    *,
    batch_size: int,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
    positive_share: float = 0.0,
    foreground_share: float = 0.0,
    hard_share: float = 0.0,
    hard: np.ndarray | None = None,
    jitter: bool = True,
) -> grain.MapDataset:
    """Returns the endless stream of this process's parts of the global batches.

    Args:
        source: chips to draw from.
        batch_size: over all processes.
        seed: decides order and draws.
        process_index: of this process.
        process_count: of the job.
        positive_share: share of samples from chips that hold a class, each as often.
        foreground_share: share of samples from chips by the area of their classes, with
            a drawn pixel of it as near the centre as the split allows.
        hard_share: share of samples from chips by `hard`. What the three leave is drawn
            from all chips, each once an epoch.
        hard: how often each chip is to be drawn beside the others, `[N]`; see
            `sampling.hardness`.
        jitter: whether to move the origin of each chip by a draw, within its split.

    Returns:
        `dataset[step]` is a `Batch` of `batch_size // process_count` samples.

    Raises:
        InputError: no chips; a batch that processes cannot share equally; shares that
            are none; hard chips wanted and none told.
    """
    local = _local(batch_size, process_index, process_count)
    if not len(source):
        raise InputError(f"split {source.split!r}: no chips; change split.shares")
    shares = sampling.Shares(positive_share, foreground_share, hard_share)
    weights = sampling.weights(source.index, shares, hard=hard)
    places = draws(source, weights, seed=seed, centred=jitter)
    if jitter:
        moves = _seeds(seed)["move"]
        places = places.random_map(source.move, seed=moves)

    def read(index: int, place: Place) -> Sample:
        return _numbered(source.read(place), index)

    samples = places.map_with_index(read)
    return samples.batch(local)[process_index::process_count]


def draws(
    source: ChipSource,
    weights: Mapping[str, tuple[float, np.ndarray]],
    *,
    seed: int,
    centred: bool = True,
) -> grain.MapDataset:
    """Returns the endless stream of places that samples are read from.

    Args:
        source: of the places.
        weights: of each way to draw its share and the probability `[N]` of each chip,
            as `sampling.weights` returns them.
        seed: decides the draws.
        centred: whether those by foreground are moved to its middle.
    """
    seeds = _seeds(seed)
    streams, shares = [], []
    for way, (share, chance) in weights.items():
        chosen = np.flatnonzero(chance)
        # Alike ones come in turn, each once an epoch; others are drawn independently.
        if np.ptp(chance[chosen]) == 0:
            stream = _shuffled([source.places[i] for i in chosen], seeds[way])
        else:
            stream = _drawn(source.places, chance, seeds[way])
        if way == "foreground" and centred:
            stream = stream.random_map(source.centre, seed=seeds["centre"])
        streams.append(stream)
        shares.append(share)
    if len(streams) == 1:
        return streams[0]
    return grain.MapDataset.mix(streams, shares)


class Evaluation(Sequence):
    """A finite list of this process's batches, each chip of a split once.

    The last global batch is filled with blank chips of weight 0 and index -1, so that
    every process has equally many batches of one shape. Iterating reads ahead.

    Args:
        source: chips to read, in the order of the index.
        batch_size: over all processes.
        process_index: of this process.
        process_count: of the job.
    """

    def __init__(self, source, *, batch_size, process_index=0, process_count=1):
        local = _local(batch_size, process_index, process_count)
        count = -(-len(source) // batch_size) * batch_size

        def read(index: int) -> Sample:
            if index < len(source):
                return _numbered(source[index], index)
            return _numbered(source.blank(), -1)

        samples = grain.MapDataset.range(count).map(read)
        self._batches = samples.batch(local)[process_index::process_count]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, i: int) -> Batch:
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        return self._batches[i % len(self)]

    def __iter__(self) -> Iterator[Batch]:
        return batches(self._batches)


def evaluation(
    source: ChipSource,
    *,
    batch_size: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Evaluation:
    """Returns the batches of a split for scoring; see `Evaluation`."""
    return Evaluation(
        source,
        batch_size=batch_size,
        process_index=process_index,
        process_count=process_count,
    )


def batches(
    dataset: grain.MapDataset,
    start: int = 0,
    *,
    threads: int | None = None,
    prefetch: int = 4,
) -> Iterator[Batch]:
    """Yields `dataset[start], dataset[start + 1], …`, read ahead in threads.

    From then on the process keeps memory that it frees; see `memory`.

    Args:
        dataset: as `train` returns it.
        start: the step to begin with, after a resume.
        threads: batches that are read at the same time; as many as there are cores, up
            to `THREADS`, if None.
        prefetch: batches that wait; memory is this many batches, or `threads` of them.
    """
    memory.keep()
    threads = threads or min(THREADS, os.cpu_count() or 1)
    options = grain.ReadOptions(
        num_threads=threads, prefetch_buffer_size=max(threads, prefetch)
    )
    iterator = iter(dataset[start:].to_iter_dataset(options))
    try:
        yield from iterator
    finally:
        iterator.close()


def _shuffled(places: Sequence[Place], seed: int) -> grain.MapDataset:
    # Not without end: Grain's batches of one overflow at the length of infinity.
    epochs = ENDLESS // len(places)
    return grain.MapDataset.source(places).shuffle(seed=seed).repeat(epochs)


def _drawn(places: Sequence[Place], chance: np.ndarray, seed: int) -> grain.MapDataset:
    upto = np.cumsum(chance)

    def draw(_: int, generator: np.random.Generator) -> Place:
        return places[
            int(np.searchsorted(upto, generator.random() * upto[-1], "right"))
        ]

    return grain.MapDataset.range(ENDLESS).random_map(draw, seed=seed)


def _seeds(seed: int) -> dict[str, int]:
    """A seed for each kind of draw."""
    kinds = ("uniform", "positive", "move", "foreground", "hard", "centre")
    found = np.random.SeedSequence(seed).generate_state(len(kinds))
    return dict(zip(kinds, found.tolist(), strict=True))


def _numbered(sample: Sample, index: int) -> Sample:
    # Draws are keyed by 32 bits: two billion samples on, numbers begin again.
    return {**sample, "index": np.int32(index % 2**31 if index >= 0 else index)}


def _local(batch_size: int, process_index: int, process_count: int) -> int:
    if batch_size < 1 or batch_size % process_count:
        raise InputError(
            f"batch_size: {batch_size} cannot be shared by {process_count} processes; "
            "choose a multiple"
        )
    if not 0 <= process_index < process_count:
        raise ValueError(
            f"process_index={process_index} is not below process_count={process_count}"
        )
    return batch_size // process_count
