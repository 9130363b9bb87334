"""Tune's callback over trials on several workers: it says who waits for workers, and frees what dead processes held."""

import time
from typing import Any

from ray import tune

from foresight.runlog import RunLog
from foresight.tuning.progress import SweepProgress, clock
from foresight.tuning.reservations import free_abandoned
from foresight.tuning.scratch import Waiting, waiting_trials

LOOK_S = 5.0  # between two looks
PATIENCE_S = 90.0  # that a trial waits without a word; on a busy machine its workers take half a minute to start


class WorkerWatch(tune.Callback):
    """Runs in the driver."""

    def __init__(self, ray: Any, log: RunLog, progress: SweepProgress, wait_s: float):
        self.ray, self.log, self.progress, self.wait_s = ray, log, progress, wait_s
        self.looked = time.monotonic()
        self.said: set[tuple[str, float]] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks into snapshots that are never read back."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if time.monotonic() - self.looked < LOOK_S:
            return
        self.looked = time.monotonic()
        free_abandoned(self.ray)
        for waiting in waiting_trials(self.log):
            identity = (waiting.key, waiting.since)
            if identity not in self.said and time.time() - waiting.since > PATIENCE_S:
                self.said.add(identity)
                self.progress.say(f"{describe(waiting, time.time())}; it fails after {clock(self.wait_s)}")


def describe(waiting: Waiting, now: float) -> str:
    """`full-s0-1a2b3c4d has waited 5:00 for 2 workers with 1 GPU and 1 CPU each`."""
    return f"{waiting.key} has waited {clock(max(0.0, now - waiting.since))} for {waiting.wanted}"
