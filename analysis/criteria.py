"""The criteria of the claim, each judged by its interval on the one arm that the claim names.

In: a study. Out: rows of VERDICT_COLUMNS. A criterion is `met` or `not met` where the whole interval over the registered
seeds lies on one side of acceptable, `undecided` where it does not or seeds are missing, `not measured` where no trial of
the judged arm has the metric. No value of another arm ever enters, and only `met` counts as met.
"""

import math

import pandas as pd

from analysis.heldout import heldout_size, heldout_values
from analysis.load import StudyData
from analysis.mean_interval import cut_to_range
from analysis.missing_seeds import count_failed, seed_share
from analysis.relative import partner_keys
from analysis.table import seed_values
from analysis.wording import count, decimals_of, interval, metric_phrase, number
from foresight.claim import Criterion
from foresight.compare import compute_estimate
from foresight.estimates import CONFIDENCE
from foresight.metrics import METRICS
from foresight.space import BASELINE


def build_criteria(data: StudyData) -> list[dict[str, object]]:
    """One row per criterion of the claim; `estimate` is the judged arm's mean, `keys` are the trials behind it.

    The interval has confidence 1 - alpha of the claim, and says so where that is not the 95 % of every other table.
    """
    return [_criterion_row(data, criterion) for criterion in data.claim.criteria]


def unmet_criteria(verdicts: pd.DataFrame) -> list[str]:
    """The sentences of criteria that are not met. A claim without criteria has one as well: nothing was shown."""
    criteria = verdicts[verdicts["kind"] == "criterion"]
    if criteria.empty:
        return ["the claim names no criterion"]
    return criteria.loc[criteria["verdict"] != "met", "sentence"].tolist()


def decide_criterion(low: float, high: float, acceptable: float, higher: bool) -> str:
    """`met` or `not met` if the whole interval lies on one side of acceptable, else, or without one, `undecided`."""
    if math.isnan(low):
        return "undecided"
    met = low >= acceptable if higher else high <= acceptable
    missed = high < acceptable if higher else low > acceptable
    return "met" if met else "not met" if missed else "undecided"


def _criterion_row(data: StudyData, criterion: Criterion) -> dict[str, object]:
    metric, arm = criterion.metric, data.claim.judged_arm(data.arms)
    who = "the baseline" if arm == BASELINE else arm
    row: dict[str, object] = {
        "kind": "criterion", "name": arm, "factor": "", "level": "", "metric": metric, "on": criterion.on, "n_seeds": 0,
        "seeds": "", "n_test": data.n_test_of(arm, metric), "target": criterion.target, "acceptable": criterion.acceptable,
        "failure": criterion.failure, "keys": "",
    }  # fmt: skip
    if not data.is_of_test_rows(metric):
        row["n_test"] = None
    values = _criterion_values(data, criterion, arm)
    if values.empty:
        measured = ", ".join(data.metrics)
        where = f" on the further set '{criterion.on}'" if criterion.on else f" (the run log has {measured})"
        if metric in data.metrics and not criterion.on:
            where = " (no complete trial of it at a registered seed has it)"
        sentence = f"{metric} was not measured of {who}{where}, so its criterion is not met."
        return row | {"verdict": "not measured", "sentence": sentence}
    tested = data.tested_on(arm, metric)
    if criterion.on:
        row["n_test"] = heldout_size(data, criterion.on, arm, metric)
        tested = f"{row['n_test']} of the further set {criterion.on}"
    values = values[values["seed"].isin(data.registered_seeds)]
    estimate, higher = (
        compute_estimate(values["value"].tolist(), 1 - data.claim.alpha),
        METRICS[metric].direction == "higher",
    )
    enough = estimate.n >= data.claim.verdict_seeds
    verdict = decide_criterion(estimate.low, estimate.high, criterion.acceptable, higher) if enough else "undecided"
    decimals, (low, high) = decimals_of(metric), cut_to_range(metric, [estimate.low, estimate.high])
    shown = f"{number(estimate.mean, decimals)} {interval(low, high, decimals)}".strip()
    if shown.endswith("]") and 1 - data.claim.alpha != CONFIDENCE:
        shown += f" at {1 - data.claim.alpha:.4g} confidence"
    n_failed = count_failed(data, {arm}, set(values["seed"]))
    seeds = count(estimate.n, "seed") if enough else seed_share(estimate.n, data.claim.verdict_seeds, n_failed)
    sentence = (
        f"Criterion {metric_phrase(metric)} at {'least' if higher else 'most'} {criterion.acceptable:g} is {verdict}: "
        f"{who} has {shown} ({seeds}{tested and f', {tested}'}; target {criterion.target:g})."
    )
    keys = [*values["key"], *partner_keys(data.complete, data.claim.reference, metric, values["seed"])]
    return row | {
        "verdict": verdict, "n_seeds": estimate.n, "seeds": " ".join(map(str, values["seed"])),
        "estimate": estimate.mean, "low": float(low), "high": float(high), "keys": " ".join(keys),
        "band": _band(estimate.mean, criterion, higher) if estimate.n else "", "sentence": sentence,
    }  # fmt: skip


def _criterion_values(data: StudyData, criterion: Criterion, arm: str) -> pd.DataFrame:
    """Seed, key and value of the arm's trials that measured the criterion's metric, on the test split or a further set."""
    if criterion.on:
        trials = data.complete[data.complete["arm"] == arm]
        found = heldout_values(trials, criterion.on, criterion.metric)
        key_of = dict(zip(trials["seed"], trials["key"], strict=True))
        values = pd.DataFrame({"seed": found.index, "value": found.to_numpy()}).sort_values("seed")
        return values.assign(key=[key_of[seed] for seed in values["seed"]])
    if criterion.metric not in data.metrics:
        return pd.DataFrame(columns=["seed", "key", "value"])
    values = seed_values(data, criterion.metric).sort_values("seed")
    return values[values["arm"] == arm]


def _band(mean: float, criterion: Criterion, higher: bool) -> str:
    """Where the mean alone stands between the three limits."""
    sign = 1 if higher else -1
    for name, limit in (("target", criterion.target), ("acceptable", criterion.acceptable)):
        if sign * mean >= sign * limit:
            return name
    return "failure" if sign * mean <= sign * criterion.failure else "below acceptable"
