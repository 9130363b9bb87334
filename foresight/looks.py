"""Looks at a study whose claim spends its alpha: which arms reach a look, and what the look decides about them.

A test is one arm at one look. An arm goes on to the next look until it is better or worse, or non-inferior with no room
for being better by the margin: an arm that is merely no worse may still turn out better. No arm is tested twice at one
look, and what was decided stands whatever is measured later. Pure functions of numbers.

Why the error rate holds, for differences as for non-inferiority: take the first false verdict, at look k. All that was
rejected before is rightly rejected, so Holm's step for it asks for p <= level_k / (arms that must not be rejected) at
least; over arms and looks these add up to alpha (`foresight.spending`). It needs no more of the p-values than that each
is right at its own look, and stopping an arm for whatever reason only takes tests away.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from foresight.claim import Claim
from foresight.compare import compute_differences, compute_holm
from foresight.errors import RequestError
from foresight.metrics import METRICS
from foresight.runlog import usable_trials
from foresight.same_images import TEST_SET_COLUMNS, check_same_images
from foresight.space import BASELINE
from foresight.spending import Look

DECIDED = ("better", "worse", "non-inferior")  # of these the last may still become one of the others
LOOK_FIELDS = ("look", "n_looks", "n_seeds", "alpha_at_look", "alpha_spent", "alpha", "rule", "metric", "margin")
NUMBERS = (
    "difference", "low", "high", "standard_error", "degrees", "p", "p_holm", "p_noninferior", "p_noninferior_holm",
)  # fmt: skip
TEST_COLUMNS = (*LOOK_FIELDS, "arm", "verdict", "goes_on", *NUMBERS, "method", "time")


def look_values(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """arm, factor, seed and value of the trials that a look may compare: usable, and known to be scored on which images.

    The sweep and analysis read their trials by this one rule, so that both take the same look from one run log. Raises
    RequestError for trials on different test images.
    """
    usable = usable_trials(trials).reindex(
        columns=["key", "arm", "factor", "seed", *TEST_SET_COLUMNS, f"test/{metric}"]
    )
    usable = usable[usable["data/test_hash"].notna() & usable[f"test/{metric}"].notna()]
    check_same_images(usable)
    found = usable[["arm", "factor", "seed"]].assign(value=usable[f"test/{metric}"].astype(float))
    return found.sort_values("seed", kind="stable").reset_index(drop=True)


def take_look(
    values: pd.DataFrame, look: Look, tests: pd.DataFrame, arms: Sequence[str], seeds: Sequence[int], claim: Claim
) -> pd.DataFrame:
    """The tests that a look adds to `tests`: TEST_COLUMNS, one row per arm that reached it and was not tested at it.

    `values` has the columns arm, factor, seed and value, in the metric's own direction; `arms` are the planned ones and
    `seeds` all planned seeds in order. An arm, or all of them where it is the baseline, that lacks a value at one of the
    look's seeds is not tested: it keeps its place in the family, and has another chance when the trial was run again.
    Holm's family is the planned one at every look; what was rejected at an earlier look counts as rejected in it.
    """
    reached = reached_arms(look, tests, arms)
    inside = values[values["seed"].isin(seeds[: look.n_seeds]) & values["arm"].isin([BASELINE, *reached])]
    counts = inside["arm"].value_counts()
    whole = [arm for arm in (BASELINE, *reached) if counts.get(arm, 0) == look.n_seeds]
    tested = set(tests.loc[tests["look"] == look.number, "arm"])
    due = [arm for arm in whole if arm != BASELINE and arm not in tested]
    if BASELINE not in whole or not due:
        return no_tests()
    higher = METRICS[claim.primary].direction == "higher"
    n_planned = sum(arm != BASELINE for arm in arms)
    found = compute_differences(inside[inside["arm"].isin(whole)], higher, claim.margin, n_planned, look.n_seeds)
    found = found[found["arm"].isin(due)].set_index("arm").loc[due].reset_index()
    fields, found = look_fields(look, claim), _decide(found, tests, look, claim, n_planned)
    return pd.DataFrame([{**fields, **row, "time": ""} for row in found.to_dict("records")], columns=list(TEST_COLUMNS))


def _decide(found: pd.DataFrame, tests: pd.DataFrame, look: Look, claim: Claim, n_planned: int) -> pd.DataFrame:
    """Difference rows with p-values adjusted for this look, `verdict` and `goes_on`. Non-inferior once is so for good."""
    higher = METRICS[claim.primary].direction == "higher"
    n_different = tests.loc[tests["verdict"].isin(("better", "worse")), "arm"].nunique()
    known = tests[tests["verdict"] == "non-inferior"].groupby("arm")["p_noninferior_holm"].first()
    p_open = found["p_noninferior"].mask(found["arm"].isin(known.index))
    p_noninferior = compute_holm(p_open.tolist(), n_planned - len(known))
    found = found.assign(
        p_holm=compute_holm(found["p"].tolist(), n_planned - n_different),
        p_noninferior_holm=[known.get(arm, p) for arm, p in zip(found["arm"], p_noninferior, strict=True)],
    )
    differs = found["p_holm"] < look.level
    is_noninferior = found["arm"].isin(known.index) | (found["p_noninferior_holm"] < look.level)
    direction = np.where((found["difference"] > 0) == higher, "better", "worse")
    found["verdict"] = np.where(differs, direction, np.where(is_noninferior, "non-inferior", "undecided"))
    may_be_better = (found["high"] if higher else -found["low"]) >= claim.margin
    is_last = claim.spending is not None and look.n_seeds == claim.spending.looks[-1]
    found["goes_on"] = ~(differs | (is_noninferior & ~may_be_better) | is_last)
    return found


def reached_arms(look: Look, tests: pd.DataFrame, arms: Sequence[str]) -> list[str]:
    """The arms that a look is about: tested at every look before it, and sent on by each."""
    before = tests[(tests["look"] < look.number) & tests["goes_on"].astype(bool)]
    n_tests = before["arm"].value_counts()
    return [arm for arm in arms if arm != BASELINE and n_tests.get(arm, 0) == look.number - 1]


def look_fields(look: Look, claim: Claim) -> dict[str, Any]:
    """LOOK_FIELDS of one look of a claim."""
    assert claim.spending is not None
    described = (look.number, len(claim.spending.looks), look.n_seeds, look.level, look.spent, claim.alpha)
    of_claim = (claim.spending.rule, claim.primary, claim.margin)
    return dict(zip(LOOK_FIELDS, (*described, *of_claim), strict=True))


def no_tests() -> pd.DataFrame:
    """A frame of tests without a row."""
    return pd.DataFrame({name: pd.Series(dtype=object) for name in TEST_COLUMNS})


def add_tests(tests: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Both frames of tests, in the order in which they were made."""
    return pd.concat([tests, new], ignore_index=True) if len(tests) and len(new) else new if len(new) else tests


