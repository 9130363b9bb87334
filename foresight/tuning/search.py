"""Search: everything a search's script declares. Nothing here imports ray or optuna, so a search is listed in a second."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from foresight.claim import Claim
from foresight.errors import RequestError, nearest_name
from foresight.metrics import METRICS
from foresight.proposal_space import ProposalSpace
from foresight.runlog import TRIAL_COLUMNS
from foresight.tuning.budget import Budget

# `tpe` is for one objective or several (MOTPE is optuna's TPE now), `nsga2` for several, `random` to hold both against.
SamplerName = Literal["tpe", "nsga2", "random"]
# What a task measures on validation images after every epoch, of what can be compared between any two trials.
VALIDATED = {
    "reconstruction": ("mask_iou",),
    "probe": ("probe_box_iou",),
    "detection": ("map", "map_50", "map_75"),
}
LOSS = "loss"  # the validation loss
COSTS = tuple(name.removeprefix("cost/") for name in TRIAL_COLUMNS if name.startswith("cost/"))


@dataclass(frozen=True)
class Objective:
    """What a search improves: its name, the column of the run log, and which way is better."""

    name: str
    column: str
    higher: bool


@dataclass(frozen=True)
class Asha:
    """Asynchronous successive halving (Li et al. 2018): at each rung all but the best 1/`reduction` are stopped.

    Rungs are in epochs: `first_rung`, and each further one `reduction` times the one before.
    """

    first_rung: int
    reduction: int = 3

    def rungs(self, epochs: int) -> Iterator[int]:
        """The epochs after which a training of so many may be stopped: not the last, where nothing is left to save."""
        rung = self.first_rung
        while rung < epochs:
            yield rung
            rung *= self.reduction


@dataclass(frozen=True)
class Search:
    """A search: its name (the stem of its files), question, space, claim, and how many proposals at how many seeds.

    Objectives are metrics on validation images, the validation loss or costs; never a test metric. `seed` is the
    sampler's.
    """

    name: str
    question: str
    space: Callable[[str], ProposalSpace]  # scale -> space
    claim: Claim
    objectives: tuple[str, ...] = ("mask_iou",)
    sampler: SamplerName = "tpe"
    proposals: int = 40
    seeds: int = 2
    asha: Asha | None = None
    seed: int = 0
    budget: Budget | None = None  # where a command stops by itself, unless flags say otherwise

    def check(self, space: ProposalSpace) -> tuple[Objective, ...]:
        """The objectives. Raises RequestError for a search that cannot be made, or that could pass for a verdict."""
        self.claim.check()
        space.check()
        if not self.claim.exploratory:
            raise RequestError(
                f"'{self.name}' is a search, so its claim must say exploratory=True: it gives no verdicts"
            )
        if not 1 <= self.seeds < self.claim.seeds or self.proposals < 1:
            raise RequestError(
                f"a search needs at least one proposal and one seed, and fewer seeds a proposal than the {self.claim.seeds} "
                f"that its claim asks of a verdict, got {self.proposals} proposals at {self.seeds} seeds"
            )
        if self.sampler not in get_args(SamplerName):
            known = get_args(SamplerName)
            raise RequestError(
                f"unknown sampler '{self.sampler}'{nearest_name(self.sampler, known)}; known: {', '.join(known)}"
            )
        objectives = tuple(self._objective(name, space) for name in self.objectives)
        if not objectives or len(set(self.objectives)) < len(objectives):
            raise RequestError(f"a search needs one objective or several different ones, got {list(self.objectives)}")
        self._check_asha(space)
        return objectives

    @property
    def alone(self) -> bool:
        """Whether one trial runs at a time: what is measured is time."""
        return "latency_ms" in self.objectives

    def _objective(self, name: str, space: ProposalSpace) -> Objective:
        task = space.baseline.task
        metrics = VALIDATED.get(task, ())
        if name in COSTS:
            return Objective(name, f"cost/{name}", higher=False)
        if name == LOSS:
            varied = [d.field for d in space.dimensions if d.field.startswith("loss.")]
            if varied:
                raise RequestError(
                    f"the search varies '{varied[0]}', and values of two losses cannot be compared; choose a metric"
                )
            return Objective(name, "val/loss", higher=False)
        if name not in metrics:
            known = (*metrics, LOSS, *COSTS)
            why = f", which task '{task}' does not measure on validation images" if name in METRICS else ""
            raise RequestError(f"no objective '{name}'{why}{nearest_name(name, known)}; known: {', '.join(known)}")
        return Objective(name, f"val/{name}", METRICS[name].direction == "higher")

    def _check_asha(self, space: ProposalSpace) -> None:
        if self.asha is None:
            return
        if len(self.objectives) > 1 or self.objectives[0] in COSTS:
            raise RequestError(
                "trials are stopped by one objective that every epoch measures; leave out asha, or choose a metric or the loss"
            )
        if any(dimension.field == "train.epochs" for dimension in space.dimensions):
            raise RequestError(
                "with asha 'train.epochs' cannot vary: one epoch must be the same share of every training"
            )
        if self.asha.first_rung < 1 or self.asha.reduction < 2:
            raise RequestError(
                f"asha needs a first rung of 1 epoch or more and a reduction of 2 or more, got {self.asha}"
            )
        if not list(self.asha.rungs(space.baseline.train.epochs)):
            raise RequestError(
                f"the first rung, {self.asha.first_rung} epochs, is not before the end of a training of "
                f"{space.baseline.train.epochs}"
            )
