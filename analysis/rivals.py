"""Sets one arm against every other by the study's own paired test, with that arm in the baseline's place.

In: values per arm and seed. Out: the rows of `foresight.compare`, indexed by the other arms' names.
"""

import numpy as np
import pandas as pd

from analysis.load import StudyData
from analysis.table import seed_values
from foresight.compare import compute_differences
from foresight.metrics import METRICS
from foresight.space import BASELINE

PREFIX = "arm "  # keeps the study's baseline apart from the arm that stands in its place


def judged_values(data: StudyData) -> pd.DataFrame:
    """Primary metric by arm and seed, of the arms that have every registered seed; empty where too few are registered."""
    values = seed_values(data, data.claim.primary)
    values = values[values["seed"].isin(data.registered_seeds)]
    counts = values["arm"].map(values["arm"].value_counts())
    enough = len(data.registered_seeds) >= data.claim.seeds
    return values[enough & (counts == len(data.registered_seeds))].reset_index(drop=True)


def compare_with(data: StudyData, values: pd.DataFrame, arm: str, n_planned: int) -> pd.DataFrame:
    """Difference rows of every other arm of `values` minus `arm`; Holm's correction is over `n_planned` comparisons."""
    renamed = values.assign(arm=np.where(values["arm"] == arm, BASELINE, PREFIX + values["arm"]))
    higher = METRICS[data.claim.primary].direction == "higher"
    rows = compute_differences(renamed, higher, data.claim.margin, n_planned, data.claim.seeds)
    return rows.set_index(rows["arm"].str.removeprefix(PREFIX))


def rank_arms(data: StudyData, values: pd.DataFrame) -> pd.Series:
    """Mean of every arm of `values`, the best first; of equal ones the first in the plan."""
    means = values.groupby("arm")["value"].mean().reindex([arm for arm in data.arms if arm in set(values["arm"])])
    higher = METRICS[data.claim.primary].direction == "higher"
    return means.sort_values(ascending=not higher, kind="stable")
