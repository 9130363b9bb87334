"""The budget of a search: whether another proposal may be made. What has begun is finished."""

import math
import time
from collections.abc import Sequence

from foresight.config import TrialConfig
from foresight.runlog import RunLog
from foresight.tuning.budget import Budget, held_seconds, recorded_seconds
from foresight.tuning.estimate import estimate_extraction
from foresight.tuning.sweep import Placement
from foresight.tuning.within_budget import BudgetMeter, Need


class SearchBudget:
    """Takes the pace of trials that run beside each other from one end to the next; `lack` says why the last was not made."""

    def __init__(self, budget: Budget, log: RunLog, placement: Placement, seeds: int, raced: bool = False):
        self.meter = BudgetMeter(budget, [log], whole="proposal")
        self.log, self.placement, self.seeds, self.raced = log, placement, seeds, raced
        self.n_ended, self.wall_s, self.last = 0, 0.0, time.monotonic()
        self.lack: str | None = None

    def may_compute(self, configs: Sequence[TrialConfig]) -> bool:
        """Whether what the cache lacks for these should end within, by the low end of an assumed speed."""
        features_s = estimate_extraction(configs, self.placement).low
        if not features_s or not self.meter.budget.is_limited:
            return True
        need = Need(features_s / self.placement.slots, features_s * (self.placement.trial_gpus or 1.0))
        self.lack = self.meter.lack(need, self.placement.gpus > 0, what="computing features")
        return self.lack is None

    def begin(self) -> None:
        """The first trials begin: what went before is not their pace."""
        self.last = time.monotonic()

    def end_trial(self) -> None:
        now = time.monotonic()
        self.n_ended, self.wall_s, self.last = self.n_ended + 1, self.wall_s + now - self.last, now

    def may_propose(self, n_committed: int = 0) -> bool:
        """Whether a further proposal should end within, beside the `n_committed` trials of proposals that are not done.

        Before the first trial of the run log has ended nothing is known of their time.
        """
        if not self.meter.budget.is_limited:
            return True
        trials = self.log.trials()
        each_s = held_s = 0.0
        if len(trials):
            each_s, held_s = float(recorded_seconds(trials).mean()), float(held_seconds(trials).mean())
        pace_s = self.wall_s / self.n_ended if self.n_ended else 0.0
        # As long as its own trials take, one after the other where a race decides after the first, or as its place in the queue.
        in_turn = self.seeds if self.raced else math.ceil(self.seeds / self.placement.slots)
        gpu_s = (n_committed + self.seeds) * held_s * (self.placement.trial_gpus or 1.0)
        self.lack = self.meter.lack(Need(max(self.seeds * pace_s, in_turn * each_s), gpu_s), self.placement.gpus > 0)
        return self.lack is None
