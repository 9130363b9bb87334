"""What arms are weighed by: test metrics and costs, per arm as means and per arm and seed for what is drawn from them.

In: a study and the names of two or more objectives. Out: Objectives. One that is not known for every arm, or that does
not tell arms apart, is left out and named. Costs that are the same at every seed count as equal up to 5 %: nobody gains by
a measurement that is missing, or by 58 parameters of 100,000. Latency is measured once per arm: its draws have the spread
of its repeats, and not of their median, since a busy minute of the machine moves all repeats of an arm, or that of arms
which do the same work (`analysis.same_work`), whichever is wider.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.typing import DataFrameGroupBy

from analysis.judged import comparable_trials, judged_arms
from analysis.load import StudyData
from analysis.same_work import LATENCY, compute_time_noise
from analysis.wording import metric_phrase, whole_percent
from foresight.errors import RequestError, nearest_name
from foresight.metrics import METRICS

QUALITY = "quality"  # the claim's primary metric
COSTS = {  # objective: its column of the run log and its name in a sentence; less is better
    "params_trained": ("cost/params_trained", "trained parameters"),
    "params_total": ("cost/params_total", "parameters in all"),
    "flops": ("cost/flops", "FLOPs"),
    "latency_ms": ("cost/latency_ms", "latency"),
    "peak_memory_mb": ("cost/peak_memory_mb", "peak memory"),
    "train_s": ("cost/train_s", "training seconds"),
    "gpu_s": ("cost/gpu_s", "GPU-seconds"),
}
LATENCY_QUARTILES = ("latency_q25_ms", "latency_q75_ms")
IQR_OF_NORMAL = 1.349  # distance of the quartiles of a normal distribution, in standard deviations
DEFAULT_OBJECTIVES = (QUALITY, "params_trained", "latency_ms")
SAME_COST = 0.05  # costs within this share of the least of them are one cost, as the sizes of one budget are


@dataclass(frozen=True)
class Objective:
    name: str
    phrase: str  # inside a sentence
    higher: bool
    is_cost: bool


@dataclass(frozen=True)
class Objectives:
    """`means` has one row per arm; `values` [n_seeds, n_arms, n_objectives] the judged arms alone, in their order.

    All arms are known to be scored on the same test images. Judged are those with every registered seed, and none where fewer
    are registered than the claim asks for (`analysis.judged`). Without any arm everything is empty.
    """

    used: tuple[Objective, ...]
    left_out: tuple[str, ...]  # a phrase for each: which, and why
    means: pd.DataFrame  # indexed by arm, over the registered seeds that are complete, a column per objective used
    judged: tuple[str, ...]
    seeds: tuple[int, ...]
    values: np.ndarray
    spread: np.ndarray  # [n_arms, n_objectives], standard deviation of what was measured once per arm; else 0
    trials: pd.DataFrame  # of every arm, indexed by arm and seed, a column per objective used

    @property
    def maximise(self) -> list[bool]:
        return [objective.higher for objective in self.used]


def check_objectives(data: StudyData, names: Sequence[str]) -> tuple[Objective, ...]:
    """The objectives of those names. Raises RequestError for an unknown one, one named twice, or fewer than two."""
    allowed = (QUALITY, *COSTS, *data.metrics)
    for name in names:
        if name not in allowed:
            what = f"no trial of study '{data.name}' measured '{name}'"
            what = what if name in METRICS else f"'{name}' is no objective of study '{data.name}'"
            raise RequestError(f"{what}{nearest_name(name, allowed)}; its objectives are {', '.join(allowed)}")
    metrics = [data.claim.primary if name == QUALITY else name for name in names]
    if len(set(metrics)) < max(2, len(names)):
        raise RequestError(f"a trade-off needs two or more different objectives, got {', '.join(names) or 'none'}")
    return tuple(_objective(data, name) for name in names)


def read_objectives(data: StudyData, names: Sequence[str] = DEFAULT_OBJECTIVES) -> Objectives:
    """The objectives that tell this study's arms apart. Raises RequestError as `check_objectives` does."""
    asked = check_objectives(data, names)
    rows = comparable_trials(data)
    if rows.empty:
        return Objectives(
            (), (), pd.DataFrame(), (), data.registered_seeds, np.empty((0, 0, 0)), np.empty((0, 0)), pd.DataFrame()
        )
    columns = pd.DataFrame({objective.name: _column(data, rows, objective.name) for objective in asked})
    by_arm = columns.groupby(rows["arm"].to_numpy(), sort=False)
    means = _means(by_arm)
    means = means.loc[[arm for arm in data.arms if arm in means.index]]
    raw = means.copy()
    for name in [objective.name for objective in asked if objective.is_cost]:
        if by_arm[name].nunique().max() == 1:
            means[name] = merge_costs(means[name])
            columns[name] = rows["arm"].map(means[name])
    used, left_out = [], []
    for objective in asked:
        reason = _why_left_out(objective, means[objective.name], raw[objective.name])
        if reason:
            left_out.append(f"{objective.phrase} ({reason})")
        else:
            used.append(objective)
    if not used:  # a study of one arm, or of equals: its front is all of them
        used = [objective for objective in asked if means[objective.name].notna().all()][:1]
    if not used:
        raise RequestError(f"none of the objectives {', '.join(names)} is known for every arm of '{data.name}'")
    kept = [objective.name for objective in used]
    judged, seeds, values = _judged_values(data, rows, columns[kept])
    spread = np.array([_spread(data, name, judged) for name in kept]).T.reshape(len(judged), len(kept))
    trials = columns[kept].set_axis(pd.MultiIndex.from_frame(rows[["arm", "seed"]]))
    return Objectives(tuple(used), tuple(left_out), means[kept], judged, seeds, values, spread, trials)


