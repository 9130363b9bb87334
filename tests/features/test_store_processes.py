import multiprocessing
import time

import pytest
from filelock import FileLock, Timeout
from store_workers import build_once, hang_while_writing

from foresight.features.store import ArrayStore

SPAWN = multiprocessing.get_context("spawn")


def test_two_processes_that_ask_at_once_build_once(tmp_path):
    builds, barrier = tmp_path / "builds", SPAWN.Barrier(2)
    processes = [SPAWN.Process(target=build_once, args=(tmp_path / "cache", builds, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert builds.read_text().splitlines() == ["built"]
    assert ArrayStore(tmp_path / "cache").load("entry")["tokens"].tolist() == [7] * 4


def test_a_killed_writer_releases_its_lock_and_its_half_entry_is_replaced(tmp_path):
    store, started = ArrayStore(tmp_path / "cache"), tmp_path / "started"
    holder = SPAWN.Process(target=hang_while_writing, args=(store.root, started))
    holder.start()
    while not started.exists():
        assert holder.is_alive()
        time.sleep(0.01)
    with pytest.raises(Timeout):
        FileLock(store.root / "locks" / "lock.lock").acquire(timeout=0)
    holder.kill()
    holder.join()
    with store.lock("lock"):
        assert not store.has("entry")
        with store.writer("entry", {}) as create:
            create("new", (2,), "u1")[...] = 2
    assert {name: array.tolist() for name, array in store.load("entry").items()} == {"new": [2, 2]}
