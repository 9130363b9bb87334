"""What a study would find: chances of a verdict before its seeds have run, from the noise of earlier trials.

The test that verdicts rest on (`foresight.contrasts`) is run on drawn studies, in which no arm differs. A true difference
of one arm moves its mean and leaves every variance as it was, so that one set of draws serves for all differences. Holm's
first step asks an arm for alpha over the number of comparisons; later steps ask for less, so the chances are at least these
where other arms differ too. Noise is estimated without knowing which arm is better, so looking at it early costs no alpha
(Wittes & Brittain 1990, Statistics in Medicine 9:65).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri

from foresight.contrasts import Contrasts, compute_contrasts
from foresight.seeding import keyed_seed
from foresight.space import BASELINE

MOST_VALUES = 1_200_000  # drawn for one study: a few thousand repetitions of 15 arms at 5 seeds, in a second
MOST_REPETITIONS, LEAST_REPETITIONS = 4000, 100
STEPS = 30  # of halving, of a detectable difference


@dataclass(frozen=True)
class Noise:
    """Standard deviation of an arm's difference from the baseline over seeds, of the arm in the middle."""

    paired_sd: float
    n_arms: int
    n_differences: int


@dataclass(frozen=True)
class PlannedTest:
    """`n_compared` arms against the baseline at `n_seeds` seeds; `level` is shared by all comparisons."""

    n_compared: int
    n_seeds: int
    level: float
    paired_sd: float

    def power(self, difference: float) -> float:
        """Chance that an arm which truly differs by this much is found to, two-sided and in its own direction."""
        return float((self._upper_p(difference) < self.level / self.n_compared / 2).mean())

    def noninferiority_power(self, margin: float) -> float:
        """Chance that an arm which is truly as good as the baseline is shown to lose less than the margin."""
        return float((self._upper_p(margin) < self.level / self.n_compared).mean())

    def detectable(self, power: float) -> float:
        """The smallest true difference that is found with this chance."""
        low, high = 0.0, self.paired_sd
        while self.power(high) < power:
            low, high = high, 2 * high
        for _ in range(STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.power(middle) >= power else (middle, high)
        return high

    def _upper_p(self, shift: float) -> NDArray[np.float64]:
        return self._contrasts.compute_p_noninferior(shift)

    @cached_property
    def _contrasts(self) -> Contrasts:
        """Of drawn studies without a difference, every arm and the baseline equally noisy."""
        n_arms = self.n_compared + 1
        n = min(MOST_REPETITIONS, max(LEAST_REPETITIONS, MOST_VALUES // (n_arms * self.n_seeds)))
        rng = np.random.default_rng(keyed_seed(0, "power", str(n_arms), str(self.n_seeds)))
        return compute_contrasts(rng.normal(0.0, self.paired_sd / math.sqrt(2), (n, n_arms, self.n_seeds)))


def estimate_noise(values: pd.DataFrame) -> Noise | None:
    """The noise of arm, seed and value; None where no arm shares two seeds with the baseline, or nothing varies.

    Of the arms' variances the middle one counts, as few arms may be far noisier; each is first brought to where the middle
    of such variances would be the true one.
    """
    wide = values.pivot_table(index="arm", columns="seed", values="value")
    if BASELINE not in wide.index:
        return None
    change_AS = (wide.drop(index=BASELINE) - wide.loc[BASELINE]).to_numpy(dtype=float)
    n = (~np.isnan(change_AS)).sum(-1)
    change_AS, n = change_AS[n > 1], n[n > 1]
    if not len(n):
        return None
    degrees = n - 1
    variances = np.nanvar(change_AS, axis=-1, ddof=1) * degrees / chdtri(degrees, 0.5)
    middle = float(np.median(variances))
    return Noise(math.sqrt(middle), len(n), int(n.sum())) if middle > 0 else None
