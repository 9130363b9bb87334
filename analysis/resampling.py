"""Redraws the means of all arms at once, as other seeds might have given them: what every "how surely" here rests on.

In: one value per seed and column. Out: draws of the columns' means. Pure functions of numbers.

A plain bootstrap of five seeds is too narrow twice over: its variance is (n - 1) / n of the right one, and its tails are
those of a normal and not of a t distribution with 4 degrees of freedom. So whole seeds (blocks) get normal weights in
place of counts, and the deviations are divided by the square root of a chi-square variable over its degrees of freedom.
The mean of any difference of columns then has exactly the t distribution of the paired t-test, arms keep their pairing,
and a draw is never one of a few repeated values.
"""

import math

import numpy as np

from foresight.seeding import keyed_seed

FEW_COLUMNS = 1000  # up to here the draws are many; beyond, time and memory count
DRAWS, DRAWS_OF_MANY = 4000, 500


def draw_means(values: np.ndarray, *key: str, n_draws: int = 0) -> np.ndarray:
    """Draws of the mean over seeds: values [n_seeds, n_columns] -> [n_draws, n_columns].

    mean + sum_i z_i (x_i - mean) / sqrt(n (n - 1)) / sqrt(chi2_{n-1} / (n - 1)) with z normal, one z_i for all columns of a
    seed: the multiplier bootstrap (van der Vaart and Wellner 1996, 2.9), studentised. A column that is the same at every
    seed stays exactly so. The same values and key give the same draws. Raises ValueError with fewer than two seeds.
    """
    n_seeds, n_columns = values.shape
    if n_seeds < 2:
        raise ValueError(f"draws need the values of at least two seeds, not of {n_seeds}")
    n_draws = n_draws or (DRAWS if n_columns <= FEW_COLUMNS else DRAWS_OF_MANY)
    rng = np.random.default_rng(keyed_seed(0, "means over seeds", *key))
    means = compute_means(values)
    weights = rng.standard_normal((n_draws, n_seeds))
    spread = np.sqrt(rng.chisquare(n_seeds - 1, (n_draws, 1)) / (n_seeds - 1))
    return means + weights @ (values - means) / math.sqrt(n_seeds * (n_seeds - 1)) / spread


def add_spread(draws: np.ndarray, spread: np.ndarray, *key: str) -> np.ndarray:
    """The draws [n_draws, n_columns] with normal noise of standard deviation `spread` [n_columns]; none where it is 0."""
    rng = np.random.default_rng(keyed_seed(0, "spread of one measurement", *key))
    return draws + rng.standard_normal(draws.shape) * spread


def compute_means(values: np.ndarray) -> np.ndarray:
    """Means over seeds; of equal values exactly that value, so that rounding breaks no tie between arms."""
    return np.where(np.ptp(values, axis=0) == 0, values[0], values.mean(axis=0))
