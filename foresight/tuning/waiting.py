"""Tune's callbacks over what waits: trials on several workers, and a whole sweep for which there is no place any more."""

import time
from typing import Any

from ray import tune

from foresight.errors import RunEndedError
from foresight.runlog import RunLog
from foresight.tuning.progress import SweepProgress, clock
from foresight.tuning.recorder import TrialRecorder
from foresight.tuning.reservations import free_abandoned
from foresight.tuning.scratch import TrialScratch, Waiting, waiting_trials
from foresight.tuning.sweep import PATIENCE_S, Placement

LOOK_S = 5.0  # between two looks


class WorkerWatch(tune.Callback):
    """Says which trials wait for their workers, and frees what dead processes held. Runs in the driver."""

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

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its processes may have died while it waited."""
        TrialScratch(self.log, trial.config["key"]).stop_waiting()


class PlaceWatch(tune.Callback):
    """Says when no trial has got a process for long, and ends the run when none ever does. Runs in the driver.

    Tune waits for ever for what no machine of the cluster has any more, and its own word about that is switched off.
    """

    def __init__(self, ray: Any, recorder: TrialRecorder, progress: SweepProgress, placement: Placement):
        self.ray, self.recorder, self.progress, self.placement = ray, recorder, progress, placement
        self.since: float | None = None  # nothing runs, and trials wait
        self.has_said = False

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks into snapshots that are never read back."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        states = {trial.status for trial in trials}
        if "RUNNING" in states or "PENDING" not in states:
            self.since, self.has_said = None, False
            return
        now = time.monotonic()
        self.since = self.since or now
        if now - self.since > self.placement.wait_s:
            ended = RunEndedError(
                f"{self._describe(now)}; every finished trial is kept, and the same command goes on once there are machines"
            )
            self.recorder.ended = ended
            raise ended
        if now - self.since > PATIENCE_S and not self.has_said:
            self.has_said = True
            self.progress.say(f"{self._describe(now)}; this command ends after {clock(self.placement.wait_s)}")

    def _describe(self, now: float) -> str:
        """`no trial has got a process for 1:30: each takes 1 GPU and 1 CPU, and of 0 GPUs and 4 CPUs 0 and 4 are free`."""
        here, free = self.ray.cluster_resources(), self.ray.available_resources()
        wanted = f"{self.placement.gpus:g} GPU and 1 CPU" if self.placement.gpus else "1 CPU"
        units = ("GPU", "CPU") if self.placement.gpus else ("CPU",)
        found = " and ".join(f"{free.get(unit, 0):g} of {here.get(unit, 0):g} {unit}s" for unit in units)
        waited = clock(now - (self.since or now))
        return f"no trial has got a process for {waited}: each takes {wanted}, and {found} are free"


def describe(waiting: Waiting, now: float) -> str:
    """`full-s0-1a2b3c4d has waited 5:00 for 2 workers with 1 GPU and 1 CPU each`."""
    return f"{waiting.key} has waited {clock(max(0.0, now - waiting.since))} for {waiting.wanted}"
