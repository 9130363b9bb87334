"""What other processes do to a store in the tests. Imports nothing heavy, so that a spawned process starts at once."""

import time
from pathlib import Path

from foresight.config import TrialConfig
from foresight.features.store import ArrayStore


def compute_images(root: Path, config: TrialConfig, builds: Path) -> None:
    """Asks for the images of a config; every time they are really drawn, a line is added to `builds`."""
    from foresight.features import extract
    from foresight.features.requests import Request

    draw = extract.load_splits

    def slow_draw(data, coco_root):
        with builds.open("a") as file:
            file.write("drawn\n")
        time.sleep(1.0)  # long enough for the other process to ask as well
        return draw(data, coco_root)

    extract.load_splits = slow_draw
    extract.compute(Request("images", (config,)), ArrayStore(root))


def hang_while_writing(root: Path, name: str, key: str, started: Path) -> None:
    """Takes a lock, half writes an entry, says so, and never comes to an end."""
    store = ArrayStore(root)
    with store.lock(name), store.writer(key, {}) as create:
        create("old", (4,), "u1")[...] = 1
        started.touch()
        time.sleep(60)
