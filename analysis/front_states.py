"""The three states of an arm, on the front, dominated or ambiguous, by one-sided tests between pairs of arms.

In: values [n_seeds, n_points, n_objectives] at the same seeds and, where an objective was measured once per point, the
standard deviation of that measurement [n_points, n_objectives]. Out: p-values.

Draws of the means (`analysis.resampling`) say how likely a point is on the front. They are too few for the tail that counts
where one of hundreds of arms was picked, and a point that is worse than its rival by a hair in two noisy objectives is
better in one of them in 95 % of the draws in one study of four. So what is called sure is tested in each pair and
objective: by the paired t-test, whose distribution the draws have. `python -m benchmarks.chosen` counts the errors.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, stdtr

from foresight.estimates import compute_moments

SURE = 0.95
ON_FRONT, DOMINATED, AMBIGUOUS = "on the front", "dominated", "ambiguous"


def decide_state(p_front: float, p_not_apart: float, p_not_dominated: float, n_rivals: int) -> str:
    """`on the front`, `dominated` or `ambiguous`.

    In: the share of draws on the front, the p-values of the two functions below, and how many points might have been the
    one that dominates (Bonferroni over them, since it was picked).
    """
    if p_front >= SURE and p_not_apart <= 1 - SURE:
        return ON_FRONT
    return DOMINATED if p_not_dominated * max(1, n_rivals) <= 1 - SURE else AMBIGUOUS


def compute_p_not_dominated(
    values: np.ndarray, spread: np.ndarray, maximise: Sequence[bool], by: np.ndarray
) -> np.ndarray:
    """For each point the p-value of not being dominated by the point `by` [n_points] names; 1 where that is -1.

    A point that dominates is no worse in every objective, each shown by itself (an intersection-union test, Berger 1982).
    """
    found = np.ones(values.shape[1])
    for point in np.unique(by[by >= 0]):
        mine = np.flatnonzero(by == point)
        found[mine] = _p_against(values, spread, maximise, int(point), better=False)[mine].max(axis=1)
    return found


def compute_p_not_apart(
    values: np.ndarray, spread: np.ndarray, maximise: Sequence[bool], points: Sequence[int]
) -> np.ndarray:
    """For each of `points` the p-value of being dominated by any other: the largest over the others.

    It is better than each other in one objective at least. Where several might say so it is the one that says it best, so
    its p-value is multiplied by their number (Bonferroni). Points that are the same in everything share the front.
    """
    found = np.zeros(len(points))
    for i, point in enumerate(points):
        p = _p_against(values, spread, maximise, point, better=True)
        n_open = np.maximum(((p > 0) & (p < 1)).sum(axis=1), 1)
        is_same = (values == values[:, point : point + 1]).all(axis=(0, 2)) & (spread + spread[point] == 0).all(axis=1)
        is_same[point] = True
        found[i] = np.where(is_same, 0.0, np.minimum(p.min(axis=1) * n_open, 1.0)).max()
    return found


def p_of_not_ahead(ahead_SO: np.ndarray) -> np.ndarray:
    """One-sided p-value of each objective's differences [n_seeds, n_objectives] being 0 or less; 1 with fewer than two seeds."""
    n_seeds = len(ahead_SO)
    if n_seeds < 2:
        return np.ones(ahead_SO.shape[1])
    mean, error = ahead_SO.mean(axis=0), ahead_SO.std(axis=0, ddof=1) / np.sqrt(n_seeds)
    exact = np.where(mean > 0, 0.5**n_seeds, 1.0)
    return np.where(error > 0, stdtr(n_seeds - 1, -mean / np.where(error > 0, error, 1.0)), exact)


def _p_against(
    values: np.ndarray, spread: np.ndarray, maximise: Sequence[bool], point: int, better: bool
) -> np.ndarray:
    """p-value, against each point and in each objective, of `point` not being better, or else of its being worse.

    Of what is the same at every seed and was not measured with an error, 0 or 1. Differences that are all the same although
    the values are not say nothing of the noise: a sign test.
    """
    ahead = np.where(maximise, 1.0, -1.0) * (values[:, point : point + 1] - values)
    found = compute_moments(np.moveaxis(ahead, 0, -1), scale=np.abs(values).max(axis=0))
    n_seeds, mean, error = len(values), found.mean, found.standard_error
    is_ahead = mean > 0 if better else mean >= 0
    is_fixed = np.ptp(values, axis=0) == 0
    once = np.hypot(spread, spread[point])
    p_once = np.where(once > 0, ndtr(-mean / np.where(once > 0, once, 1.0)), np.where(is_ahead, 0.0, 1.0))
    p_same = np.where(is_fixed & is_fixed[point], p_once, np.where(is_ahead, 0.5**n_seeds, 1.0))
    return np.where(error > 0, stdtr(n_seeds - 1, -mean / np.where(error > 0, error, 1.0)), p_same)
