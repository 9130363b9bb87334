"""A trial on several workers: Ray Train below Tune, one process or GPU for each, up to 8 GPUs a trial.

Tune's own process of the trial (`SharedTrial`) starts the workers, hands their epochs on and tells them to end; it takes no
CPU and lies on the head node, so `slots` trials can always have all their workers. Reckon with a gigabyte of the head's
memory for each, the controller of Train included. Nothing waits for a killed process, in three ways:

- a trial that is stopped is never killed: its workers read after every epoch that they are to end, and give themselves back;
- workers that are lost are started again by Train, from the last checkpoint, `RETRIES` times; where Train's controller is
  lost, which nobody starts again, it is as if the trial's own process were: Tune does, from the same checkpoint;
- what the killed process of a trial had reserved is freed by the driver (`foresight.tuning.reservations`), which needs
  neither the dashboard nor the detached cleaner that Train starts for each run. That one asks the dashboard, and without
  one, or with two Rays on a machine, the reservation stays and the next trial waits for ever.
"""

import os
import threading
from collections.abc import Generator
from typing import Any

from foresight.claim import Claim
from foresight.errors import RunEndedError
from foresight.runlog import RunLog
from foresight.tuning.progress import clock
from foresight.tuning.record import Planned, check_storage, has_its_row, write_failure
from foresight.tuning.scratch import TrialScratch
from foresight.tuning.sweep import RETRIES, Placement
from foresight.tuning.trainable import TrialActor
from foresight.tuning.worker_part import SharedJob

START_TIMEOUT_S = 60.0  # of one attempt of Train to get all workers; it tries again until `Placement.wait_s` is over
POLL_S = 0.25  # between two looks at what the workers have written
TRAIN_SETTINGS = {
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(START_TIMEOUT_S),
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


class SharedTrial(TrialActor):
    """As TrialActor, with the work done by `placement.workers` processes of Ray Train."""

    def setup(
        self,
        config: dict[str, Any],
        placement: Placement | None = None,
        claim: Claim | None = None,
        log: RunLog | None = None,
    ) -> None:
        assert placement is not None and claim is not None and log is not None
        self.placement, self.log, self.primary = placement, log, claim.primary
        for name, value in TRAIN_SETTINGS.items():
            os.environ.setdefault(name, value)
        self.reset_config(config)

    def environment(self) -> dict[str, Any]:
        return TrialScratch(self.log, self.planned.key).read_environment()

    def _run(self, planned: Planned) -> Generator[dict[str, float], None, None]:
        if has_its_row(self.log, planned):
            return
        run = SharedRun(SharedJob(planned, self.placement, self.log))
        try:
            yield from run.epochs()
        except (GeneratorExit, Exception):  # not SystemExit: then its workers go with this process
            run.end()
            raise
        run.end()


class SharedRun:
    """One trial's run by Ray Train, in a thread of the trial's own process."""

    def __init__(self, job: SharedJob):
        self.job, self.log = job, job.log
        self.scratch = TrialScratch(self.log, job.planned.key)
        self.scratch.begin(job.placement.describe_workers())
        self.error: Exception | None = None
        # A daemon: a process that is told to end must not wait for workers that never come.
        self.thread = threading.Thread(target=self._fit, name="train", daemon=True)
        self.thread.start()

    def epochs(self) -> Generator[dict[str, float], None, None]:
        """The rows of the epochs as they come.

        Raises RunEndedError when a disk or the storage of the run log failed, RuntimeError where the machines did, or where this
        process is told to exit, which ends the thread silently: Tune tries the trial again, then, `RETRIES` times.
        """
        n_seen = 0.0
        while True:
            is_running = self.thread.is_alive()
            for row in self.scratch.read_rows():
                if row["epoch"] > n_seen:
                    n_seen = row["epoch"]
                    yield row
                    if self.job.planned.raced:
                        self.scratch.allow(n_seen)
            if not is_running:
                break
            self.thread.join(POLL_S)
        if has_its_row(self.log, self.job.planned):
            return
        check_storage(self.job.planned, _cause_of(self.error))
        if self.error is None or _is_of_machines(self.error):
            why = "its process is ending" if self.error is None else _last_line(self.error)
            raise RuntimeError(f"the run of Ray Train was lost: {why}") from self.error
        self._record_failure(self.error)

    def end(self) -> None:
        """Tells the workers to end, and returns when they have; at once where there are none yet.

        Workers that come later find that they are to end, and do.
        """
        if self.thread.is_alive():
            self.scratch.tell_to_end()
        while self.thread.is_alive() and not self.scratch.is_waiting:
            self.thread.join(POLL_S)
        # Without its row the trial was not stopped, but interrupted: the next attempt goes on from the checkpoint.
        if not self.thread.is_alive() and has_its_row(self.log, self.job.planned):
            self.scratch.remove()

    def _fit(self) -> None:
        from foresight.tuning.trainer import fit_workers

        try:
            fit_workers(self.job, START_TIMEOUT_S)
        except Exception as error:  # for the trial's own thread, which writes the row
            self.error = error

    def _record_failure(self, error: Exception) -> None:
        """Writes the row of a trial whose workers could not: they never came, or were lost too often."""
        failures = list(getattr(error, "worker_failures", {}).values())
        for failure in failures:
            if isinstance(cause := _cause_of(failure), RunEndedError):
                raise cause
            check_storage(self.job.planned, cause)
        if failures:
            # One that has lost another only says so; what became of that one is the cause.
            causes = [failure for failure in failures if not _is_of_a_peer(failure)] or failures
            why = f"its workers were lost or failed {RETRIES + 1} times, the last time: {_last_line(causes[0])}"
        elif "startup timed out" in str(error):
            placement = self.job.placement
            why = f"{placement.describe_workers()} did not come within {clock(placement.wait_s)}"
        else:
            why = f"Ray Train could not run it: {_last_line(error)}"
        write_failure(self.log, self.job.planned, why)


def _is_of_machines(error: Exception) -> bool:
    """Of what Train ends with: whether another machine, or a later moment, may help.

    Its controller was killed, or lost with its machine; a worker was lost while they were started, where Train gives up at
    once; machines were taken away more often than Train takes.
    """
    from ray.exceptions import RayActorError, RayError, RayTaskError
    from ray.train.v2.api.exceptions import PreemptionError

    cause = _cause_of(error)
    if isinstance(cause, RayActorError):
        return not cause.actor_init_failed
    if isinstance(cause, RayTaskError):  # of a worker that could not meet the others
        return isinstance(cause.cause, RuntimeError | OSError)
    return isinstance(cause, RayError | PreemptionError)


def _cause_of(failure: Exception | None) -> Exception | None:
    """Train wraps what a worker, and what its controller raised."""
    return getattr(failure, "_base_exc", getattr(failure, "controller_failure", failure))


def _is_of_a_peer(failure: Exception) -> bool:
    from foresight.train.parallel import LostPeerError

    return isinstance(_cause_of(failure), LostPeerError)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
