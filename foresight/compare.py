"""Statistics over seeds: an interval on a mean, differences from the baseline paired by seed, and Holm's adjustment.

In: one value per arm and seed. Out: one row per arm. Pure functions of numbers: nothing here reads a file.

Which test: arms that have all the baseline's seeds are compared by the moderated Welch test of `foresight/moderation.py`
(Smyth 2004), or by the paired t-test where there are too few seeds or arms for it; any other arm by the paired t-test on
the seeds it shares. Interval, p-value and non-inferiority of an arm always come from one statistic, named in `method`.
Why one family: all arms share one baseline, so a baseline that is low by chance lifts the arms of every factor at
once. Adjusted per factor, 14 arms without any effect gave a false verdict in one study of five; over all arms, 0.05.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit  # the t distribution alone; scipy.stats costs a second of start-up

from foresight.estimates import CONFIDENCE, ROUNDING, Estimates, compute_estimates
from foresight.moderation import MODERATED, PAIRED, Array, choose_method, compute_moderated
from foresight.space import BASELINE

DIFFERENCE_COLUMNS = (
    "arm",
    "factor",
    "n_pairs",
    "pair_seeds",
    "difference",
    "low",
    "high",
    "standard_error",
    "degrees",
    "p",
    "p_holm",
    "p_noninferior",
    "p_noninferior_holm",
    "method",
)
EXACT = "exact"  # all differences of an arm are the same: a sign test, as they show no noise


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval; `low`, `high` and `p` are nan where there are too few values for them."""

    n: int
    mean: float
    low: float
    high: float
    p: float  # two-sided, of the mean being zero


def compute_estimate(values: Sequence[float], confidence: float = CONFIDENCE, scale: float = 0.0) -> Estimate:
    """As `compute_estimates`, of one row."""
    found = compute_estimates([values], confidence, scale)
    return Estimate(int(found.n[0]), *(float(column[0]) for column in (found.mean, found.low, found.high, found.p)))


def compute_noninferiority(differences: Sequence[float], margin: float, scale: float = 0.0) -> float:
    """One-sided p-value of the paired t-test that the mean difference is above minus `margin` (higher is better).

    nan with fewer than two values. Of differences that are all the same, p is that of the sign test, 2^-n, above minus the
    margin and 1 elsewhere; it is 0 where they are all zero, as then the two are one.
    """
    return float(_noninferiority(compute_estimates([differences], scale=scale), margin, 1)[0])


def _noninferiority(found: Estimates, margin: float, sign: int) -> Array:
    """As `compute_noninferiority`, by row; `sign` is 1 where higher is better and -1 where lower is."""
    above = sign * found.mean + margin
    error = np.where(found.standard_error > 0, found.standard_error, 1.0)
    p = stdtr(np.maximum(found.n - 1, 1), -above / error)
    exact = np.where(above <= 0, 1.0, np.where(found.mean == 0, 0.0, 0.5**found.n))
    return np.where(found.low == found.high, exact, np.where(found.n > 1, p, np.nan))


