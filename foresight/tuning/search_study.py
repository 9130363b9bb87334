"""The in-memory Optuna study behind a search: asked for proposals, told what became of them. It is never stored.

Each proposal has a sampler of its own, seeded by the search's seed and the proposal's number, so a proposal depends on
these and on what has been told, and on nothing that dies with the process: a study told the same trials goes on alike.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import BaseTrial, TrialState

from foresight.dimensions import Choice, Dimension, IntRange
from foresight.proposal_space import ProposalSpace
from foresight.seeding import keyed_seed
from foresight.tuning.outcome import Outcome
from foresight.tuning.search import Objective, SamplerName

optuna.logging.set_verbosity(optuna.logging.WARNING)

# Of a seed and the size of a generation, which NSGA-II alone reads. TPE's constant liar takes proposals that still run for
# bad ones, so that several at once are spread out.
SAMPLERS: dict[SamplerName, Callable[[int, int], BaseSampler]] = {
    "tpe": lambda seed, population: TPESampler(seed=seed, constant_liar=True),
    "nsga2": lambda seed, population: NSGAIISampler(seed=seed, population_size=population),
    "random": lambda seed, population: RandomSampler(seed=seed),
}
GENERATIONS = 5  # of NSGA-II, within the declared proposals, and at most of optuna's 50 each
LEAST_POPULATION, MOST_POPULATION = 4, 50


class SearchStudy:
    """Optuna's ask and tell over a ProposalSpace. Trials are told by the number that `ask` gave."""

    def __init__(
        self, space: ProposalSpace, objectives: Sequence[Objective], sampler: SamplerName, seed: int, n_declared: int
    ):
        self.space, self.sampler, self.seed = space, sampler, seed
        self.population = min(MOST_POPULATION, max(LEAST_POPULATION, n_declared // GENERATIONS))
        directions: list[Literal["minimize", "maximize"]] = [
            "maximize" if objective.higher else "minimize" for objective in objectives
        ]
        self.shared = IntersectionSearchSpace(include_pruned=True)
        self.study = optuna.create_study(directions=directions, sampler=self._sampler(0))
        self.live: dict[int, optuna.Trial] = {}  # asked and not yet told

    def ask(self, number: int) -> tuple[int, dict[str, Any]]:
        """Proposal `number` of the search: the trial to tell, and the values of its proposed fields."""
        self.study.sampler = self._sampler(number)
        return self._ask()

    def add(self, params: Mapping[str, Any]) -> int:
        """A trial of known values, as of an earlier run. Returns the trial to tell."""
        # NSGA-II notes the generation of each trial that it sees, so it must see this one; the others need not think here.
        base = self._sampler(0) if self.sampler == "nsga2" else RandomSampler(seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.sampler = PartialFixedSampler(dict(params), base)
        return self._ask()[0]

    def tell(self, trial: int, outcome: Outcome) -> None:
        """Ends a trial.

        A stopped one is told as pruned at the epoch it reached: its value cannot be set beside those of full trainings, so
        optuna ranks it below all of them and, among its like, first by how far it came (`_split_trials` of TPE).
        """
        if outcome.state == "complete":
            self.study.tell(trial, outcome.values)
        elif outcome.state == "failed":
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            if len(outcome.values) == 1:  # of several objectives optuna takes no value before the end
                self.live[trial].report(outcome.values[0], step=outcome.epoch)
            self.study.tell(trial, state=TrialState.PRUNED)
        del self.live[trial]

    def _ask(self) -> tuple[int, dict[str, Any]]:
        trial = self.study.ask()
        params: dict[str, Any] = {}
        for dimension in self.space.ordered:
            if self.space.is_proposed(dimension, params):
                params[dimension.field] = suggest(trial, dimension)
        self.live[trial.number] = trial
        return trial.number, params

    def _sampler(self, number: int) -> BaseSampler:
        seed = keyed_seed(self.seed, "proposal", str(number)) % 2**32
        sampler = SAMPLERS[self.sampler](seed, self.population)
        if isinstance(sampler, TPESampler):
            # What all trials have in common is found trial by trial: each sampler goes on where the one before it was.
            sampler._search_space = self.shared
        return sampler


def suggest(trial: BaseTrial, dimension: Dimension) -> Any:
    """A value of a dimension."""
    field = dimension.field
    if isinstance(dimension, Choice):
        return trial.suggest_categorical(field, dimension.values)
    if isinstance(dimension, IntRange):
        return trial.suggest_int(field, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
    return trial.suggest_float(field, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
