"""Tune's callback: keeps the display, and writes the rows of trials that were stopped, or whose process died without one."""

import contextlib
import dataclasses
import pickle
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from foresight.errors import RunEndedError
from foresight.runlog import RunLog
from foresight.tuning.memory_kills import WANT_OF_MEMORY
from foresight.tuning.out_of_memory import OUTGREW
from foresight.tuning.progress import SweepProgress
from foresight.tuning.record import Planned, check_storage, has_its_row, write_failure, write_stopped
from foresight.tuning.ticket import Ticket

USED_UP = {"CPU": 0.0001}  # what no trial asks for


class TrialRecorder(tune.Callback):
    """Runs in the driver. A trial's own process writes its row; those of dead and of stopped ones are written here."""

    def __init__(self, log: RunLog, primary: str, progress: SweepProgress, gpus: float):
        """`gpus` of each trial."""
        self.log, self.primary, self.progress, self.gpus = log, primary, progress, gpus
        self.started: dict[str, float] = {}  # trials that run, and since when
        self.epochs: dict[str, list[dict[str, Any]]] = {}  # of running trials that may be stopped
        self.ended: RunEndedError | None = None  # why no trial can go on; Tune hides it in an error of its own

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks into snapshots that are never read back."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.started[trial.config["key"]] = time.monotonic()
        self.progress.start(trial.config["key"])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "row" in result:
            row, key = result["row"], trial.config["key"]
            # A process that took another's place may repeat the epochs after the checkpoint.
            before = [known for known in self.epochs.get(key, []) if known["epoch"] < row["epoch"]]
            self.epochs[key] = [*before, row]

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        item: Planned = trial.config["planned"].planned
        if OUTGREW in (trial.last_result or {}):  # it goes on later, on a larger share of a GPU
            # Its process may have fallen back on what less memory allows, and would for the next trial as well. Tune keeps
            # processes by what their last trial asked for, so this one must not have asked for what any other trial does.
            trial.placement_group_factory = tune.PlacementGroupFactory([USED_UP])
            self.progress.pause(item.key)
            return
        epochs = self.epochs.pop(item.key, [])
        with self._ending():
            if is_stopped(item, trial.last_result):
                took_s = time.monotonic() - self.started[item.key]
                gpus = self.gpus if item.share is None else item.share.frac
                write_stopped(self.log, item, epochs, trial.last_result["environment"], gpus, took_s)
            self._finish(item)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial whose process or machine was lost runs again, from its checkpoint, as the next attempt."""
        item: Planned = trial.config["planned"].planned
        with self._ending():
            self._raise_ended(trial)
            if not has_its_row(self.log, item):
                trial.config["planned"] = Ticket(dataclasses.replace(item, attempt=item.attempt + 1))
                why = " for want of memory" if WANT_OF_MEMORY in last_lines(trial) else ""
                self.progress.say(f"{item.key} lost its process{why} and goes on as attempt {item.attempt + 1}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        item: Planned = trial.config["planned"].planned
        self.epochs.pop(item.key, None)
        with self._ending():
            self._raise_ended(trial)
            if not has_its_row(self.log, item):
                write_failure(self.log, item, f"the trial's process died: {last_lines(trial)}")
            self._finish(item)

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """Keeps a RunEndedError of a callback: Tune takes what these raise for a failure of the trial, which it tries again."""
        try:
            yield
        except RunEndedError as error:
            self.ended = error
            raise

    def _raise_ended(self, trial: Any) -> None:
        """Raises RunEndedError where the trial failed because the run cannot go on, or a callback has said so before."""
        cause = self.ended or cause_of_death(trial)
        if isinstance(cause, RunEndedError):
            raise cause
        check_storage(trial.config["planned"].planned, cause)

    def _finish(self, item: Planned) -> None:
        self.started.pop(item.key, None)
        row = self.log.read_trial(item.key)
        # Validation, never test: a person who watches must not be able to stop on the test images.
        value = row.get(f"val/{self.primary}") if row["status"] == "complete" else None
        self.progress.finish(item.key, item.trial.arm.name, row["error"], value)


def is_stopped(item: Planned, last_result: Mapping[str, Any] | None) -> bool:
    """Whether a scheduler ended the trial: one that ends by itself reports no epoch last."""
    return bool(item.raced) and last_result is not None and "epoch" in last_result


def cause_of_death(trial: Any) -> BaseException | None:
    """The exception that a trial's process raised; None where the process itself was lost."""
    path = Path(trial.pickled_error_file) if trial.pickled_error_file else None
    return getattr(pickle.loads(path.read_bytes()), "cause", None) if path is not None and path.exists() else None


def last_lines(trial: Any, n: int = 3) -> str:
    """The end of what Ray says of a dead trial: the exception. The lines before it are Ray's own frames.

    Tune adds to the file at each attempt, below a line of its own.
    """
    # Not `trial.get_error()`: it reads a copy that is not there yet while the callbacks run.
    path = Path(trial.error_file) if trial.error_file else None
    text = path.read_text() if path is not None and path.exists() else ""
    _, _, last = text.rpartition("Failure # ")
    lines = [line.strip() for line in last.splitlines()[1:] if line.strip()]
    return " ".join(lines[-n:]) or "no error was reported"
