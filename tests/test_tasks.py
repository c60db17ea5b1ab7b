"""A list of tasks is done, whatever happens to the workers."""

import functools
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minenet.data import tasks
from minenet.data.quarantine import Quarantine
from minenet.types import InputError

threads = functools.partial(ThreadPoolExecutor, 2)


class Mortal(ThreadPoolExecutor):
    """Breaks as a pool of processes does: with one worker, all it holds is lost.

    Args:
        dies: asked with each item, whether a worker dies of it now.
        deaths: filled with items and whether they were the only ones handed out.
    """

    def __init__(self, dies, deaths):
        super().__init__(1)
        self.dies, self.deaths, self.broken = dies, deaths, False

    def submit(self, work, item):
        if self.broken:
            raise BrokenProcessPool("broken")
        return super().submit(self.do, work, item)

    def do(self, work, item):
        if not self.broken and self.dies(item):
            self.deaths.append((item, self._work_queue.empty()))
            self.broken = True
        if self.broken:
            raise BrokenProcessPool("broken")
        return work(item)


def square(i):
    return i * i


def test_results_come_in_the_order_of_items():
    def slow_first(i):
        time.sleep(0.01 * (i < 3))
        return i * i

    seen = []
    found = tasks.run(
        slow_first,
        range(20),
        executor=threads,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert found == [i * i for i in range(20)]
    assert seen == [(i, 20) for i in range(1, 21)]
    assert tasks.run(square, [], executor=threads) == []


def test_an_error_of_the_work_stops_the_job():
    done = []

    def fails(i):
        if i == 3:
            raise InputError("img_3.tif: half a file")
        done.append(i)

    with pytest.raises(InputError, match="img_3.tif: half a file"):
        tasks.run(fails, range(1000), executor=threads)
    assert len(done) < 100


@given(deaths=st.lists(st.integers(0, 19), max_size=6))
def test_random_deaths_lose_nothing(deaths):
    left = list(deaths)

    def dies(item):
        if fatal := item in left:
            left.remove(item)
        return fatal

    if max(map(deaths.count, deaths), default=0) < tasks.ALONE:
        executor = functools.partial(Mortal, dies, [])
        found = tasks.run(square, range(20), executor=executor)
        assert found == [i * i for i in range(20)] and not left


def test_what_kills_its_workers_is_given_up_and_the_others_are_done():
    deaths, given_up = [], []
    found = tasks.run(
        square,
        range(20),
        executor=functools.partial(Mortal, lambda item: item in (0, 7), deaths),
        give_up=lambda item, reason: given_up.append((item, reason)),
    )
    assert found == [None if i in (0, 7) else i * i for i in range(20)]
    assert {item for item, _ in given_up} == {0, 7}
    assert all("its worker died 5 times" in reason for _, reason in given_up)
    assert all(alone for _, alone in deaths[-2:])
    with pytest.raises(InputError, match="7: its worker died 5 times; see the system"):
        executor = functools.partial(Mortal, lambda item: item == 7, [])
        tasks.run(square, range(20), executor=executor)


def dies_once(item, folder):
    """Squares, after the first who tried item 2 was killed."""
    if item == 2:
        try:
            (folder / "tried").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    (folder / str(item)).touch()
    return item * item


def test_a_killed_process_is_replaced(tmp_path):
    work = functools.partial(dies_once, folder=tmp_path)
    found = tasks.run(work, range(6), executor=tasks.processes(2))
    assert found == [i * i for i in range(6)]
    assert {p.name for p in tmp_path.iterdir()} == {*"012345", "tried"}


PARENT = """
import time
from minenet.data import tasks
def work(i):
    print("busy", flush=True)
    time.sleep(3600)
if __name__ == "__main__":
    tasks.run(work, [1], executor=tasks.processes(1))
"""


def test_workers_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = str(Path(__file__).parent.parent)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout.readline() == "busy\n"
    parent.kill()
    parent.communicate(timeout=300)  # ends when the last who could write has ended


@pytest.mark.slow
def test_a_dask_cluster_loses_a_worker_and_nothing_else(tmp_path):
    pytest.importorskip("distributed", reason="Dask's clusters")
    work = functools.partial(dies_once, folder=tmp_path)
    with tasks.executors(workers=2, cluster="local") as executor:
        assert tasks.run(work, range(6), executor=executor) == [0, 1, 4, 9, 16, 25]
    assert (tmp_path / "tried").exists()


def test_no_cluster_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"needs Dask; pip install 'minenet\[cluster"):
        with tasks.executors(cluster="local"):
            pass


def test_quarantine_keeps_each_record_once_and_sorted(tmp_path):
    path = tmp_path / "data/quarantine.jsonl"
    assert Quarantine(path).settle() == []
    noted = pickle.loads(pickle.dumps(Quarantine(path)))
    with ThreadPoolExecutor(4) as pool:
        for i in (3, 1, 2, 1, 3):
            pool.submit(noted.add, InputError("half a file"), scene=f"img_{i}", row=i)
    records = noted.settle()
    expected = [
        {"scene": f"img_{i}", "row": i, "reason": "half a file"} for i in (1, 2, 3)
    ]
    assert records == expected == noted.settle()
    assert [json.loads(line) for line in path.read_text().splitlines()] == expected


def test_strict_stops_instead(tmp_path):
    noted = Quarantine(tmp_path / "quarantine.jsonl", strict=True)
    with pytest.raises(InputError, match="^img.tif: half a file$"):
        noted.add(InputError("img.tif: half a file"), scene="img")
    with pytest.raises(InputError, match="shard=3: its worker died"):
        noted.add("its worker died", shard=3)
    assert not (tmp_path / "quarantine.jsonl").exists()
