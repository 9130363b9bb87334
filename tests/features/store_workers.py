"""What other processes do to a store in the tests. Imports nothing heavy, so that a spawned process starts at once."""

import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from foresight.features.store import ArrayStore


def build_once(root: Path, builds: Path, barrier: Barrier) -> None:
    """Asks for an entry when all do, as `compute` does; a line is added to `builds` every time it is really built."""
    store = ArrayStore(root)
    barrier.wait()
    with store.lock("lock"):
        if not store.has("entry"):
            with builds.open("a") as file:
                file.write("built\n")
            time.sleep(0.3)  # the other process asks meanwhile
            with store.writer("entry", {}) as create:
                create("tokens", (4,), "u1")[...] = 7


def hang_while_writing(root: Path, started: Path) -> None:
    """Takes a lock, half writes an entry, says so, and never comes to an end."""
    store = ArrayStore(root)
    with store.lock("lock"), store.writer("entry", {}) as create:
        create("old", (4,), "u1")[...] = 1
        started.touch()
        time.sleep(60)
