"""What the numbers support: a verdict for each arm on the primary metric, and one for each criterion of the claim.

In: a study and its ablation table. Out: one frame with VERDICT_COLUMNS, criteria (`analysis.criteria`) first, whose
sentences are made from the same rows; `keys` are the trials behind a row. Verdicts are judged on exactly the registered
seeds, or at the looks that the claim declares (`analysis.looks`): with fewer seeds there is none, and more change none. All
arms are one family: each of `better or worse` and `non-inferior` is wrong for any arm at a rate of alpha.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.amendments import amended_note
from analysis.criteria import build_criteria
from analysis.judged import EXPLORATION
from analysis.load import StudyData
from analysis.looks import describe_test, lacks_trials, last_tests, next_level
from analysis.missing_seeds import count_failed, seed_share
from analysis.power import MOST_FURTHER_SEEDS, compute_more_seeds
from analysis.wording import count, decimals_of, interval, metric_phrase, number, p_phrase, percent
from foresight.claim import Claim
from foresight.space import BASELINE

VERDICT_COLUMNS = (
    "kind", "name", "factor", "level", "metric", "on", "verdict", "n_seeds", "seeds", "n_test",
    "estimate", "low", "high", "p_holm", "p_noninferior_holm", "margin", "method",
    "more_seeds", "target", "acceptable", "failure", "band", "sentence", "keys",
)  # fmt: skip


def build_verdicts(data: StudyData, table: pd.DataFrame, looks: pd.DataFrame) -> pd.DataFrame:
    """One row per criterion (`kind` criterion, `estimate` the judged arm's mean) and per arm (`arm`, its difference)."""
    rows = build_criteria(data)
    primary = table[(table["kind"] == "arm") & (table["role"] == "primary")]
    tests = last_tests(looks)
    n_open = _count_open(data, primary, tests)
    blocks = zip(data.complete["arm"], data.complete["seed"], strict=True)
    key_of = dict(zip(blocks, data.complete["key"], strict=True))
    others = primary[primary["arm"] != BASELINE]
    rows += [_arm_row(data, row, key_of, n_open, tests.get(str(row["arm"]))) for _, row in others.iterrows()]
    verdicts = pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))
    verdicts["sentence"] += amended_note(data.sweep)
    for name in ("n_seeds", "n_test"):
        verdicts[name] = verdicts[name].astype("Int64")
    return verdicts


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
        return f"no verdict ({seed_share(n_pairs, registered, n_failed)})"
    if p_holm < alpha:
        return "better" if (difference > 0) == higher else "worse"
    return "non-inferior" if p_noninferior_holm < alpha else "undecided"


def _count_open(data: StudyData, primary: pd.DataFrame, tests: Mapping[str, Any]) -> tuple[int, int]:
    """Comparisons not decided yet, of difference and of non-inferiority: Holm leaves to each its level over so many."""
    n_planned = sum(arm != BASELINE for arm in data.arms)
    levels = [tests[arm]["alpha_at_look"] if arm in tests else data.claim.alpha for arm in primary["arm"]]
    n_different, n_noninferior = (int((primary[name] < levels).sum()) for name in ("p_holm", "p_noninferior_holm"))
    return max(1, n_planned - n_different), max(1, n_planned - n_noninferior)


