"""How many more seeds would decide an undecided arm: power of the same test at more seeds, by the noncentral t distribution.

The difference is taken as it was found, and so is the noise of a seed. Both are estimates, so the number is a guide for
planning and no promise: an effect that was found by chance shrinks when more seeds come in.
"""

import bisect
import math
from typing import Any

import numpy as np
from scipy.special import nctdtr, stdtrit

MOST_FURTHER_SEEDS = 100  # beyond that, more seeds are no plan


def compute_more_seeds(
    difference: float,
    standard_error: float,
    degrees: float,
    n_seeds: int,
    margin: float,
    level: float,
    noninferior_level: float,
    power: float,
) -> float:
    """Seeds beyond `n_seeds` at which `better`, `worse` or `non-inferior` has at least the chance `power`.

    `difference` is positive where the arm is better. `level` is that of the two-sided test of no difference and
    `noninferior_level` that of the one-sided test of a loss of `margin`, each after its adjustment for the other arms.
    Each further seed brings one degree of freedom. Infinite where MOST_FURTHER_SEEDS are not enough.
    """

    def decides(further: int) -> bool:
        if standard_error == 0:  # the same difference at every seed: a sign test, which needs its number of seeds alone
            one_sided = 0.5 ** (n_seeds + further)
            differs = difference != 0 and 2 * one_sided <= level
            return differs or (difference + margin > 0 and one_sided <= noninferior_level)
        error = standard_error * math.sqrt(n_seeds / (n_seeds + further))
        differs = upper_power(abs(difference) / error, degrees + further, level / 2)
        noninferior = upper_power((difference + margin) / error, degrees + further, noninferior_level)
        return bool(max(differs, noninferior) >= power)

    # Power grows with the seeds, so the least number that is enough is found by halving.
    enough = bisect.bisect_left(range(1, MOST_FURTHER_SEEDS + 1), True, key=decides) + 1
    return float(enough) if enough <= MOST_FURTHER_SEEDS else math.inf


def upper_power(noncentrality: Any, degrees: Any, level: float) -> Any:
    """Chance that a t statistic exceeds the upper critical value of a one-sided `level`; 0 on the wrong side."""
    shift = np.maximum(noncentrality, 0.0)
    return np.where(noncentrality > 0, 1 - nctdtr(degrees, shift, stdtrit(degrees, 1 - level)), 0.0)
