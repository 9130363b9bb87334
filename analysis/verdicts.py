"""What the numbers support: a verdict for each arm on the primary metric, and one for each criterion of the claim.

In: a study and its ablation table. Out: one frame with VERDICT_COLUMNS, criteria first, whose sentences are made from
the same rows. Verdicts are judged on exactly the registered seeds: with fewer of them there is none, and more change
none. All arms are one family: each of `better or worse` and `non-inferior` is wrong for any arm at a rate of alpha.
"""

import math

import pandas as pd

from analysis.compare import compute_estimate
from analysis.heldout import heldout_size, heldout_values
from analysis.load import StudyData
from analysis.power import MOST_FURTHER_SEEDS, compute_more_seeds
from analysis.table import seed_values
from analysis.wording import count, decimals_of, interval, metric_phrase, number, p_phrase
from foresight.claim import Claim, Criterion
from foresight.metrics import METRICS
from foresight.space import BASELINE

VERDICT_COLUMNS = (
    "kind", "name", "factor", "level", "metric", "verdict", "n_seeds", "seeds", "n_test",
    "estimate", "low", "high", "p_holm", "p_noninferior_holm", "margin", "method",
    "more_seeds", "target", "acceptable", "failure", "band", "sentence",
)  # fmt: skip


def build_verdicts(data: StudyData, table: pd.DataFrame) -> pd.DataFrame:
    """One row per criterion (`kind` criterion, `estimate` the judged arm's mean) and per arm (`arm`, its difference)."""
    rows = [_criterion_row(data, table, criterion) for criterion in data.claim.criteria]
    primary = table[(table["kind"] == "arm") & (table["role"] == "primary")]
    levels = [_open_level(data, primary, name) for name in ("p_holm", "p_noninferior_holm")]
    rows += [_arm_row(data, row, *levels) for _, row in primary.iterrows() if row["arm"] != BASELINE]
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
    p_noninferior_holm: float,
    alpha: float,
    higher: bool,
    n_failed: int = 0,
) -> str:
    """`better`, `worse`, `non-inferior`, `undecided` or `no verdict (n of N seeds)`, from one row of differences.

    `n_failed` of the missing pairs failed: what is left of a diverging arm is a selection, and the words say so.
    """
    if n_pairs < registered or math.isnan(p_holm):
        return f"no verdict ({_share(n_pairs, registered, n_failed)})"
    if p_holm < alpha:
        return "better" if (difference > 0) == higher else "worse"
    return "non-inferior" if p_noninferior_holm < alpha else "undecided"


def decide_criterion(low: float, high: float, acceptable: float, higher: bool) -> str:
    """`met` or `not met` if the whole interval lies on one side of acceptable, else, or without one, `undecided`."""
    if math.isnan(low):
        return "undecided"
    met = low >= acceptable if higher else high <= acceptable
    missed = high < acceptable if higher else low > acceptable
    return "met" if met else "not met" if missed else "undecided"


def _open_level(data: StudyData, primary: pd.DataFrame, adjusted: str) -> float:
    """The level that Holm leaves to each comparison still open: alpha over the number of those not decided."""
    n_open = sum(arm != BASELINE for arm in data.arms) - int((primary[adjusted] < data.claim.alpha).sum())
    return data.claim.alpha / max(1, n_open)


def _arm_row(data: StudyData, row: pd.Series, level: float, noninferior_level: float) -> dict[str, object]:
    claim, metric = data.claim, str(row["metric"])
    n_pairs = 0 if pd.isna(row["n_pairs"]) else int(row["n_pairs"])
    pairs = set(map(int, str(row["pair_seeds"]).split())) if n_pairs else set()
    verdict = decide_arm(
        n_pairs, claim.seeds, row["difference"], row["p_holm"], row["p_noninferior_holm"], claim.alpha,
        row["direction"] == "higher", _count_failed(data, {str(row["arm"]), BASELINE}, pairs),
    )  # fmt: skip
    more_seeds = math.nan
    if verdict == "undecided":
        signed = row["difference"] if row["direction"] == "higher" else -row["difference"]
        more_seeds = compute_more_seeds(
            signed, row["standard_error"], row["degrees"], n_pairs, claim.margin, level, noninferior_level, claim.power
        )
    return {
        "kind": "arm", "name": row["arm"], "factor": row["factor"], "level": row["level"], "metric": metric,
        "verdict": verdict, "n_seeds": n_pairs, "seeds": row["pair_seeds"], "n_test": row["n_test"],
        "estimate": row["difference"], "low": row["difference_low"], "high": row["difference_high"],
        "p_holm": row["p_holm"], "p_noninferior_holm": row["p_noninferior_holm"],
        "margin": claim.margin, "method": row["method"], "more_seeds": more_seeds,
        "sentence": _arm_sentence(row, verdict, n_pairs, claim, data.items, more_seeds),
    }  # fmt: skip


def _count_failed(data: StudyData, arms: set[str], present: set[int]) -> int:
    """Registered seeds outside `present` at which a trial of `arms` failed."""
    if present >= set(data.registered_seeds):
        return 0
    failed = data.trials[(data.trials["status"] == "failed") & data.trials["arm"].isin(arms)]
    return len((set(data.registered_seeds) - present) & set(failed["seed"]))


def _share(n: int, registered: int, n_failed: int) -> str:
    return f"{n} of {registered} seeds" + (f", {n_failed} failed" if n_failed else "")


