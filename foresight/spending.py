"""Alpha spending: at which numbers of seeds a claim may be looked at, and how much of its error rate each look may use.

Looking after every seed at the full alpha finds a difference where there is none in one study of five. A claim that
wants to look early says before its first trial at which numbers of seeds, and a spending function (Lan and DeMets,
Biometrika 1983) says how much of alpha is gone by then. What each look adds is its own level: a false verdict at look k
has at most that probability, and over all looks at most alpha, whatever the noise and however the looks hang together.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

from foresight.errors import RequestError, nearest_name


@dataclass(frozen=True)
class Spending:
    """`rule` is a line of SPENDING_RULES; `looks` the numbers of seeds to look at, the last the most that may be run."""

    rule: str
    looks: tuple[int, ...]

    def check(self) -> None:
        """Raises RequestError for an unknown rule, or looks that are not rising numbers of at least 2 seeds."""
        if self.rule not in SPENDING_RULES:
            hint = nearest_name(self.rule, SPENDING_RULES)
            raise RequestError(f"unknown spending rule '{self.rule}'{hint}; known: {', '.join(SPENDING_RULES)}")
        if not self.looks or self.looks[0] < 2 or any(b <= a for a, b in zip(self.looks, self.looks[1:], strict=False)):
            raise RequestError(f"the looks of a claim are rising numbers of at least 2 seeds, not {list(self.looks)}")


@dataclass(frozen=True)
class Look:
    """The `number`-th look, from 1, at the first `n_seeds` blocks. Its verdicts are judged at `level`."""

    number: int
    n_seeds: int
    level: float
    spent: float  # of alpha, by this look and those before


def plan_looks(spending: Spending, alpha: float) -> tuple[Look, ...]:
    """Every look with its level: what the rule has let be spent by then, less what the looks before have spent.

    Levels add up to alpha. Boundaries that reckon with how looks correlate (Jennison and Turnbull 1999, chapter 11) gained
    at most four points of power in simulations of five to twenty seeds, hold for normal noise alone, and were over alpha in
    cells where these were not; `python -m benchmarks.spending` prints what these keep and save.
    """
    spend, n_last = SPENDING_RULES[spending.rule], spending.looks[-1]
    looks: list[Look] = []
    for number, n_seeds in enumerate(spending.looks, start=1):
        spent = alpha if n_seeds == n_last else spend(n_seeds / n_last, alpha, number / len(spending.looks))
        before = looks[-1].spent if looks else 0.0
        looks.append(Look(number, n_seeds, spent - before, spent))
    return tuple(looks)


def spend_obrien_fleming(information: float, alpha: float, share: float) -> float:
    """2 - 2 Phi(z_(1 - alpha/2) / sqrt(t)) at the share t of the seeds: next to nothing early, nearly all at the end."""
    normal = NormalDist()
    return 2.0 * normal.cdf(normal.inv_cdf(alpha / 2.0) / math.sqrt(information))  # of the lower tail: no cancellation


def spend_pocock(information: float, alpha: float, share: float) -> float:
    """alpha ln(1 + (e - 1) t) at the share t of the seeds: about as much at every look of equal size."""
    return alpha * math.log1p((math.e - 1.0) * information)


def spend_equal(information: float, alpha: float, share: float) -> float:
    """The same at each look, however many seeds it adds: alpha times the share of the looks."""
    return alpha * share


# (share of the seeds, alpha, share of the looks) -> alpha that may be spent by then
SPENDING_RULES: Mapping[str, Callable[[float, float, float], float]] = {
    "obrien_fleming": spend_obrien_fleming,
    "pocock": spend_pocock,
    "equal": spend_equal,
}
