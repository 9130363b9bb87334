"""Arms that do the same work: replicates of a time, which say how far one measurement of it strays from the next.

In: a study, a time among its costs and that time of each arm. Out: which arms have an equal graph, and the noise between
measurements of the time.

A busy minute of the machine moves all repeats of one arm, so their spread does not hold it. Arms of an equal graph, as
those that differ in the value of one weight, would take the same time but for such minutes: what their times differ by is
the noise between measurements. No share of a time is surely saved below it, and none between two such arms.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from analysis.load import StudyData
from foresight.estimates import CONFIDENCE

LATENCY = "latency_ms"
TIMES = (LATENCY, "train_s", "gpu_s")  # costs that are read off a clock
WORK = ("cost/params_trained", "cost/params_total", "cost/flops")  # equal in arms of one graph
# What equal parameters and FLOPs do not tell apart: fields, or groups of them. The encoders run in every pass whose
# latency is measured, and not in training, which reads their features from the cache.
OF_ANY_TIME = (
    "task", "streams", "bridge", "fusion.strategy", "fusion.heads", "adapter.architecture", "decoder.", "detector.heads",
)  # fmt: skip
OF_LATENCY = ("vlm.", "dinov2.", "timing.")
OF_TRAINING = ("data.", "train.batch_size", "train.accumulate", "train.precision", "head_train.")
EPOCHS_RUN = "train/epochs_run"  # a training that stops early has done less


@dataclass(frozen=True)
class TimeNoise:
    """Standard deviation of the logarithm of an arm's measured time, and its degrees of freedom; nan and 0 without replicates."""

    sd: float
    df: int

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of the logarithm of the ratio of two times, by the t distribution."""
        return math.sqrt(2) * self.sd * float(stdtrit(self.df, 0.5 + CONFIDENCE / 2)) if self.df else math.nan

    @property
    def normal_sd(self) -> float:
        """The sd of normal noise with that interval, larger than `sd` as few replicates ask for; 0 without any."""
        return self.half_width / math.sqrt(2) / float(ndtri(0.5 + CONFIDENCE / 2)) if self.df else 0.0


def group_same_work(data: StudyData, time: str) -> pd.Series:
    """Arm to the number of its group, of the arms whose parameters and FLOPs are known; equal numbers, equal work."""
    rows = data.registered
    prefixes = tuple(f"config/{name}" for name in (*OF_ANY_TIME, *(OF_LATENCY if time == LATENCY else OF_TRAINING)))
    named = [column for column in map(str, rows) if column.startswith(prefixes)]
    work = rows.reindex(columns=["arm", *WORK, *named])
    if time != LATENCY and EPOCHS_RUN in rows:
        work[EPOCHS_RUN] = rows.groupby("arm")[EPOCHS_RUN].transform("mean")
    work = work.dropna(subset=list(WORK)).drop_duplicates("arm").set_index("arm").astype(str)
    return work.groupby(list(work), dropna=False, sort=False).ngroup()


def does_same_work(groups: pd.Series, arm: str, other: str) -> bool:
    """Whether two arms are known to be of one group of `group_same_work`."""
    return {arm, other} <= set(groups.index) and bool(groups[arm] == groups[other])


def compute_time_noise(data: StudyData, time: str, times: pd.Series) -> TimeNoise:
    """The noise between measurements of a time, pooled over the groups of arms that do the same work.

    `times` has one per arm: what was measured once, or the mean over its trials.
    """
    groups = group_same_work(data, time)
    times = times.reindex(groups.index).astype(float)
    logs = times[times > 0].map(math.log)
    by_group = logs.groupby(groups[logs.index])
    df = int((by_group.size() - 1).sum())
    squares = float(((logs - by_group.transform("mean")) ** 2).sum())
    return TimeNoise(math.sqrt(squares / df) if df else math.nan, df)


def widen_saving(saved: float, low: float, high: float, noise: TimeNoise, is_same_work: bool) -> tuple[float, float]:
    """The interval of a saved share of a time, made at least as wide as the noise between measurements.

    Of two arms that do the same work it always holds 0. nan where nothing says how far the share can stray.
    """
    if noise.df and saved < 1:
        low = float(np.fmin(low, 1 - (1 - saved) * math.exp(noise.half_width)))
        high = float(np.fmax(high, 1 - (1 - saved) * math.exp(-noise.half_width)))
    return (float(np.fmin(low, 0.0)), float(np.fmax(high, 0.0))) if is_same_work else (low, high)
