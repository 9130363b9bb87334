"""Proposals: which trial a search runs next, and what its sampler is told. It knows the run log and Optuna, and no Ray.

A proposal has a number, and its trials, one a seed, are an arm named after it: `p007`, or `baseline` for number 0. The
manifest holds a trial before it runs, so the numbers of a run log say how far its search had come: on resuming each recorded
proposal is told again in the order of the numbers, and a number without one (its proposal was refused, or repeated another)
is asked for again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from foresight.config import TrialConfig
from foresight.errors import RequestError
from foresight.proposal_space import ProposalSpace
from foresight.space import BASELINE, PROPOSAL, Arm, Trial
from foresight.tuning.outcome import Outcome
from foresight.tuning.preflight import check_budgets
from foresight.tuning.recorded import Recorded, lacking, measured_by, outcome_elsewhere, outcome_of
from foresight.tuning.search import Objective, Search
from foresight.tuning.search_record import number_of
from foresight.tuning.search_study import SearchStudy
from foresight.tuning.warm_start import Told


@dataclass
class Block:
    """One proposal's trials, a seed each, and the rows of those that have ended."""

    number: int
    arm: Arm
    trials: list[Trial]
    asked: list[int] = field(default_factory=list)  # trials of the Optuna study that wait for its outcome
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    outcome: Outcome | None = None
    is_outside: bool = False  # of the space as it is declared now, which has no use for it


