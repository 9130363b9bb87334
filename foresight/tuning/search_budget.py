"""The budget of a search: whether another proposal may be made. What has begun is finished."""

import time

from foresight.runlog import RunLog
from foresight.tuning.budget import Budget, held_seconds, recorded_seconds
from foresight.tuning.sweep import Placement
from foresight.tuning.within_budget import BudgetMeter, Need


class SearchBudget:
    """Takes the pace of trials that run beside each other from one end to the next; `lack` says why the last was not made."""

    def __init__(self, budget: Budget, log: RunLog, placement: Placement, seeds: int):
        self.meter = BudgetMeter(budget, [log], whole="proposal")
        self.log, self.placement, self.seeds = log, placement, seeds
        self.n_ended, self.wall_s, self.last = 0, 0.0, time.monotonic()
        self.lack: str | None = None

    def begin(self) -> None:
        """The first trials begin: what went before is not their pace."""
        self.last = time.monotonic()

    def end_trial(self) -> None:
        now = time.monotonic()
        self.n_ended, self.wall_s, self.last = self.n_ended + 1, self.wall_s + now - self.last, now

    def may_propose(self) -> bool:
        """Whether a further proposal should end within; before the first trial nothing is known of their pace."""
        budget = self.meter.budget
        if not budget.is_limited:
            return True
        pace_s = self.wall_s / self.n_ended if self.n_ended else 0.0
        gpu_s = 0.0
        if budget.gpu_hours is not None or budget.money is not None:
            trials = self.log.trials()
            # The other slots hold trials that are not in the run log yet; of shared GPUs all do.
            n_beside = self.placement.slots - (0 if self.placement.pack else 1)
            if len(trials):
                gpu_s = n_beside * recorded_seconds(trials).mean() + self.seeds * held_seconds(trials).mean()
        need = Need(self.seeds * pace_s, gpu_s * (self.placement.trial_gpus or 1.0))
        self.lack = self.meter.lack(need, self.placement.gpus > 0)
        return self.lack is None
