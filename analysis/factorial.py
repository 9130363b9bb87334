"""Main effects and pairwise interactions of a factorial, each with its noise over seeds.

In: the complete trials of a factorial at the registered seeds. Out: a frame with TERM_COLUMNS, one row per main effect
and interaction, and one with EFFECT_COLUMNS, one row per level and per pair of levels. An effect that the trials so far
cannot tell from another has a row that names the other, and no numbers.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.factorial_design import Term, read_design
from analysis.factorial_fit import compute_f_test, compute_variance_shares, fit_terms
from analysis.judged import EXPLORATION
from analysis.load import StudyData
from analysis.table import seed_values
from analysis.wording import count, decimals_of, interval, metric_phrase, number, p_phrase
from foresight.compare import compute_estimate, compute_holm

TERM_COLUMNS = (
    "kind", "term", "metric", "df", "status", "aliased_with", "n_seeds", "seeds", "n_arms", "n_test",
    "variance_share", "low", "high", "f", "epsilon", "p", "p_holm", "verdict", "alpha", "registered", "held", "unmeasured",
)  # fmt: skip
EFFECT_COLUMNS = (
    "kind", "term", "factor_a", "level_a", "factor_b", "level_b", "reference", "metric",
    "n_seeds", "seeds", "n_test", "effect", "low", "high",
)  # fmt: skip
MOST_NAMED = 5  # terms in one sentence


def build_factorial_terms(data: StudyData) -> pd.DataFrame:
    """TERM_COLUMNS: main effects first, then interactions; empty for another design.

    `variance_share` is a term's sum of squares over that between arms, with its interval by leaving one seed out. `p` is
    of the term being zero; `p_holm` is adjusted within its kind, over all terms declared, and given only with the
    claimed number of seeds, and in no exploration; `verdict` says in words whether the term is shown at the claim's alpha.
    """
    values = factorial_values(data)
    if values.empty:
        return pd.DataFrame(columns=list(TERM_COLUMNS))
    design = read_design(data.factors, values)
    fits = fit_terms(design, values)
    shares = compute_variance_shares(fits, values)
    about = {
        "metric": data.claim.primary, "n_test": data.n_tested, "alpha": data.claim.alpha, "registered": data.claim.verdict_seeds,
        "n_arms": values["arm"].nunique(),
        "held": "; ".join(f"{name}={level}" for name, level in design.held.items()),
        "unmeasured": "; ".join(f"{name}: {', '.join(levels)}" for name, levels in design.unmeasured.items()),
    }  # fmt: skip
    rows = []
    for fit in fits:
        name, n = fit.term.name, len(fit.seeds)
        test = compute_f_test(fit.coefficients_SK, fit.weight_KK, float(values["value"].abs().max()))
        share, low, high = shares.get(name, (math.nan, math.nan, math.nan))
        row: dict[str, object] = {
            "kind": "main" if len(fit.term.factors) == 1 else "interaction",
            "term": name,
            "df": fit.term.df,
        }
        row |= {"status": "estimated" if n else "aliased", "aliased_with": "; ".join(fit.aliased_with)}
        row |= {"n_seeds": n, "seeds": " ".join(map(str, fit.seeds)), "f": test.f, "epsilon": test.epsilon, "p": test.p}
        row |= {"variance_share": share, "low": low, "high": high}
        rows.append(row | about)
    frame = pd.DataFrame(rows, columns=list(TERM_COLUMNS))
    n_factors = len(data.factors)
    for kind, n_planned in (("main", n_factors), ("interaction", n_factors * (n_factors - 1) // 2)):
        mine = frame["kind"] == kind
        enough = frame["p"].where((frame["n_seeds"] >= data.claim.verdict_seeds) & (not data.claim.exploratory))
        frame.loc[mine, "p_holm"] = compute_holm(enough[mine].astype(float).tolist(), n_planned)
    frame["verdict"] = [_verdict(data, row) for _, row in frame.iterrows()]
    return frame


def _verdict(data: StudyData, row: pd.Series) -> str:
    """`shown`, `not shown`, or why neither; of what cannot be estimated nothing."""
    if row["status"] != "estimated":
        return ""
    if data.claim.exploratory:
        return EXPLORATION
    if math.isnan(row["p_holm"]):
        return f"no verdict ({row['n_seeds']} of {data.claim.verdict_seeds} seeds)"
    return "shown" if row["p_holm"] < data.claim.alpha else "not shown"


def build_factorial_effects(data: StudyData) -> pd.DataFrame:
    """EFFECT_COLUMNS of every term that can be estimated; empty for another design.

    A main effect is a level minus the factor's reference level, both averaged over all levels of the other factors. An
    interaction is what a pair of levels adds to the sum of its main effects. Intervals are t intervals over seeds.
    """
    values = factorial_values(data)
    rows = []
    for fit in fit_terms(read_design(data.factors, values), values) if len(values) else []:
        if not fit.seeds:
            continue
        for named, weights in _contrasts(fit.term):
            found = compute_estimate((fit.coefficients_SK @ weights).tolist(), scale=float(values["value"].abs().max()))
            row: dict[str, object] = {
                "term": fit.term.name,
                "metric": data.claim.primary,
                "n_test": data.n_tested,
                **named,
            }
            row |= {"n_seeds": found.n, "seeds": " ".join(map(str, fit.seeds))}
            rows.append(row | {"effect": found.mean, "low": found.low, "high": found.high})
    return pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))


def _contrasts(term: Term) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """What each row of a term is about, and the weights of its coefficients."""
    a, b = term.factors[0], term.factors[-1]
    if len(term.factors) == 1:
        reference = str(a.levels[a.reference])
        for level, codes in zip(a.levels, a.codes, strict=True):
            named = {"kind": "main", "factor_a": a.name, "level_a": str(level), "factor_b": "", "level_b": ""}
            if str(level) != reference:
                yield named | {"reference": reference}, codes - a.codes[a.reference]
        return
    for (level_a, codes_a), (level_b, codes_b) in itertools.product(
        zip(a.levels, a.codes, strict=True), zip(b.levels, b.codes, strict=True)
    ):
        named = {"kind": "interaction", "factor_a": a.name, "level_a": str(level_a), "factor_b": b.name}
        yield named | {"level_b": str(level_b), "reference": ""}, np.kron(codes_a, codes_b)


def describe_factorial_terms(frame: pd.DataFrame) -> list[str]:
    """What interacts, how surely, and what the trials so far cannot tell."""
    if frame.empty:
        return []
    first = frame.iloc[0]
    sentences = []
    if first["held"]:
        sentences.append(f"Every complete trial has {first['held']}, so all that follows holds there and nowhere else.")
    if first["unmeasured"]:
        sentences.append(f"Levels without a complete trial, which no effect speaks of: {first['unmeasured']}.")
    aliased = frame[frame["status"] == "aliased"]
    if len(aliased):
        text = f"Not estimable from the {first['n_arms']} arms measured, whatever their numbers: {', '.join(aliased['term'])}"
        sentences.append(f"{text}. Each shares what was measured with others, which the table names.")
    estimated = frame[frame["status"] == "estimated"]
    for kind, noun in (("main", "main effect"), ("interaction", "interaction")):
        mine = estimated[estimated["kind"] == kind]
        if len(mine):
            sentences.append(_found_sentence(mine, noun))
    return sentences


def describe_factorial_effects(frame: pd.DataFrame) -> list[str]:
    """The main effect and the interaction of the largest size, with the words that they need."""
    sentences = []
    for kind in ("main", "interaction"):
        mine = frame[frame["kind"] == kind]
        if mine.empty:
            continue
        row = mine.iloc[int(mine["effect"].abs().argmax())]
        metric, decimals = metric_phrase(row["metric"]), decimals_of(row["metric"])
        shown = f"{number(row['effect'], decimals)} {interval(row['low'], row['high'], decimals)}".strip()
        basis = f"{count(row['n_seeds'], 'seed')}, largest of {len(mine)}, chosen after looking"
        if kind == "main":
            what = f"{row['factor_a']} {row['level_a']} changes {metric} by {shown} against {row['reference']}"
            sentences.append(f"Averaged over the other factors, {what} ({basis}).")
        else:
            what = f"{row['factor_a']} {row['level_a']} with {row['factor_b']} {row['level_b']} has {metric} {shown}"
            sentences.append(f"{what} away from the sum of its two main effects ({basis}).")
    return sentences


def _found_sentence(mine: pd.DataFrame, noun: str) -> str:
    metric, seeds, registered = (
        metric_phrase(mine["metric"].iloc[0]),
        int(mine["n_seeds"].max()),
        int(mine["registered"].iloc[0]),
    )
    strongest = mine.iloc[int(mine["variance_share"].argmax())]
    percent = number(100 * strongest["variance_share"], 1)
    share = f"{strongest['term']} has the largest share of the variance between arms, {percent} %"
    if not math.isnan(strongest["low"]):
        share += f" {interval(100 * strongest['low'], 100 * strongest['high'], 1)}"
    if (mine["verdict"] == EXPLORATION).all():
        return f"An exploration, so no verdict on any {noun} of {metric}; {share}, noise of the seeds included."
    if mine["p_holm"].isna().all():
        few = f"{count(seeds, 'seed')} of the {registered} claimed"
        return f"No verdict on any {noun} of {metric}: {few}; {share}, noise of the seeds included."
    alpha = float(mine["alpha"].iloc[0])
    real = mine[mine["verdict"] == "shown"].sort_values("p_holm")
    listed = ", ".join(
        f"{row['term']} (adjusted p {p_phrase(row['p_holm'])})" for _, row in real.head(MOST_NAMED).iterrows()
    )
    more = f" and {len(real) - MOST_NAMED} more" if len(real) > MOST_NAMED else ""
    found = f"{len(real) or 'None'} of {count(len(mine), noun)} on {metric} shown at alpha {alpha:g}"
    return f"{found}{': ' if listed else ''}{listed}{more}; {share} ({count(seeds, 'seed')})."


def factorial_values(data: StudyData) -> pd.DataFrame:
    """Primary metric of a factorial's complete trials at registered seeds and declared levels, with their config."""
    if not data.is_factorial or not data.factors:
        return pd.DataFrame()
    values = seed_values(data, data.claim.primary)
    fields = [f"config/{factor.field}" for factor in data.factors]
    values = values.merge(data.complete[["key", *fields]], on="key")
    declared = np.all([values[f"config/{f.field}"].isin(f.levels) for f in data.factors], axis=0)
    return values[declared & values["seed"].isin(data.registered_seeds).to_numpy()].reset_index(drop=True)
