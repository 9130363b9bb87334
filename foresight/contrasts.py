"""Arms against a baseline over blocks: the one computation behind every verdict, for one study or for many at once.

In: values (..., 1 + A, S) of the baseline, which comes first, and A arms at S seeds, nan where a trial is missing. Out:
Contrasts, one number per arm. Leading axes are studies: `benchmarks.calibration` judges thousands by the same lines.

Which test: arms that have all the baseline's seeds are compared by the moderated paired t-test of `foresight.moderation`;
any other arm, and one that this leaves to its own noise, by the paired t-test on the seeds that it shares.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from foresight.estimates import CONFIDENCE, Array, Moments, compute_half_width, compute_moments, compute_p
from foresight.moderation import moderate

MODERATED, PAIRED = "moderated paired t", "paired t"
EXACT = "exact"  # all differences of an arm are the same: a sign test, as they show no noise


@dataclass(frozen=True)
class Contrasts:
    """Arm minus baseline, each (..., A). Without two pairs there is no standard error, and no p-value: nan."""

    n_pairs: NDArray[np.int64]
    difference: Array
    standard_error: Array
    degrees: Array
    is_moderated: NDArray[np.bool_]

    @property
    def method(self) -> NDArray[np.object_]:
        """MODERATED, PAIRED or EXACT; empty without two pairs."""
        paired = np.where(self.n_pairs > 1, PAIRED, "")
        method = np.where(self.standard_error == 0, EXACT, np.where(self.is_moderated, MODERATED, paired))
        return method.astype(object)

    def interval(self, confidence: float = CONFIDENCE) -> tuple[Array, Array]:
        half_width = compute_half_width(self.standard_error, self.degrees, confidence)
        return self.difference - half_width, self.difference + half_width

    def compute_p(self) -> Array:
        """Two-sided, of no difference."""
        return compute_p(self.n_pairs, self.difference, self.standard_error, self.degrees)

    def compute_p_noninferior(self, margin: float, sign: int = 1) -> Array:
        """One-sided, of a loss of `margin` or more; `sign` is 1 where higher is better and -1 where lower is.

        Of differences that are all the same, zero or not, p is that of the sign test: 2^-n above minus the margin and 1
        elsewhere. In a metric that moves in steps, arms that lose as much as a step agree with the baseline by chance.
        """
        above = sign * self.difference + margin
        is_exact = self.standard_error == 0
        p = stdtr(self.degrees, -above / np.where(is_exact, 1.0, self.standard_error))
        exact = np.where(above > 0, 0.5**self.n_pairs, 1.0)
        return np.where(is_exact, exact, p)


def compute_paired(values_AS: Array) -> Contrasts:
    """The paired t-test of each arm on the seeds that it shares with the baseline: nothing of any other arm."""
    found = _compute_moments(values_AS)
    degrees = np.where(found.n > 1, found.n - 1.0, np.nan)
    none = np.zeros(degrees.shape, dtype=bool)
    return Contrasts(found.n, found.mean, found.standard_error, degrees, none)


def compute_contrasts(values_AS: Array) -> Contrasts:
    """Every arm against the baseline, by the moderated test where that says anything.

    An arm that repeats the baseline has no noise of its own to tell of, and stays out. One that differs from it by the same
    amount at every seed takes part, as in a metric that moves in steps such agreement is chance.
    """
    found = compute_paired(values_AS)
    n_seeds = (~np.isnan(values_AS[..., :1, :])).sum(-1)
    repeats = (found.standard_error == 0) & (found.difference == 0)
    told = (found.n_pairs == n_seeds) & (n_seeds > 1) & ~repeats
    own = np.maximum(n_seeds - 1.0, 1.0)
    squared_error, extra = moderate(found.standard_error**2, told, own)
    return Contrasts(found.n_pairs, found.difference, np.sqrt(squared_error), found.degrees + extra, extra > 0)


def _compute_moments(values_AS: Array) -> Moments:
    change_AS = values_AS[..., 1:, :] - values_AS[..., :1, :]
    mine_AS = np.where(np.isnan(change_AS), 0.0, values_AS[..., 1:, :])
    return compute_moments(change_AS, scale=np.abs(mine_AS).max(-1, initial=0.0))
