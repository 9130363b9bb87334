"""Sets one arm against every other by the study's own paired test, with that arm in the baseline's place.

In: values per arm and seed. Out: the rows of `foresight.compare`, indexed by the other arms' names. The arm is mostly one
that the numbers have chosen, the best, and what is said of it must be right whichever they choose (in simulations of 15
equal arms at 5 seeds, 16 % of the plain 95 % intervals of arm minus best miss, `python -m benchmarks.chosen`). So the intervals
are Bonferroni's over the arms it might have been. Adjusted p-values are right if `n_planned` counts as much: all pairs.
"""

import numpy as np
import pandas as pd

from analysis.judged import judged_arms
from analysis.load import StudyData
from analysis.table import seed_values
from foresight.compare import compute_differences
from foresight.estimates import CONFIDENCE, compute_half_width
from foresight.metrics import METRICS
from foresight.space import BASELINE

PREFIX = "arm "  # keeps the study's baseline apart from the arm that stands in its place


def judged_values(data: StudyData) -> pd.DataFrame:
    """Primary metric by arm and seed, of the arms that may be compared (`analysis.judged`)."""
    values = seed_values(data, data.claim.primary)
    is_judged = values["arm"].isin(judged_arms(data)) & values["seed"].isin(data.registered_seeds)
    return values[is_judged].reset_index(drop=True)


def compare_with(data: StudyData, values: pd.DataFrame, arm: str, n_planned: int) -> pd.DataFrame:
    """Difference rows of every other arm of `values` minus `arm`; Holm's correction is over `n_planned` comparisons.

    `low` and `high` are a 95 % interval of each arm's difference from `arm`, were it chosen from all the others by its mean.
    """
    renamed = values.assign(arm=np.where(values["arm"] == arm, BASELINE, PREFIX + values["arm"]))
    higher = METRICS[data.claim.primary].direction == "higher"
    rows = compute_differences(renamed, higher, data.claim.margin, n_planned, data.claim.verdict_seeds)
    confidence = confidence_of_chosen(len(rows))
    half_width = compute_half_width(rows["standard_error"].to_numpy(), rows["degrees"].to_numpy(), confidence)
    rows = rows.assign(low=rows["difference"] - half_width, high=rows["difference"] + half_width)
    return rows.set_index(rows["arm"].str.removeprefix(PREFIX))


def confidence_of_chosen(n_others: int) -> float:
    """Of an interval of one arm's difference from the best of `n_others`, so that it holds whichever that is (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / max(1, n_others)


def rank_arms(data: StudyData, values: pd.DataFrame) -> pd.Series:
    """Mean of every arm of `values`, the best first; of equal ones the first in the plan."""
    means = values.groupby("arm")["value"].mean().reindex([arm for arm in data.arms if arm in set(values["arm"])])
    higher = METRICS[data.claim.primary].direction == "higher"
    return means.sort_values(ascending=not higher, kind="stable")
