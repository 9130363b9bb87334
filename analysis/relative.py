"""Metrics relative to the claim's reference arm, derived trial by trial from stored columns.

In: the complete trials of a study. Out: the same rows with a `test/<metric>` column for each relative metric of METRICS
whose source they have. A trial is compared with the reference's trial at the same seed, so both saw the same data in the
same order, and only where both name the same test images, or neither names any (published numbers, which open no gate).
A ratio that stands in a row, on the test images or a further set, is never read: no trial measures it, so somebody wrote it.
"""

from collections.abc import Iterable

import pandas as pd

from foresight.metrics import METRICS, RELATIVE_METRICS

TEST_HASH = "data/test_hash"


def compute_param_efficiency(value: pd.Series, reference: pd.Series) -> pd.Series:
    """1 - (value - reference) / reference, of distances: 1 is parity, more is nearer than the reference."""
    return 1 - (value - reference) / reference


def compute_ratio(value: pd.Series, reference: pd.Series) -> pd.Series:
    """value / reference."""
    return value / reference


FORMULAS = {
    "param_efficiency": compute_param_efficiency,
    "param_efficiency_random_trunk": compute_param_efficiency,
    "training_time_ratio": compute_ratio,
}


def efficiency_by_seed(complete: pd.DataFrame, arm: str, reference: str, source: str) -> pd.Series:
    """Parameter efficiency of one arm against any other, indexed by the seeds that both have, in order.

    `source` is the column of the distance. A seed at which the reference's distance is not above 0, or at which the two
    do not name the same test images, has none.
    """
    of_arm, of_reference = (
        complete[complete["arm"] == name].set_index("seed")[source].astype(float).dropna() for name in (arm, reference)
    )
    of_reference = of_reference[of_reference > 0]
    named = complete.assign(**{TEST_HASH: complete[TEST_HASH].astype(object).fillna("")})
    mine, others = (named[named["arm"] == name].set_index("seed")[TEST_HASH].to_dict() for name in (arm, reference))
    same_test = {seed for seed in mine if mine[seed] == others.get(seed)}
    shared = sorted(set(of_arm.index) & set(of_reference.index) & same_test)
    return compute_param_efficiency(of_arm.loc[shared], of_reference.loc[shared])


def partner_keys(complete: pd.DataFrame, reference: str, metric: str, seeds: Iterable[int]) -> list[str]:
    """The reference's trials that a relative metric at these seeds rests on as well; none for another metric."""
    if metric not in RELATIVE_METRICS:
        return []
    mine = complete[complete["arm"] == reference]
    key_of = dict(zip(mine["seed"], mine["key"], strict=True))
    return [str(key_of[seed]) for seed in seeds]


def written_ratios(trials: pd.DataFrame) -> list[str]:
    """The columns in which some trial holds a relative metric of its own, on the test images or a further set."""
    return [
        column
        for column in map(str, trials)
        if column.startswith(("test/", "heldout/"))
        and column.split("/")[-1] in RELATIVE_METRICS
        and "/baseline/" not in column
        and trials[column].notna().any()
    ]


def add_relative_metrics(complete: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The rows with relative metrics made from their sources, in place of any that they hold.

    There are none where the claim names no reference (``).

    Missing where the reference has no complete trial at the seed or its value is not above 0, where the two do not name the
    same test images, and for the reference itself: it has 1 by definition, and must not meet a criterion by definition.
    `complete` has one row per arm and seed.
    """
    complete = complete.drop(columns=written_ratios(complete))
    if not reference:
        return complete
    is_reference = complete["arm"] == reference
    tested_on = complete[TEST_HASH].astype(object).fillna("")
    same_test = tested_on == complete["seed"].map(tested_on[is_reference].set_axis(complete.loc[is_reference, "seed"]))
    derived = {}
    for name in RELATIVE_METRICS:
        source = METRICS[name].compares
        if source in complete:
            of_seed = complete[is_reference].set_index("seed")[source].astype(float)
            partner = complete["seed"].map(of_seed[of_seed > 0]).where(same_test & ~is_reference)
            derived[f"test/{name}"] = FORMULAS[name](complete[source].astype(float), partner)
    return complete.assign(**derived)
