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

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit  # the t distribution alone; scipy.stats costs a second of start-up

from foresight.moderation import MODERATED, PAIRED, Array, choose_method, compute_moderated
from foresight.space import BASELINE

CONFIDENCE = 0.95  # of every interval that is shown
# Values that agree to this share of their size are the same value: what is left is rounding, not noise.
ROUNDING = 1e-12
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
EXACT = "exact"  # all differences of an arm are the same: nothing to test


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval; `low`, `high` and `p` are nan where there are too few values for them."""

    n: int
    mean: float
    low: float
    high: float
    p: float  # two-sided, of the mean being zero


def compute_estimate(values: Sequence[float], confidence: float = CONFIDENCE, scale: float = 0.0) -> Estimate:
    """Mean, two-sided t interval (mean +- t * sd / sqrt(n), n - 1 degrees of freedom) and p-value against zero.

    One value has no interval. Values that are all the same (to rounding of numbers as large as `scale`) have one of
    zero width: p is 1 when they are zero and 0 otherwise, the limits of the t-test as the spread vanishes.
    """
    x = np.asarray(values, dtype=float)
    n = len(x)
    if n == 0:
        return Estimate(0, math.nan, math.nan, math.nan, math.nan)
    mean = float(x.mean())
    if n == 1:
        return Estimate(1, mean, math.nan, math.nan, math.nan)
    rounding = ROUNDING * max(scale, float(np.abs(x).max()))
    if float(np.ptp(x)) <= rounding:
        mean = float(x[0]) if abs(x[0]) > rounding else 0.0
        return Estimate(n, mean, mean, mean, 1.0 if mean == 0.0 else 0.0)
    standard_error = float(x.std(ddof=1)) / math.sqrt(n)
    half_width = float(stdtrit(n - 1, 0.5 + confidence / 2)) * standard_error
    p = 2.0 * float(stdtr(n - 1, -abs(mean) / standard_error))
    return Estimate(n, mean, mean - half_width, mean + half_width, p)


def compute_noninferiority(differences: Sequence[float], margin: float, scale: float = 0.0) -> float:
    """One-sided p-value of the paired t-test that the mean difference is above minus `margin` (higher is better).

    nan with fewer than two values. Differences that are all the same have p 0 above minus the margin and 1 elsewhere.
    """
    estimate = compute_estimate(differences, scale=scale)
    if math.isnan(estimate.p):
        return math.nan
    if estimate.low == estimate.high:
        return 0.0 if estimate.mean > -margin else 1.0
    standard_error = float(np.std(differences, ddof=1)) / math.sqrt(estimate.n)
    return float(stdtr(estimate.n - 1, -(estimate.mean + margin) / standard_error))


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
    wide = values.pivot(index="seed", columns="arm", values="value")
    factor_of = dict(zip(values["arm"], values["factor"], strict=True))
    values_of = {str(arm): wide[arm].to_numpy(dtype=float) for arm in wide}
    baseline = values_of.pop(BASELINE, np.full(len(wide), np.nan))
    sign = 1 if higher_is_better else -1
    found = _compare_together(values_of, baseline, sign, margin)
    rows = []
    for arm, mine in ((arm, values_of[arm]) for arm in factor_of if arm != BASELINE):
        paired = ~np.isnan(mine) & ~np.isnan(baseline)
        row = found[arm] if arm in found else _compare_pair(mine[paired], baseline[paired], sign, margin)
        seeds = tuple(wide.index[paired].tolist())
        rows.append({"arm": arm, "factor": factor_of[arm], "n_pairs": len(seeds), "pair_seeds": seeds, **row})
    table = pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))
    enough = table["n_pairs"] >= least_pairs
    for name in ("p", "p_noninferior"):
        table[f"{name}_holm"] = compute_holm(table[name].where(enough).astype(float).tolist(), n_planned)
    return table


def _compare_together(
    values_of: dict[str, Array], baseline: Array, sign: int, margin: float
) -> dict[str, dict[str, object]]:
    """Arm to the numbers of its row, for the arms that can be compared by the moderated test: none or several.

    They have all the baseline's seeds. An arm that repeats the baseline, or differs from it by a constant, has the
    baseline's noise and none of its own: it would tell the prior about the baseline a second time, and is left out.
    """
    blocks = ~np.isnan(baseline)
    arms = [arm for arm, mine in values_of.items() if not np.isnan(mine[blocks]).any()]
    values_AS = np.array([values_of[arm][blocks] for arm in arms]).reshape(len(arms), int(blocks.sum()))
    change_AS = values_AS - baseline[blocks]
    rounding = ROUNDING * np.maximum(np.abs(values_AS), np.abs(change_AS)).max(-1, initial=0.0)
    own_noise = (change_AS.max(-1, initial=-np.inf) - change_AS.min(-1, initial=np.inf)) > rounding
    if choose_method(int(blocks.sum()), int(own_noise.sum())) != MODERATED:
        return {}
    test = compute_moderated(np.concatenate([baseline[None, blocks], values_AS[own_noise]]))
    half_width = stdtrit(test.degrees, 0.5 + CONFIDENCE / 2) * test.standard_error
    columns = {
        "difference": test.difference,
        "low": test.difference - half_width,
        "high": test.difference + half_width,
        "standard_error": test.standard_error,
        "degrees": test.degrees,
        "p": 2 * stdtr(test.degrees, -np.abs(test.difference) / test.standard_error),
        "p_noninferior": stdtr(test.degrees, -(sign * test.difference + margin) / test.standard_error),
    }
    rows = pd.DataFrame(columns).assign(method=MODERATED).to_dict("records")
    return dict(zip(np.array(arms)[own_noise].tolist(), rows, strict=True))


def _compare_pair(mine: Array, baseline: Array, sign: int, margin: float) -> dict[str, object]:
    """The numbers of one row by the paired t-test; differences that are all the same need none."""
    change = (mine - baseline).tolist()
    scale = float(np.abs(mine).max(initial=0.0))
    shown = compute_estimate(change, scale=scale)
    is_exact = shown.low == shown.high
    error = 0.0 if is_exact else float(np.std(change, ddof=1)) / math.sqrt(shown.n) if shown.n > 1 else math.nan
    return {
        "difference": shown.mean,
        "low": shown.low,
        "high": shown.high,
        "standard_error": error,
        "degrees": float(shown.n - 1) if shown.n > 1 else math.nan,
        "p": shown.p,
        "p_noninferior": compute_noninferiority([sign * d for d in change], margin, scale),
        "method": EXACT if is_exact else PAIRED if shown.n > 1 else "",
    }
