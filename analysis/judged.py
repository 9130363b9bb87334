"""Which arms may be set beside each other, and why an arm has no verdict although it has numbers.

In: a study. Arms are compared on the registered seeds, on test images that are known to be the same. A claim that only
explores compares its arms' numbers, and gives no verdict on them.
"""

import pandas as pd

from analysis.load import StudyData

EXPLORATION = "no verdict (exploration)"  # of a claim that says so: its arms were proposed by what earlier ones scored
UNKNOWN_IMAGES = "no verdict (test images unknown)"  # of published numbers


def comparable_trials(data: StudyData) -> pd.DataFrame:
    """The registered trials with the primary metric that are known to be scored on the same test images."""
    rows = data.registered
    return rows[rows[f"test/{data.claim.primary}"].notna() & rows.index.isin(data.comparable.index)]


def judged_arms(data: StudyData) -> list[str]:
    """The arms that have every registered seed, in the study's order; none where fewer are registered than claimed."""
    rows, seeds = comparable_trials(data), data.registered_seeds
    if len(seeds) < data.claim.verdict_seeds:
        return []
    counts = rows.loc[rows["seed"].isin(seeds), "arm"].value_counts()
    return [arm for arm in data.arms if counts.get(arm, 0) == len(seeds)]


def why_unjudged(data: StudyData) -> dict[str, str]:
    """Arm with the primary metric to `no verdict (...)`: of all arms of an exploration, else of those not judged."""
    judged, counts = set(judged_arms(data)), comparable_trials(data)["arm"].value_counts()
    if data.claim.exploratory:
        return dict.fromkeys(data.arms, EXPLORATION)
    return {
        arm: f"no verdict ({counts[arm]} of {data.claim.verdict_seeds} seeds)" if arm in counts else UNKNOWN_IMAGES
        for arm in data.registered["arm"].unique()
        if arm not in judged
    }
