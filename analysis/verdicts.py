"""What the numbers support: a verdict for each arm on the primary metric, and one for each criterion of the claim.

In: a study and its ablation table. Out: one frame with VERDICT_COLUMNS, criteria first, whose sentences are made from
the same rows. A verdict needs the number of paired seeds that the claim registered; fewer give `no verdict`.
"""

import math

import pandas as pd

from analysis.load import StudyData
from analysis.wording import count, decimals_of, interval, metric_phrase, number
from foresight.claim import Criterion
from foresight.metrics import METRICS
from foresight.space import BASELINE

VERDICT_COLUMNS = (
    "kind", "name", "factor", "level", "metric", "verdict", "n_seeds", "seeds", "n_test",
    "estimate", "low", "high", "p_holm", "worst_case", "margin", "target", "acceptable", "failure", "band", "sentence",
)  # fmt: skip


def build_verdicts(data: StudyData, table: pd.DataFrame) -> pd.DataFrame:
    """One row per criterion (`kind` criterion, `estimate` the baseline's mean) and per arm (`arm`, its difference)."""
    rows = [_criterion_row(data, table, criterion) for criterion in data.claim.criteria]
    primary = table[(table["kind"] == "arm") & (table["role"] == "primary")]
    rows += [_arm_row(data, row) for _, row in primary.iterrows() if row["arm"] != BASELINE]
    verdicts = pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))
    verdicts["n_seeds"] = verdicts["n_seeds"].astype("Int64")
    return verdicts


def unmet_criteria(verdicts: pd.DataFrame) -> list[str]:
    """The sentences that keep a gate closed. A claim without criteria keeps it closed as well: nothing was shown."""
    criteria = verdicts[verdicts["kind"] == "criterion"]
    if criteria.empty:
        return ["the claim names no criterion"]
    return criteria.loc[criteria["verdict"] != "met", "sentence"].tolist()


def decide_arm(
    n_pairs: int,
    registered: int,
    difference: float,
    p_holm: float,
    worst_case: float,
    margin: float,
    alpha: float,
    higher: bool,
) -> str:
    """`better`, `worse`, `non-inferior`, `undecided` or `no verdict (n of N seeds)`, from one row of differences."""
    if n_pairs < registered or math.isnan(p_holm):
        return f"no verdict ({n_pairs} of {registered} seeds)"
    if p_holm < alpha:
        return "better" if (difference > 0) == higher else "worse"
    return "non-inferior" if worst_case > -margin else "undecided"


def decide_criterion(low: float, high: float, acceptable: float, higher: bool) -> str:
    """`met` or `not met` if the whole interval lies on one side of acceptable, else, or without one, `undecided`."""
    if math.isnan(low):
        return "undecided"
    met = low >= acceptable if higher else high <= acceptable
    missed = high < acceptable if higher else low > acceptable
    return "met" if met else "not met" if missed else "undecided"


def _arm_row(data: StudyData, row: pd.Series) -> dict[str, object]:
    claim, metric = data.claim, str(row["metric"])
    n_pairs = 0 if pd.isna(row["n_pairs"]) else int(row["n_pairs"])
    higher = row["direction"] == "higher"
    verdict = decide_arm(
        n_pairs, claim.seeds, row["difference"], row["p_holm"], row["worst_case"], claim.margin, claim.alpha, higher
    )
    return {
        "kind": "arm", "name": row["arm"], "factor": row["factor"], "level": row["level"], "metric": metric,
        "verdict": verdict, "n_seeds": n_pairs, "seeds": row["pair_seeds"], "n_test": row["n_test"],
        "estimate": row["difference"], "low": row["difference_low"], "high": row["difference_high"],
        "p_holm": row["p_holm"], "worst_case": row["worst_case"], "margin": claim.margin,
        "sentence": _arm_sentence(row, verdict, n_pairs, claim.margin),
    }  # fmt: skip


def _arm_sentence(row: pd.Series, verdict: str, n_pairs: int, margin: float) -> str:
    metric = str(row["metric"])
    decimals, phrase = decimals_of(metric), metric_phrase(metric)
    shown = " ".join(
        [number(row["difference"], decimals), interval(row["difference_low"], row["difference_high"], decimals)]
    ).strip()
    basis = f"({count(n_pairs, 'paired seed')}, {row['n_test']} test images)"
    if n_pairs == 0:
        return f"{row['arm']}: {verdict}, it shares no complete seed with the baseline."
    if verdict in ("better", "worse"):
        low, high = sorted((abs(row["difference_low"]), abs(row["difference_high"])))
        size = f"{number(abs(row['difference']), decimals)} {interval(low, high, decimals)} {phrase}"
        within = (
            f", which is within the margin of {margin:g}" if verdict == "worse" and row["worst_case"] > -margin else ""
        )
        return f"{row['arm']} is {verdict} than the baseline by {size} {basis}{within}."
    if verdict == "non-inferior":
        found = f"{row['arm']} is non-inferior to the baseline at a margin of {margin:g}"
        return f"{found}: {phrase} differs by {shown} {basis}."
    return f"{row['arm']}: {verdict}, {phrase} differs from the baseline by {shown} {basis}."


def _criterion_row(data: StudyData, table: pd.DataFrame, criterion: Criterion) -> dict[str, object]:
    metric = criterion.metric
    row: dict[str, object] = {
        "kind": "criterion", "name": BASELINE, "factor": "", "level": "", "metric": metric, "n_seeds": 0, "seeds": "",
        "n_test": data.n_test, "target": criterion.target, "acceptable": criterion.acceptable,
        "failure": criterion.failure,
    }  # fmt: skip
    found = table[(table["arm"] == BASELINE) & (table["metric"] == metric)]
    if metric not in data.metrics or found.empty or math.isnan(found["mean"].iloc[0]):
        measured = ", ".join(data.metrics)
        sentence = (
            f"{metric} was not measured on the baseline (the run log has {measured}), so its criterion is not met."
        )
        return row | {"verdict": "not measured", "sentence": sentence}
    estimate = found.iloc[0]
    n_seeds, higher = int(estimate["n_seeds"]), METRICS[metric].direction == "higher"
    enough = n_seeds >= data.claim.seeds
    verdict = (
        decide_criterion(estimate["low"], estimate["high"], criterion.acceptable, higher) if enough else "undecided"
    )
    decimals = decimals_of(metric)
    shown = f"{number(estimate['mean'], decimals)} {interval(estimate['low'], estimate['high'], decimals)}".strip()
    seeds = count(n_seeds, "seed") if enough else f"{n_seeds} of {data.claim.seeds} seeds"
    sentence = (
        f"Criterion {metric_phrase(metric)} at {'least' if higher else 'most'} {criterion.acceptable:g} is {verdict}: "
        f"the baseline has {shown} ({seeds}, {data.n_test} test images; target {criterion.target:g})."
    )
    return row | {
        "verdict": verdict, "n_seeds": n_seeds, "seeds": estimate["seeds"], "estimate": estimate["mean"],
        "low": estimate["low"], "high": estimate["high"], "band": _band(estimate["mean"], criterion, higher),
        "sentence": sentence,
    }  # fmt: skip


def _band(mean: float, criterion: Criterion, higher: bool) -> str:
    """Where the mean alone stands between the three limits."""
    sign = 1 if higher else -1
    for name, limit in (("target", criterion.target), ("acceptable", criterion.acceptable)):
        if sign * mean >= sign * limit:
            return name
    return "failure" if sign * mean <= sign * criterion.failure else "below acceptable"
