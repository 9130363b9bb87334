"""How long trials will take together, with an interval, from trials that are over. Pure functions of numbers.

A trial takes its work (operations to train, or 1 where nothing is trained) times the rate of its arm times noise. An arm with
finished trials has its own rate, any other the mean rate of those arms. The interval is for the sum that will be seen (a
prediction interval), on the log scale, and has two causes:

- The pace of the machine, which trials in a row share, as other programs come and go. Finished trials, in the order in
  which they were run, are cut into a few batches, whose means are taken as independent: the t interval then holds however
  long a change of pace lasts, if it is short beside a batch (Ibragimov & Mueller 2010, Journal of Business & Economic
  Statistics 28:453). A change that comes after the last finished trial is in no record and in no interval.
- Arms of which no trial is over do not take quite as long as their work says.

Few finished trials say little about either. So each variance is shrunk towards an assumed one that counts as much as
ASSUMED_DEGREES observations (the conjugate prior of a variance: Gelman et al., Bayesian Data Analysis, section 2.6).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from foresight.estimates import CONFIDENCE

N_BATCHES = 5
ASSUMED_DEGREES = 4
ASSUMED_PACE_SD = 0.3  # of the logarithm of a batch's mean pace: a factor of 1.35
ASSUMED_ARM_SD = 0.5  # of the logarithm of an arm's rate: a factor of 1.65


@dataclass(frozen=True)
class Range:
    """What is expected of a quantity, and the interval that should hold it."""

    expected: float
    low: float
    high: float

    def times(self, factor: float) -> "Range":
        return Range(self.expected * factor, self.low * factor, self.high * factor)

    def plus(self, other: "Range") -> "Range":
        """The sum of two that may both be low, or both high."""
        return Range(self.expected + other.expected, self.low + other.low, self.high + other.high)


def around(expected: float, factor: float) -> Range:
    """What is known to a factor either way."""
    return Range(expected, expected / factor, expected * factor)


def predict_total(done: pd.DataFrame, todo: pd.DataFrame) -> Range:
    """Seconds that the trials of `todo` (arm, work) take together.

    `done` has arm, work and seconds of finished trials, at least one, in the order in which they were run.
    """
    if todo.empty:
        return around(0.0, 1.0)
    seconds = predict_seconds(done, todo)
    total = float(seconds.sum())
    logs = np.log(done["seconds"].to_numpy(dtype=float) / done["work"].to_numpy(dtype=float))
    arms = pd.Series(logs).groupby(done["arm"].to_numpy()).agg(["mean", "size"])
    pace, pace_degrees = _pace_variance(_residuals(logs, done["arm"], arms))
    arm, arm_degrees = _shrink(arms["mean"].to_numpy(dtype=float), ASSUMED_ARM_SD)

    shares = pd.Series(seconds / total).groupby(todo["arm"].to_numpy()).sum()
    is_new = ~shares.index.isin(arms.index)
    known, new = shares[~is_new], float(shares[is_new].sum())
    # A known arm's rate comes from its own trials and a new one's from all of them, so the two are wrong together.
    of_rates = float((known**2 / arms["size"].reindex(known.index)).sum()) + (new**2 + 2 * new * (1 - new)) / len(done)
    of_pace = pace * (of_rates + float(((seconds / total) ** 2).sum()))
    of_arms = arm * (float((shares[is_new] ** 2).sum()) + new**2 / len(arms))
    degrees = (of_pace + of_arms) ** 2 / (of_pace**2 / pace_degrees + of_arms**2 / arm_degrees)  # Satterthwaite 1946
    return around(total, float(np.exp(stdtrit(degrees, 0.5 + CONFIDENCE / 2) * np.sqrt(of_pace + of_arms))))


def predict_seconds(done: pd.DataFrame, todo: pd.DataFrame) -> NDArray[np.float64]:
    """Seconds that each trial of `todo` should take; the frames are those of `predict_total`."""
    sums = done.groupby("arm", sort=False)[["seconds", "work"]].sum()
    rates = sums["seconds"] / sums["work"]
    return (todo["work"] * todo["arm"].map(rates).fillna(rates.mean())).to_numpy(dtype=float)


def _residuals(logs: NDArray[np.float64], arm_of: pd.Series, arms: pd.DataFrame) -> NDArray[np.float64]:
    """Log rates without their arm's mean, as spread as they were with it; an arm's only trial without the mean of all arms."""
    size = arms["size"].reindex(arm_of).to_numpy()
    own = (logs - arms["mean"].reindex(arm_of).to_numpy()) * np.sqrt(size / np.maximum(size - 1, 1))
    return np.where(size > 1, own, logs - float(arms["mean"].mean()))


def _pace_variance(residuals: NDArray[np.float64]) -> tuple[float, float]:
    """What the variance of one trial's pace would be if the mean of n had an nth of it, and its degrees of freedom."""
    n = len(residuals)
    n_batches = min(N_BATCHES, max(1, n // 2))
    means = np.array([batch.mean() for batch in np.array_split(residuals, n_batches)])
    # By chance batches may agree better than trials that have nothing in common would let them.
    least = float(np.var(residuals, ddof=1)) * n_batches / n if n > 1 else 0.0
    of_batches, degrees = _shrink(means, ASSUMED_PACE_SD, least)
    return of_batches * n / n_batches, degrees


def _shrink(values: NDArray[np.float64], assumed_sd: float, least: float = 0.0) -> tuple[float, float]:
    """Variance of the values, at least `least`, shrunk towards the assumed one; and its degrees of freedom."""
    own = len(values) - 1
    degrees = ASSUMED_DEGREES + own
    found = max(least, float(np.var(values, ddof=1))) if own else 0.0
    return (ASSUMED_DEGREES * assumed_sd**2 + own * found) / degrees, float(degrees)
