"""A search that is played: its trials end at once with the values of a formula, and a dict is its run log."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.dimensions import Choice, FloatRange, IntRange
from foresight.proposal_space import ProposalSpace
from foresight.space import Trial
from foresight.tuning.proposals import Proposals
from foresight.tuning.recorded import Recorded
from foresight.tuning.search import Search
from foresight.tuning.warm_start import Told

CLAIM = Claim("An exploration.", "mask_iou", margin=0.02, alpha=0.05, seeds=5, exploratory=True)
SPACE = ProposalSpace(
    TrialConfig(),
    (
        Choice("fusion.strategy", ("cross_attention", "concat", "film")),
        Choice("fusion.heads", (None, 8), when={"fusion.strategy": ("cross_attention", "film")}),
        IntRange("fusion.layers", 1, 8),
        FloatRange("train.lr", 1e-4, 1e-1, log=True),
    ),
)
SEARCH = Search("played", "?", lambda scale: SPACE, CLAIM, proposals=30, seeds=2)


def formula(config: TrialConfig) -> float:
    """Best at film, 5 layers and a rate of 3e-3; each seed adds its own."""
    miss = (config.fusion.layers - 5) ** 2 / 50 + (math.log10(config.train.lr) + 2.5) ** 2 / 5
    return 0.9 - miss - 0.1 * (config.fusion.strategy != "film") + 0.01 * config.seed


def complete(trial: Trial) -> dict[str, Any]:
    value = formula(trial.config)
    return {"status": "complete", "val/mask_iou": value, "cost/params_trained": 1000.0 * trial.config.fusion.layers}


@dataclass
class Played:
    """The run log of a played search, which outlives the searches that write it."""

    end: Callable[[Trial], dict[str, Any]] = complete
    search: Search = SEARCH
    space: ProposalSpace = SPACE
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    manifest: list[Trial] = field(default_factory=list)  # in the order in which trials were given out
    ran: list[str] = field(default_factory=list)  # keys of the trials that were run, also when they died
    told: Told = field(default_factory=Told)  # by the last warm start
    outside: list[int] = field(default_factory=list)  # numbers of proposals that the space did not hold then

    def open(self, n_proposals: int, warm: Mapping[str, list[Recorded]] | None = None, **options: Any) -> Proposals:
        """What a new process makes of this run log."""
        without_trials = options.pop("without_trials", ())
        objectives = self.search.check(self.space)
        proposals = Proposals(
            self.search, self.space, objectives, n_proposals, dict(self.rows), plan=self._plan, **options
        )
        self.told = proposals.tell_known(warm or {})
        self.outside = proposals.resume(self.manifest, without_trials)
        return proposals

    def run(self, proposals: Proposals, slots: int = 1, killed_after: int | None = None) -> Proposals:
        """Runs trials, as many at a time as there are slots and the first of them ends first, until killed or over."""
        running: list[Trial] = []
        n_ended = 0
        while True:
            while len(running) < slots and (trial := proposals.next()) is not None:
                running.append(trial)
                self.ran.append(trial.key)
            if not running or n_ended == killed_after:
                return proposals
            trial = running.pop(0)
            self.rows[trial.key] = row = self.end(trial)
            proposals.end(trial.key, row)
            n_ended += 1

    def proposed(self) -> list[str]:
        """The configurations that were given out, by arm_key, each once."""
        return list(dict.fromkeys(trial.config.arm_key for trial in self.manifest))

    def _plan(self, trial: Trial) -> None:
        if trial.key not in {planned.key for planned in self.manifest}:
            self.manifest.append(trial)
