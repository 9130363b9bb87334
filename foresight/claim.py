"""The claim: what a sweep sets out to show, fixed and hashed before its first trial.

A claim that could be changed after looking at the numbers would be worth nothing, so a run directory belongs to one
claim, and analysis judges by the stored one. What has to change all the same is an amendment (`foresight.amendment`).
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from foresight.config import HELDOUT_SETS
from foresight.errors import RequestError, nearest_name
from foresight.metrics import METRICS, RELATIVE_METRICS
from foresight.space import BASELINE
from foresight.spending import Look, Spending, plan_looks

LEAST_SEEDS = 3  # below that no claim gives a verdict, whatever number it registers
OPTIONAL_PARTS = ("reference", "judged", "spending", "exploratory")


@dataclass(frozen=True)
class Criterion:
    """Levels that a test metric is held against, in the metric's own direction (see METRICS).

    `on` is a further set that the trials are measured on, by its name; without one it is the test split.
    """

    metric: str
    target: float
    acceptable: float
    failure: float
    on: str = ""


@dataclass(frozen=True)
class Claim:
    """`margin` is the largest loss of the primary metric that still counts as no loss; `seeds` the least for a verdict.

    `reference` is the arm that relative metrics compare with; without one there are none. All criteria are judged on one
    arm, so that no gate is passed by the best numbers of several: the first of `judged` that the study has (a level that
    is a size differs between scales, and so does the arm's name), or the baseline. `power` is the chance of a verdict at
    which the number of further seeds is given for an undecided arm.

    With `spending` arms are looked at at several numbers of seeds, the first of them `seeds`; without it at `seeds` alone.
    An `exploratory` claim gives no verdicts: its arms were proposed by what earlier ones scored, or another study chooses
    one of them by its validation loss.
    """

    statement: str
    primary: str
    margin: float
    alpha: float
    seeds: int
    criteria: tuple[Criterion, ...] = ()
    reference: str = ""
    judged: tuple[str, ...] = ()
    power: float = 0.8
    spending: Spending | None = None
    exploratory: bool = False

    def check(self) -> None:
        """Raises RequestError for an unknown metric or levels that are not in order."""
        for name in (self.primary, *(c.metric for c in self.criteria)):
            if name not in METRICS:
                raise RequestError(
                    f"the claim names an unknown metric '{name}'{nearest_name(name, METRICS)}; known: {', '.join(METRICS)}"
                )
        if self.primary in RELATIVE_METRICS:
            raise RequestError(
                f"the primary metric is compared with the baseline's, so it cannot be '{self.primary}', which is relative "
                "to a reference already; make it a criterion"
            )
        relative = [c.metric for c in self.criteria if c.metric in RELATIVE_METRICS]
        if relative and not self.reference:
            raise RequestError(f"the criterion on '{relative[0]}' needs the claim to name its reference arm")
        if not (0 < self.alpha < 0.5 and 0 < self.margin < math.inf and self.seeds >= 2 and self.seeds % 1 == 0):
            raise RequestError(
                "a claim needs 0 < alpha < 0.5, a finite margin > 0 and a whole number of seeds >= 2, got "
                f"{self.alpha}, {self.margin}, {self.seeds}"
            )
        if not 0 < self.power < 1:
            raise RequestError(f"a claim's power is a chance between 0 and 1, such as 0.8, got {self.power}")
        if self.exploratory and (self.criteria or self.spending is not None):
            raise RequestError("an exploratory claim gives no verdicts, so it has neither criteria nor looks")
        self._check_spending()
        named = [(c.metric, c.on) for c in self.criteria]
        for c in self.criteria:
            if named.count((c.metric, c.on)) > 1:
                where = f" on '{c.on}'" if c.on else ""
                raise RequestError(f"the claim has two criteria on '{c.metric}'{where}; keep one of them")
            if c.on and c.on not in HELDOUT_SETS:
                raise RequestError(
                    f"the criterion on '{c.metric}' names an unknown set '{c.on}'{nearest_name(c.on, HELDOUT_SETS)}; known: "
                    f"{', '.join(HELDOUT_SETS)}"
                )
            levels = (c.target, c.acceptable, c.failure)
            low, high = METRICS[c.metric].low, METRICS[c.metric].high
            if not all(low <= level <= high and math.isfinite(level) for level in levels):
                raise RequestError(
                    f"'{c.metric}': target, acceptable and failure must be numbers in [{low:g}, {high:g}], the metric's range, "
                    f"got {levels}"
                )
            descending = METRICS[c.metric].direction == "higher"
            if list(levels) != sorted(levels, reverse=descending):
                raise RequestError(
                    f"'{c.metric}': target, acceptable and failure must go from best to worst, got {levels}"
                )

    def _check_spending(self) -> None:
        if self.spending is None:
            return
        self.spending.check()
        if self.spending.looks[0] != self.seeds:
            raise RequestError(
                f"the claim gives no verdict below {self.seeds} seeds, so its first look is there and not at "
                f"{self.spending.looks[0]}; change one of the two"
            )

    def check_arms(self, arms: Sequence[str]) -> None:
        """Raises RequestError when the study lacks an arm that the claim names, or judges the reference against itself."""
        if self.reference and self.reference not in arms:
            hint = nearest_name(self.reference, arms)
            raise RequestError(
                f"the claim's reference '{self.reference}' is no arm of the study{hint}; its arms are {', '.join(arms)}"
            )
        judged = self.judged_arm(arms)
        relative = [c.metric for c in self.criteria if c.metric in RELATIVE_METRICS]
        if relative and judged == self.reference:
            raise RequestError(
                f"the criterion on '{relative[0]}' would judge the reference '{judged}' against itself; "
                "name another arm in 'judged'"
            )

    @property
    def verdict_seeds(self) -> int:
        """The seeds that a verdict needs."""
        return max(self.seeds, LEAST_SEEDS)

    def looks(self) -> tuple[Look, ...]:
        """Where arms are judged, and at which level: one look at `seeds` and alpha, or those of `spending`."""
        if self.spending is None:
            return (Look(1, self.seeds, self.alpha, self.alpha),)
        return plan_looks(self.spending, self.alpha)

    def judged_arm(self, arms: Sequence[str]) -> str:
        """The arm that all criteria are judged on. Raises RequestError when the study has none of those named."""
        found = [arm for arm in self.judged or (BASELINE,) if arm in arms or not self.judged]
        if not found:
            raise RequestError(
                f"the claim is judged on {' or '.join(map(repr, self.judged))}, which is no arm of the study; "
                f"its arms are {', '.join(arms)}"
            )
        return found[0]

    def to_json(self) -> dict[str, Any]:
        """A plain tree for sweep.json.

        What is not named (a reference, a judged arm, a criterion's further set, another power, looks) is left out: claims
        without it keep the hashes that run logs hold.
        """
        tree = json.loads(json.dumps(asdict(self)))
        for criterion in tree["criteria"]:
            if not criterion["on"]:
                del criterion["on"]
        if self.power == Claim.power:
            del tree["power"]
        return {name: value for name, value in tree.items() if value or name not in OPTIONAL_PARTS}

    @property
    def hash(self) -> str:
        """16 hex digits over the whole claim."""
        return hash_claim(self.to_json())


def hash_claim(tree: Mapping[str, Any]) -> str:
    """The hash of a claim as `Claim.to_json` writes it: what sweep.json and every trial hold."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]
