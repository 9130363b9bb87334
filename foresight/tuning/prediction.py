"""How long trials will take together, with an interval, from trials that are over. Pure functions of numbers.

A trial takes its work (operations to train, or 1 where nothing is trained) times the rate of its arm times noise. An arm with
finished trials has its own rate, any other the mean rate of those arms. The interval is for the sum that will be seen (a
prediction interval), on the log scale, and has three causes:

- The pace of the machine, as other programs come and go. Finished trials, in the order in which they were run, are cut into
  batches, and the trials to come are taken to share one pace as those of a batch do (batch means: Schmeiser 1982, Operations
  Research 30:556). It does not average out, however many trials there are. A machine that becomes busier than it ever was
  while the record was made is in no interval.
- Noise of single trials, which averages out.
- Arms of which no trial is over do not take quite as long as their work says.

Few finished trials say little about any of them. So each variance is shrunk towards an assumed one that counts as much as
ASSUMED_DEGREES observations (the conjugate prior of a variance: Gelman et al., Bayesian Data Analysis, section 2.6), and the
three are added with Satterthwaite's degrees of freedom (1946).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from foresight.estimates import CONFIDENCE

N_BATCHES = 10
ASSUMED_DEGREES = 4
ASSUMED_PACE_SD = 0.2  # of logarithms: the pace changes by a factor of 1.2,
ASSUMED_NOISE_SD = 0.3  # a trial takes 1.35 times as long as another,
ASSUMED_ARM_SD = 0.5  # an arm 1.65 times as long as its work says


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


@dataclass(frozen=True)
class Variance:
    """A variance and its degrees of freedom."""

    value: float
    degrees: float

    def times(self, factor: float) -> "Variance":
        return Variance(self.value * factor, self.degrees)


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
    residuals = _residuals(logs, done["arm"], arms)
    batches = np.array_split(residuals, min(N_BATCHES, max(1, len(done) // 2)))
    pace = _shrink(np.array([batch.mean() for batch in batches]), ASSUMED_PACE_SD)
    noise, arm = _shrink(residuals, ASSUMED_NOISE_SD), _shrink(arms["mean"].to_numpy(), ASSUMED_ARM_SD)

    shares = pd.Series(seconds / total).groupby(todo["arm"].to_numpy()).sum()
    is_new = ~shares.index.isin(arms.index)
    known, new = shares[~is_new], float(shares[is_new].sum())
    # A known arm's rate comes from its own trials and a new one's from all of them, so the two are wrong together.
    of_rates = float((known**2 / arms["size"].reindex(known.index)).sum()) + (new**2 + 2 * new * (1 - new)) / len(done)
    parts = (
        pace.times(1 + 1 / len(batches)),
        noise.times(of_rates + float(((seconds / total) ** 2).sum())),
        arm.times(float((shares[is_new] ** 2).sum()) + new**2 / len(arms)),
    )
    variance = sum(part.value for part in parts)
    degrees = variance**2 / sum(part.value**2 / part.degrees for part in parts)
    return around(total, float(np.exp(stdtrit(degrees, 0.5 + CONFIDENCE / 2) * np.sqrt(variance))))


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


def _shrink(values: NDArray[np.float64], assumed_sd: float) -> Variance:
    """The variance of the values, shrunk towards the assumed one."""
    own = len(values) - 1
    degrees = ASSUMED_DEGREES + own
    found = float(np.var(values, ddof=1)) if own else 0.0
    return Variance((ASSUMED_DEGREES * assumed_sd**2 + own * found) / degrees, degrees)
