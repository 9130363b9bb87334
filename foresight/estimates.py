"""Mean and t interval of many rows at once: what a study of two thousand arms needs to have its tables in a second.

In: one row per arm, one column per seed, nan where the arm has no value at that seed. Out: one number per row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit  # the t distribution alone; scipy.stats costs a second of start-up

CONFIDENCE = 0.95  # of every interval that is shown
# Values that agree to this share of their size are the same value: what is left is rounding, not noise.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Estimates:
    """Each of shape (A,). Without two values a row has no interval, no standard error and no p-value: nan."""

    n: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    p: NDArray[np.float64]  # two-sided, of the mean being zero


def compute_estimates(values_AS: ArrayLike, confidence: float = CONFIDENCE, scale: ArrayLike = 0.0) -> Estimates:
    """Mean, two-sided t interval (mean +- t * sd / sqrt(n), n - 1 degrees of freedom) and p-value against zero, by row.

    Values of a row that are all the same (to rounding of numbers as large as `scale`) have an interval of zero width. They
    say nothing of the noise, since a metric that moves in steps agrees by chance, so p is that of the sign test: 1 when they
    are zero and 2^(1 - n) otherwise.
    """
    x = np.atleast_2d(np.asarray(values_AS, dtype=float))
    if not x.shape[1]:
        x = np.full((len(x), 1), np.nan)
    known = ~np.isnan(x)
    n = known.sum(axis=1)
    none, several = n == 0, n > 1
    mean = np.where(known, x, 0.0).sum(axis=1) / np.maximum(n, 1)
    deviation = np.where(known, x - mean[:, None], 0.0)
    sd = np.sqrt((deviation**2).sum(axis=1) / np.maximum(n - 1, 1))
    rounding = ROUNDING * np.maximum(scale, np.where(known, np.abs(x), 0.0).max(axis=1))
    spread = np.where(known, x, -np.inf).max(axis=1) - np.where(known, x, np.inf).min(axis=1)
    exact = several & (spread <= rounding)
    first = x[np.arange(len(x)), known.argmax(axis=1)]
    mean = np.where(exact, np.where(np.abs(first) > rounding, first, 0.0), mean)
    mean = np.where(none, np.nan, mean)
    error = np.where(exact, 0.0, np.where(several, sd / np.sqrt(np.maximum(n, 1)), np.nan))
    degrees = np.maximum(n - 1, 1)
    half_width = stdtrit(degrees, 0.5 + confidence / 2) * error
    p = 2.0 * stdtr(degrees, -np.abs(mean) / np.where(error > 0, error, 1.0))
    p = np.where(exact, np.where(mean == 0.0, 1.0, 2.0 ** (1 - n)), np.where(several, p, np.nan))
    return Estimates(n, mean, mean - half_width, mean + half_width, error, p)