def merge_costs(costs: pd.Series) -> pd.Series:
    """Each cost replaced by the least of its group; a group reaches from its least to SAME_COST above that."""
    in_order = costs.dropna().sort_values(kind="stable")
    merged: list[float] = []
    for cost in in_order.tolist():
        merged.append(merged[-1] if merged and cost <= merged[-1] * (1 + SAME_COST) else cost)
    return pd.Series(merged, index=in_order.index, dtype=float).reindex(costs.index)


def read_costs(data: StudyData) -> pd.DataFrame:
    """The mean of every cost over the registered seeds, indexed by arm; empty cells where it was not recorded."""
    columns = pd.DataFrame({name: cost_column(data, data.registered, name) for name in COSTS})
    return _means(columns.groupby(data.registered["arm"].to_numpy(), sort=False))


def cost_column(data: StudyData, rows: pd.DataFrame, name: str) -> pd.Series:
    """The cost of each of the trials `rows`, empty where it was not recorded."""
    column = COSTS[name][0]
    found = rows[column].astype(float) if column in rows else pd.Series(np.nan, index=rows.index)
    # Latency is measured once per arm, beside the trials, unless it is what the trials measure.
    return found.fillna(rows["arm"].map(data.latency["latency_ms"])) if name == LATENCY else found


def latency_quartiles(data: StudyData) -> pd.DataFrame:
    """LATENCY_QUARTILES of a latency that was measured once per arm, indexed by arm.

    Where trials measured their own, these are the arm's, and another measurement says nothing of how they spread.
    """
    own = data.complete.get(COSTS[LATENCY][0], pd.Series(np.nan, index=data.complete.index))
    measured = data.latency.reindex(columns=list(LATENCY_QUARTILES)).astype(float)
    return measured[~measured.index.isin(data.complete.loc[own.notna(), "arm"])]


def _objective(data: StudyData, name: str) -> Objective:
    if name in COSTS:
        return Objective(name, COSTS[name][1], False, True)
    metric = data.claim.primary if name == QUALITY else name
    return Objective(name, metric_phrase(metric), METRICS[metric].direction == "higher", False)


def _column(data: StudyData, rows: pd.DataFrame, name: str) -> pd.Series:
    if name in COSTS:
        return cost_column(data, rows, name)
    return rows[f"test/{data.claim.primary if name == QUALITY else name}"].astype(float)


def _spread(data: StudyData, name: str, arms: Sequence[str]) -> np.ndarray:
    """Per arm the standard deviation of a measurement: of its repeats, or between arms of the same work if that is more.

    0 where there is none to speak of. Repeats give theirs by their quartiles.
    """
    if name != LATENCY:
        return np.zeros(len(arms))
    quartiles = data.latency.reindex(index=list(arms), columns=list(LATENCY_QUARTILES)).astype(float)
    is_measured_once = data.complete.get(COSTS[name][0], pd.Series(dtype=float)).isna().all()
    spread = (quartiles.iloc[:, 1] - quartiles.iloc[:, 0]) / IQR_OF_NORMAL
    times = data.latency["latency_ms"].astype(float)
    between = compute_time_noise(data, name, times).normal_sd * times.reindex(list(arms)).fillna(0.0)
    return np.maximum(spread.fillna(0.0).to_numpy(), between.to_numpy()) * is_measured_once


def _means(by_arm: DataFrameGroupBy) -> pd.DataFrame:
    """Means per arm; of equal values exactly that value."""
    return by_arm.mean().where(by_arm.nunique() != 1, by_arm.first())


def _why_left_out(objective: Objective, means: pd.Series, raw: pd.Series) -> str:
    """Why the objective cannot tell arms apart, or ''; `raw` are the means before equal costs were merged."""
    n_without = int(means.isna().sum())
    if n_without:
        return f"not known for {n_without} of {len(means)} arms"
    if raw.min() == raw.max():
        return "the same for every arm"
    if objective.is_cost and means.max() <= means.min() * (1 + SAME_COST):
        return f"the same for every arm to within {whole_percent(SAME_COST)}"
    return ""


def _judged_values(
    data: StudyData, rows: pd.DataFrame, columns: pd.DataFrame
) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray]:
    seeds = data.registered_seeds
    registered = rows["seed"].isin(seeds) & columns.notna().all(axis=1)
    counts = rows.loc[registered, "arm"].value_counts()
    judged = tuple(arm for arm in judged_arms(data) if counts.get(arm, 0) == len(seeds))
    index = pd.MultiIndex.from_arrays([rows["seed"].astype(int), rows["arm"]])
    wide = columns.set_axis(index).reindex(pd.MultiIndex.from_product([seeds, judged]))
    return judged, seeds, wide.to_numpy().reshape(len(seeds), len(judged), columns.shape[1])
