"""Least squares of a factorial, block by block, and the test of a term against its own variation over blocks.

In: a design and one value per trial. Every effect is estimated in each block by itself, on the arms that the block has,
and its noise is how it differs between blocks. Trials of one seed share initial weights and data order, so they are no
independent repeats, and residuals pooled over all trials would promise more than a further seed keeps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from analysis.blocks import compute_jackknife, fit_blocks
from analysis.factorial_design import Design, Term, find_aliases
from foresight.estimates import ROUNDING


@dataclass(frozen=True)
class TermFit:
    """What the blocks say of one term. `coefficients_SK` has a row per seed of `seeds`, those that can estimate it."""

    term: Term
    seeds: tuple[int, ...]
    coefficients_SK: np.ndarray
    weight_KK: np.ndarray  # its mean information: c' weight c is the sum of squares of coefficients c in one block
    aliased_with: tuple[str, ...]  # where no block can estimate it


@dataclass(frozen=True)
class FTest:
    """F of a term against its own variation over blocks; `epsilon` is Greenhouse and Geisser's correction."""

    f: float
    epsilon: float
    p: float


def fit_terms(design: Design, values: pd.DataFrame) -> list[TermFit]:
    """Every term in every block that can estimate it. `values` has seed, value and the `config/` columns."""
    found: dict[str, list[tuple[int, np.ndarray, np.ndarray]]] = {term.name: [] for term in design.terms}
    blocks = [(seed, values[values["seed"] == seed]) for seed in sorted(map(int, values["seed"].unique()))]
    aliases = []
    for seed, block in blocks:
        X = design.matrix(block)
        aliases.append(find_aliases(design.terms, X))
        spread = np.linalg.pinv(X.T @ X, hermitian=True)
        coefficients = spread @ X.T @ block["value"].to_numpy(dtype=float)
        for term in design.terms:
            if not aliases[-1][term.name]:
                weight = np.linalg.inv(spread[term.columns, term.columns])
                found[term.name].append((seed, coefficients[term.columns], weight))
    fullest = aliases[int(np.argmax([len(block) for _, block in blocks]))]
    return [
        TermFit(
            term,
            tuple(seed for seed, _, _ in mine),
            np.array([c for _, c, _ in mine]).reshape(len(mine), term.df),
            np.mean([w for _, _, w in mine], axis=0) if mine else np.eye(term.df),
            () if mine else fullest[term.name],
        )
        for term in design.terms
        for mine in [found[term.name]]
    ]


def compute_f_test(coefficients_SK: np.ndarray, weight_KK: np.ndarray, scale: float) -> FTest:
    """Repeated-measures F of K coefficients over S blocks: S |mean|^2 / K over sum |c_s - mean|^2 / (K (S - 1)).

    Norms are those of `weight_KK`. Degrees of freedom are multiplied by epsilon (Greenhouse and Geisser 1959): without
    it, one level four times noisier than the others gave false verdicts at .08 to .13 where .05 was asked for, with it at
    .06 or below. nan with fewer than two blocks. Coefficients equal in all blocks, to rounding, say nothing of the noise,
    since a metric that moves in steps agrees by chance: as in `foresight.estimates.compute_p`, p is that of the sign test,
    1 if they are zero and 2^(1 - S) otherwise, the chance that all blocks but one take the sign of that one.
    """
    S, K = coefficients_SK.shape
    if S < 2:
        return FTest(math.nan, math.nan, math.nan)
    z_SK = coefficients_SK @ np.linalg.cholesky(weight_KK)
    mean_K = z_SK.mean(axis=0)
    off_SK = z_SK - mean_K
    rounding = ROUNDING * scale * math.sqrt(float(np.trace(weight_KK)))
    if float(np.abs(off_SK).max()) <= rounding:
        is_zero = float(np.abs(mean_K).max()) <= rounding
        return FTest(math.nan if is_zero else math.inf, math.nan, 1.0 if is_zero else 2.0 ** (1 - S))
    spread_KK = off_SK.T @ off_SK
    epsilon = float(np.trace(spread_KK)) ** 2 / (K * float((spread_KK**2).sum()))
    f = S * float(mean_K @ mean_K) * (S - 1) / float(np.trace(spread_KK))
    return FTest(f, epsilon, float(fdtrc(epsilon * K, epsilon * K * (S - 1), f)))


def compute_variance_shares(fits: Sequence[TermFit], values: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Per estimable term: its sum of squares over that between arms, both of means over seeds, and its interval.

    The interval leaves one seed out in turn and is cut to [0, 1]. In a whole factorial the shares of all main effects and
    interactions add up to 1, noise included; in a part of one they need not.
    """
    seeds = sorted(map(int, values["seed"].unique()))
    whole = _shares(fits, values, seeds)
    without = {seed: _shares(fits, values, [s for s in seeds if s != seed]) for seed in seeds if len(seeds) > 1}
    found = {}
    for fit in fits:
        if fit.term.name in whole:
            several = fit.seeds if len(fit.seeds) > 1 else ()
            low, high = compute_jackknife(whole[fit.term.name], [without[seed][fit.term.name] for seed in several])
            found[fit.term.name] = (whole[fit.term.name], max(low, 0.0), min(high, 1.0))
    return found


def _shares(fits: Sequence[TermFit], values: pd.DataFrame, seeds: list[int]) -> dict[str, float]:
    means = fit_blocks(values[values["seed"].isin(seeds)]).arm_means
    between = float(((means - means.mean()) ** 2).sum())
    shares = {}
    for fit in fits:
        kept = [seed in seeds for seed in fit.seeds]
        if any(kept) and between > 0:
            mean_K = fit.coefficients_SK[kept].mean(axis=0)
            shares[fit.term.name] = float(mean_K @ fit.weight_KK @ mean_K) / between
    return shares