def as_json_rows(tests: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for looks.json; what has no value is null."""
    plain = tests.astype(object)
    return [{str(k): v for k, v in row.items()} for row in plain.where(tests.notna(), None).to_dict("records")]


def from_json_rows(rows: Any, claim: Claim) -> pd.DataFrame:
    """The tests of looks.json, nan where it says null. Raises RequestError for a row that is none of this claim's."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RequestError("looks.json holds no list of tests; restore it from a copy")
    for row in rows:
        missing = [name for name in TEST_COLUMNS if name not in row]
        if missing:
            raise RequestError(f"a test in looks.json lacks {', '.join(missing)}")
        if not _same(row, {"metric": claim.primary, "margin": claim.margin}):
            raise RequestError(
                f"looks.json holds a test of {row['arm']} on {row['metric']} with margin {row['margin']}, and the claim is "
                f"about {claim.primary} with margin {claim.margin}; put the claim back, or use another --runs for the new one"
            )
        planned = {look.number: look for look in claim.looks()} if claim.spending else {}
        look = planned.get(row["look"])
        if look is None or not _same(row, look_fields(look, claim)):
            raise RequestError(
                f"looks.json holds a test of {row['arm']} at look {row['look']} with {row['n_seeds']} seeds and level "
                f"{row['alpha_at_look']}, which the claim does not declare"
            )
    tests = pd.DataFrame(list(rows), columns=list(TEST_COLUMNS)) if rows else no_tests()
    return tests.astype(dict.fromkeys(NUMBERS, float))


def _same(row: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    return all(
        math.isclose(row[name], value)
        if isinstance(value, float) and isinstance(row[name], int | float)
        else row[name] == value
        for name, value in fields.items()
    )
