"""Blocks of seeds: the arm + block model, its residual noise, and intervals by leaving one block out.

In: one value per arm and seed. A block is one seed across all arms, so what a seed shifts everywhere (the order of the
data, the initial weights) is no noise between arms. Pure functions of numbers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy.special import chdtri, stdtrit

from foresight.estimates import CONFIDENCE

Statistic = TypeVar("Statistic")


@dataclass(frozen=True)
class BlockFit:
    """value = arm + block + noise by least squares. `sd` is nan where nothing is left to estimate it from."""

    arm_means: pd.Series  # indexed by arm, each at the average block
    block_effects: pd.Series  # indexed by seed, their mean is zero
    residuals: pd.Series  # indexed as the values
    df: int
    sd: float


def fit_blocks(values: pd.DataFrame) -> BlockFit:
    """Fits arms and blocks to `values` (arm, seed, value); arms need not have all seeds.

    The arms are swept out first (Frisch and Waugh 1933), so the equations are as many as the seeds, not the arms.
    """
    y = values["value"].to_numpy(dtype=float)
    seeds = np.sort(values["seed"].unique())
    blocks = (values["seed"].to_numpy()[:, None] == seeds).astype(float)
    arms, codes = np.unique(values["arm"].to_numpy().astype(str), return_inverse=True)
    within_y, within_blocks = y - _means(y, codes)[codes], blocks - _means(blocks, codes)[codes]
    effects, _, rank, _ = np.linalg.lstsq(within_blocks, within_y, rcond=1e-10)
    residuals = within_y - within_blocks @ effects
    effects = effects - effects.mean()
    df = len(y) - len(arms) - int(rank)
    return BlockFit(
        arm_means=pd.Series(_means(y - blocks @ effects, codes), index=arms),
        block_effects=pd.Series(effects, index=seeds),
        residuals=pd.Series(residuals, index=values.index),
        df=df,
        sd=math.sqrt(float(residuals @ residuals) / df) if df > 0 else math.nan,
    )


def _means(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Mean of the rows of `x` with each code."""
    sums = np.zeros((codes.max() + 1, *x.shape[1:]))
    np.add.at(sums, codes, x)
    counts = np.bincount(codes)
    return sums / counts.reshape(-1, *[1] * (x.ndim - 1))


def compute_sd_interval(sd: float, df: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a standard deviation of normal noise, sd * sqrt(df / chi2); without degrees of freedom, none."""
    if df < 1 or math.isnan(sd):
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    return sd * math.sqrt(df / float(chdtri(df, tail))), sd * math.sqrt(df / float(chdtri(df, 1 - tail)))


def compute_jackknife(whole: float, left_out: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a statistic from its values with one block left out (Tukey 1958; Efron and Tibshirani 1993, ch. 11).

    Standard error sqrt((n - 1) / n * sum((v_i - mean)^2)), n - 1 degrees of freedom. For a mean this is its t interval.
    nan with fewer than three blocks: each value would stand on one seed, and two of a ratio agree by chance too often.
    """
    v, n = np.asarray(left_out, dtype=float), len(left_out)
    if n < 3 or not np.isfinite(v).all():
        return math.nan, math.nan
    half_width = float(stdtrit(n - 1, 0.5 + confidence / 2)) * math.sqrt(
        (n - 1) / n * float(((v - v.mean()) ** 2).sum())
    )
    return whole - half_width, whole + half_width


def leave_out_blocks(values: pd.DataFrame, compute: Callable[[pd.DataFrame], Statistic]) -> list[Statistic]:
    """`compute` of the values without each seed in turn; nothing with fewer than two seeds."""
    seeds = sorted(values["seed"].unique())
    return [compute(values[values["seed"] != seed]) for seed in seeds] if len(seeds) > 1 else []
