"""The test that verdicts rest on: arm against baseline over blocks, with each arm's noise estimated by itself and by all.

A paired t-test at three or five seeds has two or four degrees of freedom, and sees next to nothing. Pooling the noise of
all arms has plenty, and calls noise an effect as soon as one arm, above all the baseline, is noisier than the rest. The
moderated test lies between: a variance for each arm, shrunk towards a common one by as much as `prior_limits` allows.

1. Block and arm means are taken out; what is left gives each arm's own variance, with S - 1 degrees of freedom.
2. A prior variance and its degrees of freedom are fitted to the variances of the arms without the baseline's (empirical
   Bayes: Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3:3, as limma's fitFDist does).
3. Each variance becomes the weighted mean of its own and the prior's, weights being degrees of freedom. Those of the prior
   are limited, because few arms say little about how much arms differ in noise, and the baseline's above all: it is in
   every comparison, so its error is shared by all of them.
4. Difference, standard error and degrees of freedom are Welch's, with Satterthwaite's formula (1946).

The limits are not derived: they are what keeps the rate of false verdicts in `python -m benchmarks.calibration`.

A is the number of arms including the baseline, which comes first; S the number of seeds. Leading axes are repetitions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

Array = NDArray[np.float64]
MODERATED, PAIRED = "moderated Welch", "paired t"

LEAST_SEEDS = 3  # of a moderated test
LEAST_COMPARED = 3
# Where an arm has this many seeds for each further arm, its own paired variance is the better estimate: residuals hold a
# share of 1 / A of everybody's noise, which many seeds do not reduce.
SEEDS_PER_FURTHER_ARM = 5
MOST_PRIOR_DEGREES = 2.5  # of an arm
MOST_BASELINE_DEGREES = 2.0
SMALLEST_VARIANCE = (
    1e-5  # as a share of the mean one, where its logarithm is taken (limma: of the median, which may be 0)
)
NEWTON_STEPS = 12  # from limma's start the inverse of trigamma is exact to rounding well before


@dataclass(frozen=True)
class Contrasts:
    """Arm minus baseline for each of the A - 1 arms: shapes (..., A - 1). `method` is MODERATED or PAIRED."""

    difference: Array
    standard_error: Array
    degrees: Array
    method: str


def choose_method(n_seeds: int, n_compared: int) -> str:
    """MODERATED or PAIRED, from the numbers of seeds and of arms compared with the baseline; never from their values."""
    few = n_seeds < LEAST_SEEDS or n_compared < LEAST_COMPARED
    return PAIRED if few or n_seeds >= SEEDS_PER_FURTHER_ARM * (n_compared - 1) else MODERATED


def prior_limits(n_seeds: int, n_compared: int) -> tuple[float, float]:
    """The most degrees of freedom that the prior may have: in an arm's variance, and in the baseline's."""
    arm = min(MOST_PRIOR_DEGREES, (n_compared - 1) / 2)
    share = min(1.0, max(0.0, (n_compared - 4) / 10))
    return arm, min(MOST_BASELINE_DEGREES, share * (n_seeds - 1) / 2)


def compute_contrasts(values_AS: Array) -> Contrasts:
    """Every arm against the baseline by the method that `choose_method` names. `values_AS`: shape (..., A, S)."""
    n_arms, n_seeds = values_AS.shape[-2:]
    if choose_method(n_seeds, n_arms - 1) == MODERATED:
        return compute_moderated(values_AS)
    return compute_paired(values_AS)


def compute_paired(values_AS: Array) -> Contrasts:
    """Per-arm paired t: the differences of an arm's own seeds, nothing shared between arms but the baseline."""
    change_AS = values_AS[..., 1:, :] - values_AS[..., :1, :]
    n_seeds = change_AS.shape[-1]
    mean = change_AS.mean(-1)
    standard_error = change_AS.std(-1, ddof=1) / np.sqrt(n_seeds)
    return Contrasts(mean, standard_error, np.full_like(mean, n_seeds - 1), PAIRED)


def compute_moderated(values_AS: Array) -> Contrasts:
    """The moderated Welch contrast described at the head of this file. Needs LEAST_COMPARED arms and two seeds."""
    n_arms, n_seeds = values_AS.shape[-2:]
    own = float(n_seeds - 1)
    mean_A = values_AS.mean(-1)
    variance_A = compute_residual_variances(values_AS)
    prior, prior_degrees = fit_prior(variance_A[..., 1:], own)
    arm_limit, baseline_limit = prior_limits(n_seeds, n_arms - 1)
    arm, arm_degrees = _shrink(variance_A[..., 1:], own, prior, np.minimum(prior_degrees, arm_limit))
    base, base_degrees = _shrink(variance_A[..., :1], own, prior, np.minimum(prior_degrees, baseline_limit))
    total = arm + base
    degrees = total**2 / (arm**2 / arm_degrees + base**2 / base_degrees)
    return Contrasts(mean_A[..., 1:] - mean_A[..., :1], np.sqrt(total / n_seeds), degrees, MODERATED)


def compute_residual_variances(values_AS: Array) -> Array:
    """Each arm's variance after arm and block means are out, unbiased where all arms are equally noisy: shape (..., A)."""
    n_arms, n_seeds = values_AS.shape[-2:]
    centred_AS = values_AS - values_AS.mean(-1, keepdims=True)
    residual_AS = centred_AS - centred_AS.mean(-2, keepdims=True)
    return (residual_AS**2).sum(-1) / ((n_seeds - 1) * (1 - 1 / n_arms))


def fit_prior(variances: Array, degrees: float) -> tuple[Array, Array]:
    """Variance and degrees of freedom of the prior, by the moments of log variances (Smyth 2004, section 6.2).

    In: `variances` (..., n), each with `degrees`. Out: two arrays (..., 1); degrees are infinite where the variances
    differ by no more than chance.
    """
    floor = SMALLEST_VARIANCE * variances.mean(-1, keepdims=True)
    logs = np.log(np.maximum(variances, floor)) - digamma(degrees / 2) + np.log(degrees / 2)
    mean = logs.mean(-1, keepdims=True)
    excess = logs.var(-1, ddof=1, keepdims=True) - polygamma(1, degrees / 2)
    differ = excess > 0
    half = invert_trigamma(np.where(differ, excess, 1.0))
    variance = np.exp(np.where(differ, mean + digamma(half) - np.log(half), mean))
    return variance, np.where(differ, 2 * half, np.inf)


def invert_trigamma(x: Array) -> Array:
    """y with trigamma(y) = x, for x > 0, by Newton's method on 1 / trigamma (Smyth 2004, appendix)."""
    y = 0.5 + 1 / x
    for _ in range(NEWTON_STEPS):
        trigamma = polygamma(1, y)
        y = y + trigamma * (1 - trigamma / x) / polygamma(2, y)
    return y


def _shrink(variance: Array, own: float, prior: Array, prior_degrees: Array) -> tuple[Array, Array]:
    degrees = own + prior_degrees + np.zeros_like(variance)
    return (own * variance + prior_degrees * prior) / degrees, degrees
