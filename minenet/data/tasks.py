"""Many independent tasks on any `concurrent.futures` executor.

A task leaves what it makes whole or not at all and finds by itself what is there, so
that doing it twice is doing it once. Then a worker that dies costs only time: its task
is given out again, here or in the next run of the job.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from typing import TypeVar

from minenet.types import InputError

T, R = TypeVar("T"), TypeVar("R")
MakeExecutor = Callable[[], Executor]

AHEAD = 4
"""Tasks handed out for each core, so that no worker waits for the next."""

SUSPECT = 2
"""After so many deaths, which may be another task's fault, a task runs alone."""

ALONE = 3
"""After so many more, which only it can be to blame for, it is given up."""


def run(
    work: Callable[[T], R],
    items: Sequence[T],
    *,
    executor: MakeExecutor,
    give_up: Callable[[T, str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[R | None]:
    """Returns `work(item)` of each item, in the order of items.

    So the result depends neither on the number of workers nor on their speed. What an
    item's error means is for `work` to decide: one that it raises stops the job.

    Args:
        work: to be done to each item; with processes, both must pickle.
        items: the tasks.
        executor: makes an executor, and another where a dead worker broke the first.
        give_up: called with an item on which worker after worker died, and the reason;
            its result is None. Such an item is an error if None.
        progress: called with the number of tasks done and of all, after each.

    Raises:
        InputError: workers died on an item again and again.
    """
    results: list[R | None] = [None] * len(items)
    waiting, deaths, done = deque(range(len(items))), Counter[int](), 0
    ahead = AHEAD * (os.cpu_count() or 1)
    while waiting:
        pool = executor()
        running: dict[Future, int] = {}
        broken = False
        try:
            while running or (waiting and not broken):
                while waiting and not broken and len(running) < ahead:
                    alone = deaths[waiting[0]] >= SUSPECT
                    if running and (alone or _any_suspect(running, deaths)):
                        break
                    try:
                        running[pool.submit(work, items[waiting[0]])] = waiting[0]
                        waiting.popleft()
                    except BrokenExecutor:
                        broken = True
                lost = []
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    i = running.pop(future)
                    error = future.exception()
                    if error is None:
                        results[i] = future.result()
                        done += 1
                        if progress is not None:
                            progress(done, len(items))
                    elif _is_death(error):
                        broken = broken or isinstance(error, BrokenExecutor)
                        lost.append(i)
                    else:
                        raise error
                for i in sorted(lost, reverse=True):
                    deaths[i] += 1
                    if deaths[i] >= SUSPECT + ALONE:
                        done += 1
                        _give_up(items[i], deaths[i], give_up)
                    elif deaths[i] >= SUSPECT:
                        waiting.append(i)
                    else:
                        waiting.appendleft(i)
        finally:
            for future in running:  # Dask's executor has no `cancel_futures`
                future.cancel()
            pool.shutdown(wait=True)
    return results


def threads(workers: int | None = None) -> MakeExecutor:
    """Returns what makes a pool of threads of this process, one a core if None.

    For little work, and where a script must not be started again by its workers.
    """
    return functools.partial(ThreadPoolExecutor, workers or os.cpu_count())


def processes(workers: int | None = None) -> MakeExecutor:
    """Returns what makes a pool of processes, one a core if `workers` is None.

    They are spawned: GDAL and TensorStore have threads, which a fork would not copy.
    """
    return functools.partial(
        ProcessPoolExecutor,
        workers or os.cpu_count(),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_end_with_parent,
    )


@contextlib.contextmanager
def executors(
    *, workers: int | None = None, cluster: str | None = None
) -> Iterator[MakeExecutor]:
    """Yields what makes executors: of processes here, or of a Dask cluster.

    Args:
        workers: number of processes, one a core if None; of a cluster that runs
            already, its own number counts.
        cluster: None, the address of a Dask scheduler, or "local" for one of this
            machine's own.

    Raises:
        InputError: Dask is not installed, or nobody answers at the address.
    """
    if cluster is None:
        yield processes(workers)
        return
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            f"cluster: {cluster!r} needs Dask; pip install 'minenet[cluster]'"
        ) from error
    try:
        if cluster == "local":
            count = workers or os.cpu_count()
            client = distributed.Client(
                n_workers=count, threads_per_worker=1, dashboard_address=":0"
            )
        else:
            client = distributed.Client(cluster, timeout="30s")
    except (OSError, ValueError) as error:  # a TimeoutError is an OSError
        raise InputError(
            f"cluster: no Dask scheduler at {cluster!r} ({error}); check the address"
        ) from error
    with client:
        # Not pure: a task given out again must not be answered from memory.
        yield functools.partial(client.get_executor, pure=False)


def _any_suspect(running: dict[Future, int], deaths: Counter[int]) -> bool:
    return any(deaths[i] >= SUSPECT for i in running.values())


def _is_death(error: BaseException) -> bool:
    # Dask gives up by itself after some deaths; its class is not imported here.
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


def _give_up(item, deaths: int, give_up) -> None:
    reason = f"its worker died {deaths} times; see the system's log for memory"
    if give_up is None:
        raise InputError(f"{item}: {reason}")
    give_up(item, reason)


def _end_with_parent() -> None:
    """Ends this worker where its parent was killed: it would wait for ever."""
    parent = multiprocessing.parent_process()

    def watch():
        parent.join()
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()
