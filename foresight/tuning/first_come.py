"""What Tune is told of which waiting trial to start: the first there is, as by default, but without looking at all trials."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler


def first_waiting(controller: Any) -> Trial | None:
    """A trial that waits. Tune's own schedulers look through every trial there ever was, several times a trial.

    Those that have not ended are at most as many as the slots.
    """
    return next((trial for trial in controller.get_live_trials() if trial.status == Trial.PENDING), None)


class FirstCome(FIFOScheduler):
    """Stops nothing."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        return first_waiting(tune_controller)


class FirstComeAsha(AsyncHyperBandScheduler):
    """Asynchronous successive halving."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        return first_waiting(tune_controller)
