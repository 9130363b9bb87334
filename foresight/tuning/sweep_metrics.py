"""Tune's callback that shows a sweep on Ray's metrics endpoint; `cluster/grafana/foresight.json` draws what is declared here.

Prometheus reads each name with `ray_` before it, and a counter's with `_total` behind it.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.util import metrics

from foresight.metrics import METRICS
from foresight.runlog import STATUSES, RunLog
from foresight.tuning.out_of_memory import OUTGREW
from foresight.tuning.so_far import SoFar

STATES = ("pending", "running", *STATUSES)
WINDOW_S = 60.0  # that the rate of epochs is of
PAUSE_S = 1.0  # between two values of what changes with time alone

# Name to what it says and its tags, beside the study's.
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "foresight_trials": (f"Trials by state: {', '.join(STATES)}", ("state",)),
    "foresight_epochs_per_second": (f"Epochs that ended in the last {WINDOW_S:.0f} s, a second", ()),
    "foresight_gpu_seconds": ("Seconds that trials have held GPUs, times the GPUs, since this command began", ()),
    "foresight_best_objective": ("Best validation value so far of the claim's metric, never a test value", ("metric",)),
}
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "foresight_epochs": ("Epochs that trials have told of since this command began, those before a break included", ()),
}


def exported_names() -> set[str]:
    """The names as the endpoint shows them."""
    return {f"ray_{name}" for name in GAUGES} | {f"ray_{name}_total" for name in COUNTERS}


class SweepMetrics(tune.Callback):
    """Runs in the driver, after the recorder: where a trial has ended, its row is there. `n_pending` says how many wait.

    `so_far` is of the blocks of this command that were before, and of those to come.
    """

    def __init__(
        self,
        log: RunLog,
        n_pending: Callable[[], int],
        primary: str,
        gpus: float,
        so_far: SoFar,
        now: Callable[[], float] = time.monotonic,
    ):
        self.log, self.n_pending, self.primary, self.gpus, self.now = log, n_pending, primary, gpus, now
        self.states = dict(log.statuses())
        self.counts = Counter(self.states.values())
        self.best: float | None = None
        self._take_best_on_record()
        self.epochs: deque[float] = deque()  # when each of the last epochs ended
        self.so_far, self.gpu_s = so_far, so_far.gpu_s
        self.held: dict[str, float] = {}  # GPUs of each running trial
        self.shown_at = -math.inf
        self.counted_at = now()
        tags = {"study": log.root.name}
        self.gauges = {
            name: metrics.Gauge(name, says, ("study", *own)).set_default_tags(tags)
            for name, (says, own) in GAUGES.items()
        }
        self.counters = {
            name: metrics.Counter(name, says, ("study", *own)).set_default_tags(tags)
            for name, (says, own) in COUNTERS.items()
        }

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks into snapshots that are never read back."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._move(trial, "running")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "epoch" in result:  # the last result of a trial has none
            self.epochs.append(self.now())
            self.counters["foresight_epochs"].inc()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if OUTGREW in (trial.last_result or {}):  # it begins again
            self._move(trial, "pending")
        else:
            self._end(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._end(trial)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self.now() - self.shown_at >= PAUSE_S:
            self._show()

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        self._show()
        self.so_far.gpu_s = self.gpu_s

    def _end(self, trial: Any) -> None:
        row = self.log.read_trial(trial.config["key"])
        self._move(trial, row["status"])
        if row["status"] == "complete":
            self._take(row.get(f"val/{self.primary}"))

    def _move(self, trial: Any, state: str) -> None:
        self._count_gpu_seconds()
        key, share = trial.config["key"], trial.config["planned"].planned.share
        self.held.pop(key, None)
        if state == "running":
            self.held[key] = self.gpus if share is None else share.frac
        self.counts[self.states.get(key, state)] -= key in self.states
        self.counts[state] += 1
        self.states[key] = state

    def _count_gpu_seconds(self) -> None:
        now = self.now()
        self.gpu_s += sum(self.held.values()) * (now - self.counted_at)
        self.counted_at = now

    def _take_best_on_record(self) -> None:
        trials, column = self.log.trials(), f"val/{self.primary}"
        if column in trials:
            for value in trials.loc[trials["status"] == "complete", column]:
                self._take(value)

    def _take(self, value: float | None) -> None:
        """Validation, never test: a person who watches must not be able to stop on the test images."""
        if value is not None and math.isfinite(value):
            better = max if METRICS[self.primary].direction == "higher" else min
            self.best = float(value) if self.best is None else better(self.best, float(value))

    def _show(self) -> None:
        self.shown_at = now = self.now()
        self._count_gpu_seconds()
        while self.epochs and now - self.epochs[0] > WINDOW_S:
            self.epochs.popleft()
        for state in STATES:
            n_trials = self.n_pending() + self.so_far.n_later if state == "pending" else self.counts[state]
            self.gauges["foresight_trials"].set(n_trials, {"state": state})
        self.gauges["foresight_epochs_per_second"].set(len(self.epochs) / WINDOW_S)
        self.gauges["foresight_gpu_seconds"].set(self.gpu_s)
        if self.best is not None:
            self.gauges["foresight_best_objective"].set(self.best, {"metric": self.primary})