class Proposals:
    """A search between its sampler and what runs its trials: `next` gives a trial, `end` takes its row.

    `finished` are the rows of this run log that stand, by key; `plan` is called with a trial before it is given out, and
    `answer` may know the row of one that need not run. `may_propose` says whether there is time for another proposal, and
    `most_trials` how many may be given out.
    """

    def __init__(
        self,
        search: Search,
        space: ProposalSpace,
        objectives: Sequence[Objective],
        n_proposals: int,
        finished: Mapping[str, Mapping[str, Any]],
        plan: Callable[[Trial], None],
        answer: Callable[[Trial], Mapping[str, Any] | None] = lambda trial: None,
        may_propose: Callable[[int], bool] = lambda n_committed: True,
        most_trials: int | None = None,
    ):
        self.search, self.space, self.objectives, self.n_proposals = search, space, objectives, n_proposals
        self.finished, self.plan, self.answer, self.may_propose = finished, plan, answer, may_propose
        self.trials_left = most_trials
        self.study = SearchStudy(space, objectives, search.sampler, search.seed, search.proposals)
        self.blocks: dict[str, Block] = {}  # by arm_key, in the order of the numbers
        self.by_key: dict[str, Block] = {}
        self.open: dict[int, Block] = {}  # by number, without an outcome yet
        self.owed: set[str] = set()  # given out, by this command or an earlier one, and without a row
        self.waiting: deque[Trial] = deque()
        self.running: set[str] = set()
        self.next_number = 0
        self.refused: dict[int, str] = {}  # number to the config's sentence
        self.repeated: dict[int, int] = {}  # number to the one that it repeats
        self.without_trials: set[int] = set()  # both, those of earlier commands included
        self.stopped_early = False  # there was no time for all proposals

    # --- what is known before the first trial ------------------------------------------------------------------------

    def tell_known(self, arms: Mapping[str, Sequence[Recorded]]) -> Told:
        """Tells the sampler of the configurations of another run log that lie in this space: a warm start."""
        told, measured = Told(), measured_by(chain.from_iterable(arms.values()), self.objectives)
        for trials in arms.values():
            config, rows = trials[0].config, [trial.row for trial in trials]
            if self.space.why_outside(config):
                told.n_outside += 1
                continue
            outcome = outcome_elsewhere(rows, self.objectives, measured)
            if outcome is None:
                told.n_unmeasured += 1
                told.unmeasured |= {name for row in rows for name in lacking(row, self.objectives)}
            else:
                self.study.tell(self.study.add(self.space.params(config)), outcome)
                told.states[outcome.state] += 1
        return told

    def resume(self, recorded: Sequence[Trial], without_trials: Iterable[int] = ()) -> list[int]:
        """Tells what this run log holds, by its planned trials, and takes up what was begun.

        Returns the numbers whose configuration the space no longer holds: they stay in the log, and no sampler hears of them.
        A trial that was given out is owed a row, also where its proposal is decided by now or lies outside. Proposals
        `without_trials` were made and had nothing to run: asked again, now that more is known, they might.
        """
        self.without_trials = set(without_trials)
        configs = {number_of(trial.arm.name): trial.arm.config for trial in recorded}
        for number, config in sorted(configs.items()):
            self._add_block(number, config, is_outside=bool(self.space.why_outside(config)))
        self.owed = {trial.key for trial in recorded if trial.key in self.by_key and trial.key not in self.finished}
        for number in range(max([*configs, *self.without_trials], default=-1) + 1):
            self.next_number = number + 1
            if number in self.without_trials:
                continue
            if number not in configs:
                self._propose(number)
                continue
            block = self.blocks[configs[number].arm_key]
            if not block.is_outside:
                self._tell(block, self.study.add(self.space.params(configs[number])))
            self._queue(block)
        return [block.number for block in self.blocks.values() if block.is_outside]

    # --- one trial after the other -----------------------------------------------------------------------------------

    def next(self) -> Trial | None:
        """The next trial to run; None where there is none now, or none any more (`is_over`)."""
        while not self.waiting and self.next_number < self.n_proposals:
            if self.stopped_early or self.trials_left == 0 or not self.may_propose(self._n_committed):
                self.stopped_early = True
                return None
            self.next_number += 1
            self._propose(self.next_number - 1)
        if self.trials_left == 0 and self.waiting:
            self.waiting.clear()
            self.stopped_early = True
        if not self.waiting:
            return None
        if self.trials_left is not None:
            self.trials_left -= 1
        trial = self.waiting.popleft()
        self.running.add(trial.key)
        self.owed.add(trial.key)
        self.plan(trial)
        return trial

    @property
    def is_over(self) -> bool:
        """Whether `next` will never give another trial."""
        proposed = self.stopped_early or self.next_number >= self.n_proposals
        return proposed and not self.waiting and not self.running

    @property
    def n_left(self) -> int:
        """How many trials may still run, those that do included, if none of them fails or is stopped."""
        proposed = sum(len(block.trials) - len(block.rows) for block in self.open.values())
        proposed += sum(self.by_key[key].number not in self.open for key in self.owed)
        to_come = 0 if self.stopped_early else max(0, self.n_proposals - self.next_number)
        n_left = proposed + to_come * self.search.seeds
        return n_left if self.trials_left is None else min(n_left, self.trials_left + len(self.running))

    def end(self, key: str, row: Mapping[str, Any]) -> None:
        """Takes the row of a trial that has ended, whatever its status, and tells the sampler when its block has."""
        block = self.by_key[key]
        self.running.discard(key)
        self.owed.discard(key)
        block.rows[key] = row
        self._settle(block)
        self._queue(block)

    # --- inside ------------------------------------------------------------------------------------------------------

    @property
    def _n_committed(self) -> int:
        """Trials that the proposals made so far may still run."""
        return sum(len(block.trials) - len(block.rows) for block in self.open.values())

    def _propose(self, number: int) -> None:
        if number == 0:
            asked, params = self.study.add(at_baseline := self.space.params(self.space.baseline)), at_baseline
        else:
            asked, params = self.study.ask(number)
        try:
            config = self.space.config(params)
            check_budgets([config])
        except RequestError as error:
            self.refused[number] = str(error)
            self.without_trials.add(number)
            self.study.tell(asked, Outcome("failed"))
            return
        block = self.blocks.get(config.arm_key)
        if block is None:
            block = self._add_block(number, config)
        else:
            self.repeated[number] = block.number
            self.without_trials.add(number)
        self._tell(block, asked)
        self._queue(block)

    def _add_block(self, number: int, config: TrialConfig, is_outside: bool = False) -> Block:
        is_baseline = config.arm_key == self.space.baseline.arm_key
        name = f"p{number:03d}"
        arm = Arm(BASELINE, "", "", config) if is_baseline else Arm(name, PROPOSAL, name, config)
        first = self.space.baseline.seed
        trials = [Trial(arm, config.at_seed(seed)) for seed in range(first, first + self.search.seeds)]
        block = Block(number, arm, trials, is_outside=is_outside)
        block.rows = {trial.key: self.finished[trial.key] for trial in trials if trial.key in self.finished}
        self.blocks[config.arm_key] = block
        if not is_outside:
            self.open[number] = block
        self.by_key |= {trial.key: block for trial in trials}
        self._settle(block)
        return block

    def _tell(self, block: Block, asked: int) -> None:
        """Tells the outcome now, or when there is one."""
        if block.outcome is None:
            block.asked.append(asked)
        else:
            self.study.tell(asked, block.outcome)

    def _settle(self, block: Block) -> None:
        block.outcome = outcome_of(list(block.rows.values()), len(block.trials), self.objectives)
        if block.outcome is not None:
            for asked in block.asked:
                self.study.tell(asked, block.outcome)
            block.asked = []
            self.open.pop(block.number, None)
            # A proposal that has failed or was stopped at one seed is decided: its others would only cost.
            mine = {trial.key for trial in block.trials} - self.owed
            self.waiting = deque(trial for trial in self.waiting if trial.key not in mine)

    def _queue(self, block: Block) -> None:
        """Lets the trials of a block wait that may run now: with asha its first alone, until that one has come through."""
        is_held = False
        for trial in block.trials:
            is_wanted = block.number in self.open and not is_held
            if trial.key in block.rows or not (is_wanted or trial.key in self.owed):
                continue
            if trial.key not in self.running and trial not in self.waiting:
                known = self.answer(trial)
                if known is None:
                    self.waiting.append(trial)
                else:
                    self.owed.discard(trial.key)
                    block.rows[trial.key] = known
                    self._settle(block)
            is_held = is_held or (self.search.asha is not None and trial.key not in block.rows)
