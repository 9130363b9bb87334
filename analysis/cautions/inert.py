"""Cautions about factors that provably cannot act: arms whose numbers are the same to the last digit."""

from itertools import chain

import numpy as np
import pandas as pd

from analysis.cautions.caution import Caution, keys_of, listed
from analysis.load import StudyData
from analysis.wording import count
from foresight.declared import FactorInfo
from foresight.metrics import METRICS, RELATIVE_METRICS
from foresight.space import BASELINE

LEAST_CHANGE = (
    1e-5  # of any output, in the check before the run: far above rounding, below what a factor that acts does
)


def inert_cautions(data: StudyData) -> list[Caution]:
    numbers = data.complete[["arm", "seed"]].assign(numbers=_numbers(data))
    baseline = numbers[numbers["arm"] == BASELINE].set_index("seed")["numbers"]
    shared = numbers[(numbers["arm"] != BASELINE) & numbers["seed"].isin(baseline.index)]
    repeats = shared["numbers"].to_numpy() == shared["seed"].map(baseline).to_numpy()
    per_arm = pd.Series(repeats, index=shared.index).groupby(shared["arm"], sort=False).agg(["all", "size"])
    inert = {str(arm): int(n) for arm, n in per_arm.loc[per_arm["all"], "size"].items()}
    return [
        *_inert_factors(data, numbers, set(inert)),
        *_inert_arms(data, inert),
        *_equal_arms(data, numbers, set(inert)),
        *_insensitive(data),
    ]


def _numbers(data: StudyData) -> np.ndarray:
    """One integer per complete trial that is equal exactly where all of its measured test metrics are.

    Times are left out where anything else was measured: two runs of one model differ in them, so they would hide that
    nothing else does.
    """
    measured = [metric for metric in data.metrics if metric not in RELATIVE_METRICS]
    untimed = [metric for metric in measured if not METRICS[metric].is_time]
    columns = [f"test/{metric}" for metric in untimed or measured]
    return pd.util.hash_pandas_object(data.complete[columns].astype(float), index=False).to_numpy()


def _inert_factors(data: StudyData, numbers: pd.DataFrame, inert: set[str]) -> list[Caution]:
    names = [factor.name for factor in data.factors if _never_acts(data, numbers, factor, inert)]
    text = f"No level of {listed(names)} changes any number, so this study says nothing about it."
    return [Caution("inert_factor", text)] if names else []


def _never_acts(data: StudyData, numbers: pd.DataFrame, factor: FactorInfo, inert: set[str]) -> bool:
    """Whether trials that differ in the factor alone have the same numbers, wherever there are such trials."""
    if not data.is_factorial:
        arms = {factor.arm_at(level) for level in factor.levels} & set(numbers["arm"]) - {BASELINE}
        return bool(arms) and arms <= inert
    others = [f"config/{other.field}" for other in data.factors if other is not factor]
    cells = numbers.groupby([numbers["seed"], *(data.complete[name] for name in others)], dropna=False)["numbers"]
    sizes = cells.agg(["size", "nunique"])
    return bool((sizes["size"] > 1).any() and (sizes["nunique"] == 1).all())


def _inert_arms(data: StudyData, inert: dict[str, int]) -> list[Caution]:
    named = [f"{arm} ({count(inert[arm], 'seed')})" for arm in data.arms if arm in inert]
    text = f"Exactly the baseline's numbers in every shared seed, so the factor changes nothing: {listed(named)}."
    return [Caution("inert", text, keys_of(data, inert))] if named else []


def _equal_arms(data: StudyData, numbers: pd.DataFrame, inert: set[str]) -> list[Caution]:
    """Arms that repeat one another, though not the baseline."""
    rest = numbers[~numbers["arm"].isin([BASELINE, *inert])].sort_values("seed", kind="stable")
    per_arm = rest.groupby("arm", sort=False)[["seed", "numbers"]].agg(tuple)
    per_arm = per_arm.reindex([arm for arm in data.arms if arm in per_arm.index])
    groups = per_arm.groupby([per_arm["seed"], per_arm["numbers"]], sort=False).groups.values()
    equal = [list(map(str, group)) for group in groups if len(group) > 1]
    named = [" = ".join(group) for group in equal]
    text = (
        f"Arms with the same numbers in every seed, so that what distinguishes them changes nothing: {listed(named)}."
    )
    return [Caution("equal_arms", text, keys_of(data, chain(*equal)))] if named else []


def _insensitive(data: StudyData) -> list[Caution]:
    """Arms of which the check before the run saw that they leave the model's output as it is."""
    changes = data.sweep.get("sensitivity") or {}
    named = [
        f"{arm} ({change:.1g})" for arm, change in changes.items() if change is not None and change <= LEAST_CHANGE
    ]
    text = f"The check before the run saw no output move by more than {LEAST_CHANGE:g} in {listed(named)}."
    return [Caution("insensitive", text)] if named else []
