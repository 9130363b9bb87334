"""Cautions about what the numbers can mean: arms that trivial predictors beat, that repeat each other, that tie."""

import math

import numpy as np
import pandas as pd

from analysis.cautions.caution import Caution, listed
from analysis.load import StudyData
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
    text = f"Means, differences and verdicts use the registered seeds alone ({', '.join(map(str, registered))}): "
    text += f"{count(len(extra), 'further complete seed')} ({listed(extra)}) {'enters' if len(extra) == 1 else 'enter'} none"
    return [Caution("extra_seeds", f"{text}, since looking again after more seeds would raise the false-verdict rate.")]


def _judged_metrics(data: StudyData) -> list[str]:
    """The primary metric and those of criteria, as far as they were measured on the test images."""
    named = dict.fromkeys([data.claim.primary, *(c.metric for c in data.claim.criteria if not c.on)])
    return [metric for metric in named if metric in data.metrics]


def _trivial(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    found = []
    for metric in _judged_metrics(data):
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
    if len(scored) or task.isin(UNTRAINED_TASKS).any():
        return []
    text = f"No trivial predictor was scored by {metric_phrase(data.claim.primary)} on these {data.items}, so nothing says "
    return [Caution("no_trivial", f"{text}what a model that ignores its input would reach.")]


def _tied(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    """The arm with the best mean, where the intervals of others reach into its own."""
    metric = data.claim.primary
    arms = table[(table["kind"] == "arm") & (table["role"] == "primary") & table["low"].notna()]
    if len(arms) < 2:
        return []
    higher = METRICS[metric].direction == "higher"
    arms = arms.sort_values("mean", ascending=not higher, kind="stable")
    best, others = arms.iloc[0], arms.iloc[1:]
    reach = others[others["high"] >= best["low"] if higher else others["low"] <= best["high"]]
    # Arm and baseline are paired: where their difference is decided, how far their own intervals reach is no matter.
    if best["arm"] == BASELINE:
        reach = reach[~(reach["p_holm"] < data.claim.alpha)]
    elif best["p_holm"] < data.claim.alpha:
        reach = reach[reach["arm"] != BASELINE]
    if reach.empty:
        return []
    decimals = decimals_of(metric)
    shown = [
        f"{row['arm']} ({number(row['mean'], decimals)} {interval(row['low'], row['high'], decimals)})"
        for row in [best.to_dict(), *reach.head(1).to_dict("records")]
    ]
    text = f"No arm is the best by {metric_phrase(metric)}: the interval of {shown[0]} overlaps "
    text += f"{count(len(reach), 'interval')} of others" if len(reach) > 1 else "that of another"
    keys = tuple(f"{best['keys']} {reach['keys'].iloc[0]}".split())
    return [Caution("tied", f"{text}, first {shown[1]}." if len(reach) > 1 else f"{text}, {shown[1]}.", keys)]


def _seedless_arms(data: StudyData) -> list[Caution]:
    found = data.complete.groupby("arm")[f"test/{data.claim.primary}"].agg(["count", "nunique"])
    constant = set(found.index[(found["count"] > 1) & (found["nunique"] == 1)])
    same = [arm for arm in data.arms if arm in constant]
    text = f"The same {metric_phrase(data.claim.primary)} in every seed, so the seed may not reach the trial: "
    return [Caution("same_in_every_seed", f"{text}{listed(same)}.")] if same else []


def _constant_metrics(data: StudyData) -> list[Caution]:
    found = []
    for metric in data.metrics:
        values = data.complete[f"test/{metric}"].dropna()
        if len(values) > 1 and values.nunique() == 1:
            shown = f"{METRICS[metric].label} is {number(float(values.iloc[0]), decimals_of(metric))}"
            found.append(Caution("constant", f"{shown} in all {len(values)} trials, so it distinguishes nothing."))
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
                found.append(Caution("saturated", f"{shown}, and cannot tell those apart."))
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
            named = [f"{arm} ({whole_percent(per_arm[arm])})" for arm in data.arms if per_arm.get(arm, 0.0) > 0.5]
            text = f"{METRICS[metric].label} is at its bound of {bound:g} on most {data.items} in {listed(named)}."
            found += [Caution("saturated", text)] if named else []
    return found


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
            found.append(Caution("typed", f"{text}measured means do not; they are marked as trained, not imported."))
    return found