def _arm_row(
    data: StudyData,
    row: pd.Series,
    key_of: dict[tuple[str, int], str],
    n_open: tuple[int, int],
    test: Mapping[str, Any] | None,
) -> dict[str, object]:
    """`test` is the one that gave the arm its verdict, or its last one, where the claim has looks; the verdict stands."""
    claim, metric = data.claim, str(row["metric"])
    n_pairs = 0 if pd.isna(row["n_pairs"]) else int(row["n_pairs"])
    pairs = set(map(int, str(row["pair_seeds"]).split())) if n_pairs else set()
    verdict = decide_arm(
        n_pairs, claim.verdict_seeds, row["difference"], row["p_holm"], row["p_noninferior_holm"], claim.alpha,
        row["direction"] == "higher", count_failed(data, {str(row["arm"]), BASELINE}, pairs),
    )  # fmt: skip
    if claim.exploratory:
        verdict = EXPLORATION
    alpha, next_alpha, items = claim.alpha, claim.alpha, data.items
    if test is not None and lacks_trials(test):
        verdict = f"no verdict ({seed_share(test['n_pairs'], test['n_seeds'], 0)} of look {test['look']})"
    elif test is not None and test["n_seeds"] < claim.verdict_seeds:
        verdict = f"no verdict ({seed_share(test['n_seeds'], claim.verdict_seeds, 0)})"
    elif test is not None:
        verdict, alpha, next_alpha = str(test["verdict"]), test["alpha_at_look"], next_level(test, claim)
        items = f"{items}, {describe_test(test)}"
    why_none = "" if n_pairs else _why_no_difference(data, str(row["arm"]), test)
    more_seeds = math.nan
    if verdict == "undecided" and next_alpha > 0:
        signed = row["difference"] if row["direction"] == "higher" else -row["difference"]
        more_seeds = compute_more_seeds(
            signed, row["standard_error"], row["degrees"], n_pairs, claim.margin,
            next_alpha / n_open[0], next_alpha / n_open[1], claim.power,
        )  # fmt: skip
    judged = replace(claim, alpha=alpha)
    return {
        "kind": "arm", "name": row["arm"], "factor": row["factor"], "level": row["level"], "metric": metric,
        "verdict": verdict, "n_seeds": n_pairs, "seeds": row["pair_seeds"], "n_test": row["n_test"],
        "estimate": row["difference"], "low": row["difference_low"], "high": row["difference_high"],
        "p_holm": row["p_holm"], "p_noninferior_holm": row["p_noninferior_holm"],
        "margin": claim.margin, "method": row["method"], "more_seeds": more_seeds,
        "sentence": _arm_sentence(row, verdict, n_pairs, judged, items, more_seeds, why_none),
        "keys": " ".join(key_of[arm, seed] for arm in (row["arm"], BASELINE) for seed in sorted(pairs)),
    }  # fmt: skip


def _why_no_difference(data: StudyData, arm: str, test: Mapping[str, Any] | None) -> str:
    if test is not None and lacks_trials(test):
        return f"trials that look {test['look']} compared are gone, so there is no difference to show"
    pair = {arm, BASELINE}
    if pair <= set(data.complete["arm"]) and not pair <= set(data.comparable["arm"]):
        return "it is unknown whether it was scored on the baseline's test images"
    return "it shares no complete registered seed with the baseline"


def _arm_sentence(
    row: pd.Series, verdict: str, n_pairs: int, claim: Claim, items: str, more_seeds: float, why_none: str
) -> str:
    metric = str(row["metric"])
    decimals, phrase = decimals_of(metric), metric_phrase(metric)
    shown = " ".join(
        [number(row["difference"], decimals), interval(row["difference_low"], row["difference_high"], decimals)]
    ).strip()
    basis = f"{count(n_pairs, 'paired seed')}, {row['n_test']} {items}"
    p_differs, p_noninferior = p_phrase(row["p_holm"]), p_phrase(row["p_noninferior_holm"])
    if n_pairs == 0:
        return f"{row['arm']}: {verdict}, {why_none}."
    if verdict in ("better", "worse"):
        sign = math.copysign(1.0, row["difference"])  # `better by` and `worse by` count along the difference
        low, high = sorted((sign * row["difference_low"], sign * row["difference_high"]))
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
        if not math.isnan(more_seeds):
            outlook = f" {_outlook(more_seeds, n_pairs, claim)}"
    return f"{row['arm']}: {verdict}, {phrase} differs from the baseline by {shown} ({basis}).{outlook}"


def _outlook(more_seeds: float, n_pairs: int, claim: Claim) -> str:
    """What would decide an undecided arm: the seeds of a later look, or else a new claim, as this one's are fixed."""
    power = f"at {percent(claim.power)} power"
    n_more = MOST_FURTHER_SEEDS if math.isinf(more_seeds) else int(more_seeds)
    about = "more than" if math.isinf(more_seeds) else "about"
    if claim.spending is not None:
        return f"If it stays as found, {about} {count(n_more, 'more seed')} would decide it {power}."
    return (
        f"If it stays as found, a new claim, declared before its trials, would decide it with {about} "
        f"{n_pairs + n_more} seeds {power}; more seeds of this one change no verdict."
    )