def compute_holm(p_values: Sequence[float], n_planned: int = 0) -> list[float]:
    """Holm's step-down adjustment (Holm 1979): p_(i) * (m - i + 1), made monotone and cut at 1, in the given order.

    m is the number of p-values, or `n_planned` if that is larger: comparisons not finished yet still count, so a
    verdict cannot be had by leaving arms out. A nan stays nan.
    """
    known = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    m = max(n_planned, len(known))
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(known, key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def compute_differences(
    values: pd.DataFrame, higher_is_better: bool, margin: float, n_planned: int, least_pairs: int = 2
) -> pd.DataFrame:
    """Arm minus baseline, paired by seed, for every arm but the baseline.

    `values` has the columns arm, factor, seed, value. Only seeds that both arms have enter. `difference`, `low`, `high`
    are in the metric's own direction. `p` is two-sided, of no difference; `p_noninferior` one-sided, of a loss of
    `margin` or more. Each is adjusted by Holm over all arms, one family of the `n_planned` comparisons of the study;
    arms with fewer than `least_pairs` pairs count in its size and have no adjusted p-value.
    """
    wide = values.pivot(index="arm", columns="seed", values="value")
    factor_of = dict(zip(values["arm"], values["factor"], strict=True))
    arms = [arm for arm in factor_of if arm != BASELINE]
    values_AS = wide.reindex([BASELINE, *arms]).to_numpy(dtype=float)
    paired_AS = ~np.isnan(values_AS[1:]) & ~np.isnan(values_AS[0])
    sign, seeds = 1 if higher_is_better else -1, wide.columns.to_numpy()
    columns = {
        "arm": arms,
        "factor": [factor_of[arm] for arm in arms],
        "n_pairs": paired_AS.sum(-1),
        "pair_seeds": [tuple(seeds[paired].tolist()) for paired in paired_AS],
        **_compare_pairs(values_AS, sign, margin),
    }
    together, moderated = _compare_together(values_AS, sign, margin)
    for name, column in moderated.items():
        columns[name][together] = column
    table = pd.DataFrame(columns, columns=list(DIFFERENCE_COLUMNS))
    enough = table["n_pairs"] >= least_pairs
    for name in ("p", "p_noninferior"):
        table[f"{name}_holm"] = compute_holm(table[name].where(enough).astype(float).tolist(), n_planned)
    return table


def _compare_pairs(values_AS: Array, sign: int, margin: float) -> dict[str, Any]:
    """Columns of every arm but the baseline, which comes first, by the paired t-test on the seeds that both have."""
    change_AS = values_AS[1:] - values_AS[0]
    mine_AS = np.where(np.isnan(change_AS), 0.0, values_AS[1:])
    found = compute_estimates(change_AS, scale=np.abs(mine_AS).max(-1, initial=0.0))
    several = found.n > 1
    return {
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "standard_error": found.standard_error,
        "degrees": np.where(several, found.n - 1.0, np.nan),
        "p": found.p,
        "p_noninferior": _noninferiority(found, margin, sign),
        "method": np.where(found.low == found.high, EXACT, np.where(several, PAIRED, "")).astype(object),
    }


def _compare_together(values_AS: Array, sign: int, margin: float) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """Which arms but the baseline are compared by the moderated test, none or several, and their columns.

    They have all the baseline's seeds. An arm that repeats the baseline has the baseline's noise and none of its own: it
    would tell the prior about the baseline a second time, and is left out. One that differs from it by the same amount at
    every seed stays, as in a metric that moves in steps such agreement is chance.
    """
    shared_AS = values_AS[:, ~np.isnan(values_AS[0])]
    change_AS = shared_AS[1:] - shared_AS[0]
    rounding = ROUNDING * np.maximum(np.abs(shared_AS[1:]), np.abs(change_AS)).max(-1, initial=0.0)
    # A seed that an arm lacks is nan, and nothing is more than nan: such an arm is left out as well.
    together = np.abs(change_AS).max(-1, initial=0.0) > rounding
    varies = (change_AS.max(-1, initial=-np.inf) - change_AS.min(-1, initial=np.inf)) > rounding
    if not (together & varies).any() or choose_method(shared_AS.shape[-1], int(together.sum())) != MODERATED:
        return np.zeros(len(together), dtype=bool), {}
    test = compute_moderated(shared_AS[[True, *together]])
    half_width = stdtrit(test.degrees, 0.5 + CONFIDENCE / 2) * test.standard_error
    return together, {
        "difference": test.difference,
        "low": test.difference - half_width,
        "high": test.difference + half_width,
        "standard_error": test.standard_error,
        "degrees": test.degrees,
        "p": 2 * stdtr(test.degrees, -np.abs(test.difference) / test.standard_error),
        "p_noninferior": stdtr(test.degrees, -(sign * test.difference + margin) / test.standard_error),
        "method": MODERATED,
    }
