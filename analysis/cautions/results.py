"""Cautions about what the numbers can mean: arms that trivial predictors beat, that repeat each other, that tie."""

import math

import numpy as np
import pandas as pd

from analysis.capacity import MOST_AXES, list_capacity_axes
from analysis.cautions.caution import Caution, keys_of, listed
from analysis.judged import judged_arms
from analysis.load import StudyData
from analysis.rivals import compare_with, confidence_of_chosen, judged_values
from analysis.wording import count, decimals_of, interval, metric_phrase, number, whole_percent
from foresight.config.trial import UNTRAINED_TASKS
from foresight.metrics import METRICS
from foresight.space import BASELINE

MOST_DECIMALS = 4  # of values that look typed
LEAST_VALUES = 5  # fewer of them may end early by chance


def result_cautions(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    return [
        *_extra_seeds(data),
        *_trivial(data, table),
        *_no_trivial(data, table),
        *_tied(data, table),
        *_seedless_arms(data),
        *_constant_metrics(data),
        *_at_a_bound(data),
        *_saturated_images(data),
        *_typed(data),
        *_too_many_axes(data),
    ]


def _extra_seeds(data: StudyData) -> list[Caution]:
    registered = data.judged_seeds
    if not registered:
        return [
            Caution("extra_seeds", "The manifest plans no seed, so no seed is registered and no arm has a verdict.")
        ]
    extra = sorted(set(data.complete["seed"].astype(int)) - set(registered))
    if not extra:
        return []
    keys = tuple(data.complete.loc[data.complete["seed"].isin(extra), "key"])
    text = f"Means, differences and verdicts use the registered seeds alone ({', '.join(map(str, registered))}): "
    text += f"{count(len(extra), 'further complete seed')} ({listed(extra)}) {'enters' if len(extra) == 1 else 'enter'} none"
    return [
        Caution(
            "extra_seeds", f"{text}, since looking again after more seeds would raise the false-verdict rate.", keys
        )
    ]


def _judged_metrics(data: StudyData) -> list[str]:
    """The primary metric and those of criteria, as far as they were measured on the test images."""
    named = dict.fromkeys([data.claim.primary, *(c.metric for c in data.claim.criteria if not c.on)])
    return [metric for metric in named if metric in data.metrics]


def _trivial(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    found = []
    for metric in [name for name in _judged_metrics(data) if METRICS[name].has_floor]:
        rows = table[(table["metric"] == metric) & table["mean"].notna()]
        arms, sign = rows[rows["kind"] == "arm"], 1 if METRICS[metric].direction == "higher" else -1
        for trivial in rows[rows["kind"] == "trivial"].to_dict("records"):
            low = arms[sign * arms["mean"] <= sign * trivial["mean"]]
            if len(low):
                decimals = decimals_of(metric)
                named = [f"{arm} ({number(mean, decimals)})" for arm, mean in zip(low["arm"], low["mean"], strict=True)]
                score = f"{metric_phrase(metric)} {number(trivial['mean'], decimals)}"
                text = f"No better than the trivial predictor {trivial['arm']} ({score}): {listed(named)}."
                found.append(Caution("trivial", text, tuple(" ".join(low["keys"]).split())))
    return found


def _no_trivial(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    scored = table[(table["role"] == "primary") & (table["kind"] == "trivial") & table["mean"].notna()]
    task = data.complete.get("config/task", pd.Series(dtype=object))
    if len(scored) or task.isin(UNTRAINED_TASKS).any() or not METRICS[data.claim.primary].has_floor:
        return []
    text = f"No trivial predictor was scored by {metric_phrase(data.claim.primary)} on these {data.items}, so nothing says "
    return [Caution("no_trivial", f"{text}what a model that ignores its input would reach.")]


def _tied(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    """The arm with the best mean, where the intervals of others reach into its own: whether that leaves it the best.

    Intervals of two arms also hold what a seed does to both, so that they may overlap although the arms differ at every
    seed alike. Which others are apart is therefore said by the difference paired by seed, whose interval is right
    although the best was chosen by the numbers (`analysis.rivals`), and against the baseline by the verdict as well.
    """
    metric = data.claim.primary
    arms = table[(table["kind"] == "arm") & (table["role"] == "primary") & table["low"].notna()]
    if len(arms) < 2:
        return []
    higher = METRICS[metric].direction == "higher"
    arms = arms.sort_values("mean", ascending=not higher, kind="stable").set_index("arm")
    best, others = arms.iloc[0], arms.iloc[1:]
    reach = others[others["high"] >= best["low"] if higher else others["low"] <= best["high"]]
    if reach.empty:
        return []
    is_tested = not data.claim.exploratory and {str(best.name), *reach.index.astype(str)} <= set(judged_arms(data))
    apart, decimals, phrase = _apart_from(data, str(best.name), arms), decimals_of(metric), metric_phrase(metric)
    shown = {
        str(arm): f"{arm} ({number(row['mean'], decimals)} {interval(row['low'], row['high'], decimals)})"
        for arm, row in arms.iterrows()
    }
    tied = [str(arm) for arm in reach.index if arm not in apart]
    if not tied:
        first = str(reach.index[0])
        difference, low, high = (number(value, decimals) for value in apart[first])
        text = (
            f"{shown[str(best.name)]} has the best mean {phrase} and its interval overlaps that of {shown[first]}, but "
        )
        text += f"paired by seed they are apart: {first} differs by {difference} [{low}, {high}]."
        return [Caution("tied", text, _keys(arms, str(best.name), first))]
    text = f"No arm is shown to be the best by {phrase}: the interval of {shown[str(best.name)]} overlaps "
    text += f"{count(len(tied), 'interval')} of others" if len(tied) > 1 else "that of another"
    how = (
        "no difference paired by seed tells them apart"
        if is_tested
        else "not all of them are tested against each other"
    )
    untold = f"{', first' if len(tied) > 1 else ','} {shown[tied[0]]}, and {how}"
    return [Caution("tied", f"{text}{untold}.", _keys(arms, str(best.name), tied[0]))]


def _apart_from(data: StudyData, best: str, arms: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """The arms that are told apart from the best, with their difference from it and its interval; none without a test."""
    values = judged_values(data)
    if data.claim.exploratory or best not in set(values["arm"]):
        return {}
    rows = compare_with(data, values, best, len(data.arms))
    # As the interval without zero, but that differences which are all the same show no noise: a sign test.
    is_apart = rows["p"] < 1 - confidence_of_chosen(len(rows))
    judged = arms["p_holm"] < data.claim.alpha  # the verdicts, which this may not contradict
    if best == BASELINE:
        is_apart |= rows.index.isin(judged.index[judged])
    elif judged[best]:
        is_apart |= rows.index == BASELINE
    numbers = rows.loc[is_apart, ["difference", "low", "high"]]
    return {str(arm): (d, low, high) for arm, d, low, high in numbers.itertuples()}


def _keys(arms: pd.DataFrame, *names: str) -> tuple[str, ...]:
    return tuple(" ".join(arms.loc[list(names), "keys"]).split())


def _seedless_arms(data: StudyData) -> list[Caution]:
    found = data.complete.groupby("arm")[f"test/{data.claim.primary}"].agg(["count", "nunique"])
    constant = set(found.index[(found["count"] > 1) & (found["nunique"] == 1)])
    same = [arm for arm in data.arms if arm in constant]
    text = f"The same {metric_phrase(data.claim.primary)} in every seed, so the seed may not reach the trial: "
    return [Caution("same_in_every_seed", f"{text}{listed(same)}.", keys_of(data, same))] if same else []


def _constant_metrics(data: StudyData) -> list[Caution]:
    found = []
    for metric in data.metrics:
        values = data.complete[f"test/{metric}"].dropna()
        if len(values) > 1 and values.nunique() == 1:
            shown = f"{METRICS[metric].label} is {number(float(values.iloc[0]), decimals_of(metric))}"
            text = f"{shown} in all {len(values)} trials, so it distinguishes nothing."
            found.append(Caution("constant", text, tuple(data.complete.loc[values.index, "key"])))
    return found


def _at_a_bound(data: StudyData) -> list[Caution]:
    """Metrics for which half of the trials or more stand at the best or worst possible value."""
    found = []
    for metric in data.metrics:
        values = data.complete[f"test/{metric}"].dropna().astype(float)
        for bound in (METRICS[metric].low, METRICS[metric].high):
            n = int((values == bound).sum()) if math.isfinite(bound) else 0
            if 2 * n >= len(values) > n:  # all of them: constant, and said so
                shown = f"{METRICS[metric].label} is at its bound of {bound:g} in {n} of {len(values)} trials"
                keys = tuple(data.complete.loc[values.index[values == bound], "key"])
                found.append(Caution("saturated", f"{shown}, and cannot tell those apart.", keys))
    return found


def _saturated_images(data: StudyData) -> list[Caution]:
    """Arms of which most test images stand at a bound of a metric that is judged."""
    found = []
    rows = data.samples[(data.samples["split"] == "test") & (data.samples["n_values"] > 0)]
    arm_of = data.complete.set_index("key")["arm"]
    for metric in [name for name in _judged_metrics(data) if not METRICS[name].is_share]:
        mine = rows[rows["metric"] == metric]
        for side, bound in (("minimum", METRICS[metric].low), ("maximum", METRICS[metric].high)):
            share = (mine[f"n_at_{side}"] / mine["n_values"]).where(mine[side] == bound, 0.0)
            per_arm = share.groupby(mine["key"].map(arm_of)).mean()
            arms = [arm for arm in data.arms if per_arm.get(arm, 0.0) > 0.5]
            named = [f"{arm} ({whole_percent(per_arm[arm])})" for arm in arms]
            text = f"{METRICS[metric].label} is at its bound of {bound:g} on most {data.items} in {listed(named)}."
            found += [Caution("saturated", text, keys_of(data, arms))] if named else []
    return found


def _too_many_axes(data: StudyData) -> list[Caution]:
    """Pairs of sizes that a table of efficiency would have, and a large factorial has none of."""
    n_axes = len(list_capacity_axes(data))
    if n_axes <= MOST_AXES:
        return []
    text = f"Sizes can be compared along {n_axes} axes, one for each combination of the other factors' levels, and more than "
    return [
        Caution(
            "capacity", f"{text}{MOST_AXES} are not: no pair of sizes has its efficiency here, and no law is fitted."
        )
    ]


def _typed(data: StudyData) -> list[Caution]:
    """Metrics whose every value ends after few decimals although they were measured: numbers that a hand wrote."""
    found = []
    trained = data.complete[data.complete["provenance"] == "trained"]
    for metric in data.metrics:
        values = trained[f"test/{metric}"].dropna().astype(float).to_numpy()
        counts = values * trained.loc[trained[f"test/{metric}"].notna(), "data/n_test"].to_numpy(dtype=float)
        is_share = np.isclose(counts, np.round(counts), rtol=0, atol=1e-6)
        if len(values) >= LEAST_VALUES and not is_share.all() and (values == np.round(values, MOST_DECIMALS)).all():
            text = f"All {len(values)} values of {metric_phrase(metric)} end after at most {MOST_DECIMALS} decimals, which "
            text += "measured means do not; they are marked as trained, not imported."
            found.append(Caution("typed", text, tuple(trained.loc[trained[f"test/{metric}"].notna(), "key"])))
    return found
