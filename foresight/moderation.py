"""Moderation: the noise of each arm's differences, estimated by its own seeds and, in part, by those of all arms.

A paired t-test at three or five seeds has two or four degrees of freedom, and sees next to nothing. Its variance of an
arm's differences is therefore shrunk towards a prior that the variances of all arms give, as limma does for genes:
variance = (own degrees * own variance + prior degrees * prior variance) / (own + prior degrees), and the t-test has as
many degrees of freedom as that sum (Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3:3).

1. The prior variance is the geometric mean of the arms', without the bias of its logarithms.
2. Its degrees are those at which variances differ by as much as these, or rather as much as these may differ at UPPER:
   few arms say little about how alike they are, and a clear mixture of quiet and noisy arms leaves next to none.
3. An arm noisier than the prior allows for gets none of it (Phipson et al. 2016, Annals of Applied Statistics 10:946).
4. All differences share the baseline's noise, and their agreement on it tells nothing: degrees are limited, by `limit`.

2 to 4 are what keeps the rate of false verdicts where arms differ in noise (`python -m benchmarks.calibration`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, digamma, polygamma

from foresight.estimates import Array

LEAST_ARMS = 3  # two variances cannot say how alike variances are
UPPER = 1.2816  # normal quantile of 0.9: the upper end of what the spread of variances may be
OUTLYING = 0.05  # chance that an arm as noisy as the prior says is held to be noisier
SMALLEST_SHARE = 0.02  # of the mean variance: the least that a variance counts in the prior; in steps it may be 0
LIMIT = 1.5
NEWTON_STEPS = 12  # from limma's start the inverse of trigamma is exact to rounding well before


def moderate(variance: Array, told: NDArray[np.bool_], degrees: Array) -> tuple[Array, Array]:
    """Each arm's variance after moderation and the degrees of freedom that the prior gave it, both (..., A).

    In: `variance` (..., A) with `degrees` (..., 1) of freedom each, 1 or more; `told` (..., A) says which arms take part.
    The others keep their variance, and the prior gives them 0, as it does where it has nothing to say: with two seeds, with
    one arm, or where no arm varies.
    """
    n_arms = told.sum(-1, keepdims=True)
    prior, fitted = fit_prior(variance, told, degrees)
    takes = told & (n_arms >= LEAST_ARMS) & (variance <= prior * chdtri(degrees, OUTLYING) / degrees)
    extra = np.where(takes, np.minimum(fitted, limit(degrees, n_arms)), 0.0)
    return np.where(extra > 0, (degrees * variance + extra * prior) / (degrees + extra), variance), extra


def limit(degrees: Array, n_arms: NDArray[np.int64]) -> Array:
    """The most degrees of freedom that the prior may give, (..., 1).

    A baseline so noisy that all differences are the same noise has that noise estimated with `degrees`, however many arms
    repeat it, and Holm's correction pays for more prior degrees the more of them there are.
    """
    return LIMIT * (degrees - 1) * np.log(np.maximum(n_arms, 1))


def fit_prior(variance: Array, told: NDArray[np.bool_], degrees: Array) -> tuple[Array, Array]:
    """Variance and degrees of freedom of the prior, (..., 1), by the logarithms of the variances of the arms `told`.

    Log variances have the variance trigamma(own / 2) by chance and trigamma(prior / 2) by the prior (Smyth 2004, section
    6.2). Infinite degrees say that they differ by less than chance; the variance is 0 where no arm varies.
    """
    n_arms = np.maximum(told.sum(-1, keepdims=True), 1)
    known = np.where(told, variance, 0.0)
    least = SMALLEST_SHARE * known.sum(-1, keepdims=True) / n_arms
    varies = least > 0
    logs = np.log(np.where(varies, np.maximum(known, least), 1.0))
    mean = (logs * told).sum(-1, keepdims=True) / n_arms
    spread = (((logs - mean) * told) ** 2).sum(-1, keepdims=True) / np.maximum(n_arms - 1, 1)
    by_chance, fourth_cumulant = polygamma(1, degrees / 2), polygamma(3, degrees / 2)
    error = np.sqrt((fourth_cumulant + 2 * by_chance**2) / np.maximum(n_arms - 1, 1))
    excess = spread - by_chance + UPPER * error
    fitted = np.where(excess > 0, 2 * invert_trigamma(np.where(excess > 0, excess, 1.0)), np.inf)
    prior = np.exp(mean - digamma(degrees / 2) + np.log(degrees / 2))
    return np.where(varies, prior, 0.0), np.where(varies, fitted, 0.0)


def invert_trigamma(x: Array) -> Array:
    """y with trigamma(y) = x, for x > 0, by Newton's method on 1 / trigamma (Smyth 2004, appendix)."""
    y = 0.5 + 1 / x
    for _ in range(NEWTON_STEPS):
        trigamma = polygamma(1, y)
        y = y + trigamma * (1 - trigamma / x) / polygamma(2, y)
    return y
