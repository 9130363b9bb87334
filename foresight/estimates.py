"""Mean and t interval of many rows at once: what a study of two thousand arms needs to have its tables in a second.

In: one row per arm, one column per seed, nan where the arm has no value at that seed. Out: one number per row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit  # the t distribution alone; scipy.stats costs a second of start-up

Array = NDArray[np.float64]

CONFIDENCE = 0.95  # of every interval that is shown
# Values that agree to this share of their size are the same value: what is left is rounding, not noise.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Moments:
    """Of the values of each row: how many, their mean and its standard error; nan without one, or two, values.

    Values of a row that are all the same (to rounding) have exactly their mean, and a standard error of exactly 0.
    """

    n: NDArray[np.int64]
    mean: Array
    standard_error: Array


@dataclass(frozen=True)
class Estimates:
    """Each of shape (A,). Without two values a row has no interval, no standard error and no p-value: nan."""

    n: NDArray[np.int64]
    mean: Array
    low: Array
    high: Array
    standard_error: Array
    p: Array  # two-sided, of the mean being zero


def compute_moments(values_AS: ArrayLike, scale: ArrayLike = 0.0) -> Moments:
    """Moments of each row, of rounding as in numbers as large as `scale`; shape (..., A, S) -> (..., A)."""
    x = np.asarray(values_AS, dtype=float)
    if not x.shape[-1]:
        x = np.full((*x.shape[:-1], 1), np.nan)
    known = ~np.isnan(x)
    n = known.sum(axis=-1)
    mean = np.where(known, x, 0.0).sum(axis=-1) / np.maximum(n, 1)
    deviation = np.where(known, x - mean[..., None], 0.0)
    sd = np.sqrt((deviation**2).sum(axis=-1) / np.maximum(n - 1, 1))
    rounding = ROUNDING * np.maximum(scale, np.where(known, np.abs(x), 0.0).max(axis=-1))
    spread = np.where(known, x, -np.inf).max(axis=-1) - np.where(known, x, np.inf).min(axis=-1)
    exact = (n > 1) & (spread <= rounding)
    first = np.take_along_axis(x, known.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    mean = np.where(exact, np.where(np.abs(first) > rounding, first, 0.0), mean)
    error = np.where(exact, 0.0, np.where(n > 1, sd / np.sqrt(np.maximum(n, 1)), np.nan))
    return Moments(n, np.where(n > 0, mean, np.nan), error)


def compute_p(n: ArrayLike, mean: Array, standard_error: Array, degrees: ArrayLike) -> Array:
    """Two-sided p-value of the t test that the mean of `n` values is zero; nan where it has no standard error.

    Values that are all the same say nothing of the noise, since a metric that moves in steps agrees by chance: where the
    standard error is 0, p is that of the sign test, 1 when they are zero and 2^(1 - n) otherwise.
    """
    exact = standard_error == 0
    p = 2.0 * stdtr(degrees, -np.abs(mean) / np.where(exact, 1.0, standard_error))
    return np.where(exact, np.where(mean == 0.0, 1.0, 2.0 ** (1.0 - np.asarray(n))), p)


def compute_half_width(standard_error: Array, degrees: ArrayLike, confidence: float = CONFIDENCE) -> Array:
    """Half the width of the two-sided t interval; nan where there is no standard error."""
    return np.asarray(stdtrit(degrees, 0.5 + confidence / 2) * standard_error)


def compute_estimates(values_AS: ArrayLike, confidence: float = CONFIDENCE, scale: ArrayLike = 0.0) -> Estimates:
    """Mean, two-sided t interval (mean +- t * sd / sqrt(n), n - 1 degrees of freedom) and p-value against zero, by row."""
    found = compute_moments(np.atleast_2d(np.asarray(values_AS, dtype=float)), scale)
    degrees = np.maximum(found.n - 1.0, 1.0)
    half_width = compute_half_width(found.standard_error, degrees, confidence)
    p = compute_p(found.n, found.mean, found.standard_error, degrees)
    return Estimates(found.n, found.mean, found.mean - half_width, found.mean + half_width, found.standard_error, p)
