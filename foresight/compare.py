"""Statistics over seeds: an interval on a mean, differences from the baseline paired by seed, and Holm's adjustment.

In: one value per arm and seed. Out: one row per arm. Pure functions of numbers: nothing here reads a file.

Which test is said in `foresight.contrasts`. Interval, p-value and non-inferiority of an arm always come from one statistic,
named in `method`.
Why one family: all arms share one baseline, so a baseline that is low by chance lifts the arms of every factor at
once. Adjusted per factor, 14 arms without any effect gave a false verdict in one study of five; over all arms, 0.05.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foresight.contrasts import compute_contrasts
from foresight.estimates import CONFIDENCE, compute_estimates
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
    factors = values.drop_duplicates("arm")
    factor_of = dict(zip(factors["arm"], factors["factor"], strict=True))
    arms = [arm for arm in factor_of if arm != BASELINE]
    values_AS = wide.reindex([BASELINE, *arms]).to_numpy(dtype=float)
    paired_AS = ~np.isnan(values_AS[1:]) & ~np.isnan(values_AS[0])
    seeds, found = wide.columns.to_numpy(), compute_contrasts(values_AS)
    low, high = found.interval()
    columns = {
        "arm": arms,
        "factor": [factor_of[arm] for arm in arms],
        "n_pairs": found.n_pairs,
        "pair_seeds": [tuple(seeds[paired].tolist()) for paired in paired_AS],
        "difference": found.difference,
        "low": low,
        "high": high,
        "standard_error": found.standard_error,
        "degrees": found.degrees,
        "p": found.compute_p(),
        "p_noninferior": found.compute_p_noninferior(margin, 1 if higher_is_better else -1),
        "method": found.method,
    }
    table = pd.DataFrame(columns, columns=list(DIFFERENCE_COLUMNS))
    enough = table["n_pairs"] >= least_pairs
    for name in ("p", "p_noninferior"):
        table[f"{name}_holm"] = compute_holm(table[name].where(enough).astype(float).tolist(), n_planned)
    return table
