"""Tune's callback: keeps the display, and writes the row of a trial whose process died without writing one."""

import pickle
from pathlib import Path
from typing import Any

from ray import tune

from foresight.errors import RunEndedError
from foresight.runlog import RunLog
from foresight.tuning.progress import SweepProgress
from foresight.tuning.record import Planned, write_failure


class TrialRecorder(tune.Callback):
    """Runs in the driver. A trial's own process writes its row; only a dead one's is written here."""

    def __init__(self, log: RunLog, primary: str, progress: SweepProgress):
        self.log, self.primary, self.progress = log, primary, progress
        self.ended: RunEndedError | None = None  # why no trial can go on; Tune hides it in an error of its own

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks into snapshots that are never read back."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.progress.start(trial.config["key"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._finish(trial.config["planned"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        item: Planned = trial.config["planned"]
        cause = cause_of_death(trial)
        try:
            if isinstance(cause, RunEndedError):
                raise cause
            if not self._wrote_its_row(item):
                write_failure(self.log, item, f"the trial's process died: {last_lines(trial)}")
        except RunEndedError as error:
            self.ended = error
            raise
        self._finish(item)

    def _wrote_its_row(self, item: Planned) -> bool:
        """Whether the process died after the trial had ended: then its own row stands."""
        row = self.log.read_trial(item.key) if item.key in self.log.statuses() else None
        return row is not None and row["attempt"] == item.attempt

    def _finish(self, item: Planned) -> None:
        row = self.log.read_trial(item.key)
        # Validation, never test: a person who watches must not be able to stop on the test images.
        value = row.get(f"val/{self.primary}") if row["status"] == "complete" else None
        self.progress.finish(item.key, item.trial.arm.name, row["error"], value)


def cause_of_death(trial: Any) -> BaseException | None:
    """The exception that a trial's process raised; None where the process itself was lost."""
    path = Path(trial.pickled_error_file) if trial.pickled_error_file else None
    return getattr(pickle.loads(path.read_bytes()), "cause", None) if path is not None and path.exists() else None


def last_lines(trial: Any, n: int = 3) -> str:
    """The end of what Ray says of a dead trial: the exception. The lines before it are Ray's own frames."""
    # Not `trial.get_error()`: it reads a copy that is not there yet while the callbacks run.
    path = Path(trial.error_file) if trial.error_file else None
    text = path.read_text() if path is not None and path.exists() else "no error was reported"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-n:])