def _arm_sentence(row: pd.Series, verdict: str, n_pairs: int, claim: Claim, items: str, more_seeds: float) -> str:
    metric = str(row["metric"])
    decimals, phrase = decimals_of(metric), metric_phrase(metric)
    shown = " ".join(
        [number(row["difference"], decimals), interval(row["difference_low"], row["difference_high"], decimals)]
    ).strip()
    basis = f"{count(n_pairs, 'paired seed')}, {row['n_test']} {items}"
    p_differs, p_noninferior = p_phrase(row["p_holm"]), p_phrase(row["p_noninferior_holm"])
    if n_pairs == 0:
        return f"{row['arm']}: {verdict}, it shares no complete registered seed with the baseline."
    if verdict in ("better", "worse"):
        low, high = sorted((abs(row["difference_low"]), abs(row["difference_high"])))
        size = f"{number(abs(row['difference']), decimals)} {interval(low, high, decimals)} {phrase}"
        is_within = verdict == "worse" and row["p_noninferior_holm"] < claim.alpha
        within = f", which is within the margin of {claim.margin:g} (adjusted p {p_noninferior})" if is_within else ""
        return f"{row['arm']} is {verdict} than the baseline by {size} ({basis}; adjusted p {p_differs}){within}."
    if verdict == "non-inferior":
        found = f"{row['arm']} is non-inferior to the baseline at a margin of {claim.margin:g}"
        return f"{found} (adjusted p {p_noninferior}): {phrase} differs by {shown} ({basis})."
    outlook = ""
    if verdict == "undecided":
        basis += f"; adjusted p {p_differs} for a difference, {p_noninferior} for non-inferiority"
        outlook = f" If it stays as found, {_more_seeds_phrase(more_seeds)} would decide it at {claim.power:.0%} power."
        outlook = outlook.replace("%", " %")
    return f"{row['arm']}: {verdict}, {phrase} differs from the baseline by {shown} ({basis}).{outlook}"


def _more_seeds_phrase(more_seeds: float) -> str:
    if math.isinf(more_seeds):
        return f"more than {MOST_FURTHER_SEEDS} more seeds"
    return f"about {count(int(more_seeds), 'more seed')}"


def _criterion_row(data: StudyData, table: pd.DataFrame, criterion: Criterion) -> dict[str, object]:
    metric, arm = criterion.metric, data.claim.judged_arm(data.arms)
    who = "the baseline" if arm == BASELINE else arm
    row: dict[str, object] = {
        "kind": "criterion", "name": arm, "factor": "", "level": "", "metric": metric, "n_seeds": 0, "seeds": "",
        "n_test": data.n_test, "target": criterion.target, "acceptable": criterion.acceptable,
        "failure": criterion.failure,
    }  # fmt: skip
    values = _criterion_values(data, criterion, arm)
    if values.empty:
        measured = ", ".join(data.metrics)
        where = f" on the further set '{criterion.on}'" if criterion.on else f" (the run log has {measured})"
        sentence = f"{metric} was not measured of {who}{where}, so its criterion is not met."
        return row | {"verdict": "not measured", "sentence": sentence}
    items = data.items
    if criterion.on:
        row["n_test"], items = heldout_size(data.complete, criterion.on), f"of the further set {criterion.on}"
    values = values[values["seed"].isin(data.registered_seeds)]
    estimate, higher = compute_estimate(values["value"].tolist()), METRICS[metric].direction == "higher"
    enough = estimate.n >= data.claim.seeds
    verdict = decide_criterion(estimate.low, estimate.high, criterion.acceptable, higher) if enough else "undecided"
    decimals = decimals_of(metric)
    shown = f"{number(estimate.mean, decimals)} {interval(estimate.low, estimate.high, decimals)}".strip()
    n_failed = _count_failed(data, {arm}, set(values["seed"]))
    seeds = count(estimate.n, "seed") if enough else _share(estimate.n, data.claim.seeds, n_failed)
    sentence = (
        f"Criterion {metric_phrase(metric)} at {'least' if higher else 'most'} {criterion.acceptable:g} is {verdict}: "
        f"{who} has {shown} ({seeds}, {row['n_test']} {items}; target {criterion.target:g})."
    )
    return row | {
        "verdict": verdict, "n_seeds": estimate.n, "seeds": " ".join(map(str, values["seed"])),
        "estimate": estimate.mean, "low": estimate.low, "high": estimate.high,
        "band": _band(estimate.mean, criterion, higher) if estimate.n else "", "sentence": sentence,
    }  # fmt: skip


def _criterion_values(data: StudyData, criterion: Criterion, arm: str) -> pd.DataFrame:
    """Seed and value of the arm's trials that measured the criterion's metric, on the test split or a further set."""
    if criterion.on:
        found = heldout_values(data.complete[data.complete["arm"] == arm], criterion.on, criterion.metric)
        return pd.DataFrame({"seed": found.index, "value": found.to_numpy()}).sort_values("seed")
    if criterion.metric not in data.metrics:
        return pd.DataFrame(columns=["seed", "value"])
    values = seed_values(data, criterion.metric).sort_values("seed")
    return values[values["arm"] == arm]


def _band(mean: float, criterion: Criterion, higher: bool) -> str:
    """Where the mean alone stands between the three limits."""
    sign = 1 if higher else -1
    for name, limit in (("target", criterion.target), ("acceptable", criterion.acceptable)):
        if sign * mean >= sign * limit:
            return name
    return "failure" if sign * mean <= sign * criterion.failure else "below acceptable"
