"""The looks of a claim that spends its alpha: one row per arm and look at which it was tested.

In: a study. Out: a frame with LOOK_COLUMNS, empty for a claim with one look. What the sweep recorded at a look stands;
looks that it did not take, because its blocks were run by --seeds, are taken here, in order, from the same seeds.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.load import StudyData
from analysis.wording import count
from foresight.claim import Claim
from foresight.looks import DECIDED, NUMBERS, TEST_COLUMNS, add_tests, look_values, no_tests, take_look
from foresight.space import BASELINE

LOOK_COLUMNS = (*TEST_COLUMNS, "is_recorded", "recomputed", "n_pairs")


def build_looks(data: StudyData) -> pd.DataFrame:
    """LOOK_COLUMNS, look after look. `recomputed` is the verdict that today's numbers would give at the same look.

    `n_pairs` of the look's seeds are still there for the arm and the baseline: with fewer than `n_seeds` what was recorded
    rests on trials that nobody can read any more, and is no verdict.
    """
    if data.claim.spending is None:
        return pd.DataFrame(columns=list(LOOK_COLUMNS))
    recorded = data.recorded_looks
    tests, anew = _take_missing(data, recorded), _take_missing(data, no_tests())
    tests["is_recorded"] = [i < len(recorded) for i in range(len(tests))]
    verdicts = {(row["look"], row["arm"]): row["verdict"] for _, row in anew.iterrows()}
    tests["recomputed"] = [verdicts.get(at, "") for at in zip(tests["look"], tests["arm"], strict=True)]
    values = look_values(data.comparable, data.claim.primary)
    seeds = {str(arm): set(mine) for arm, mine in values.groupby("arm")["seed"]}
    paired = {arm: mine & seeds.get(BASELINE, set()) for arm, mine in seeds.items()}
    tests["n_pairs"] = [
        len(paired.get(arm, set()) & set(data.planned_seeds[:n]))
        for arm, n in zip(tests["arm"], tests["n_seeds"], strict=True)
    ]
    return tests.sort_values("look", kind="stable")[list(LOOK_COLUMNS)].reset_index(drop=True)


def last_tests(looks: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Arm to the row that holds its verdict: of the look that first gave it, or of the last one where none did."""
    found: dict[str, dict[str, Any]] = {}
    for row in looks.to_dict("records"):
        known = found.get(row["arm"])
        if known is None or known["verdict"] != row["verdict"] or row["verdict"] == "undecided":
            found[row["arm"]] = {str(k): v for k, v in row.items()}
    return found


def compare_at_looks(data: StudyData, differences: pd.DataFrame, looks: pd.DataFrame) -> pd.DataFrame:
    """Difference rows of the primary metric with the numbers of each arm's last test in place of today's.

    An arm that was not tested keeps its difference and has no adjusted p-value. One whose test lacks trials by now has no
    numbers at all: what is left of them is not what the look compared.
    """
    tests, rows = last_tests(looks), []
    for row in differences.to_dict("records"):
        test = tests.get(row["arm"])
        if test is not None and lacks_trials(test):
            rows.append(row | dict.fromkeys(NUMBERS, math.nan) | {"n_pairs": 0, "pair_seeds": (), "method": ""})
        elif test is None:
            rows.append(row | {"p_holm": math.nan, "p_noninferior_holm": math.nan})
        else:
            n_seeds = int(test["n_seeds"])
            seeds = {"n_pairs": n_seeds, "pair_seeds": data.planned_seeds[:n_seeds]}
            rows.append(row | {name: test[name] for name in (*NUMBERS, "method")} | seeds)
    return pd.DataFrame(rows, columns=list(differences))


def lacks_trials(test: Mapping[str, Any]) -> bool:
    """Whether trials that a test compared are gone."""
    return bool(test["n_pairs"] < test["n_seeds"])


def next_level(test: Mapping[str, Any], claim: Claim) -> float:
    """The level of the look after the one of a test; nan after the last."""
    return next((look.level for look in claim.looks() if look.number == test["look"] + 1), math.nan)


def describe_test(test: Mapping[str, Any]) -> str:
    """Where an arm's verdict was reached: `decided at look 2 of 4 with 8 seeds`."""
    how = "decided" if test["verdict"] in DECIDED else "not decided"
    return f"{how} at look {test['look']} of {test['n_looks']} with {test['n_seeds']} seeds"


def describe_looks(looks: pd.DataFrame) -> list[str]:
    """What each look found and what it cost of alpha, and what does not fit the record."""
    sentences = []
    for look, rows in looks.groupby("look", sort=False):
        first, counts = rows.iloc[0], rows["verdict"].value_counts()
        found = ", ".join(f"{counts[name]} {name}" for name in (*DECIDED, "undecided") if name in counts)
        sentences.append(
            f"Look {look} of {first['n_looks']} at {first['n_seeds']} seeds tested {count(len(rows), 'arm')} at the level "
            f"{first['alpha_at_look']:.2g}: {found}. By then {first['alpha_spent']:.2g} of alpha {first['alpha']:g} was "
            f"spent ({str(first['rule']).replace('_', ' ')})."
        )
    if sentences:
        sentences.append(
            "An arm gets no more seeds once it is better, worse, or non-inferior with no room for being better by the "
            "margin. Means of all arms are over the seeds of the first look; each difference is over those of the look "
            "that gave its verdict."
        )
    recorded = looks[looks["is_recorded"].astype(bool)]
    for _, row in recorded[recorded["n_pairs"] < recorded["n_seeds"]].iterrows():
        sentences.append(
            f"{row['arm']} is {row['verdict']} as recorded at look {row['look']}, but trials behind it are gone: "
            f"{row['n_pairs']} of its {count(row['n_seeds'], 'paired seed')} are left, so this cannot be computed again and is "
            "no verdict."
        )
    recorded = recorded[recorded["n_pairs"] == recorded["n_seeds"]]
    for _, row in recorded[recorded["recomputed"] == ""].iterrows():
        sentences.append(
            f"{row['arm']} is {row['verdict']} as recorded at look {row['look']}; from today's trials that look would not "
            "test it, so trials or the method have changed since."
        )
    changed = recorded[recorded["recomputed"] != ""]
    changed = changed[changed["recomputed"] != changed["verdict"]]
    for _, row in changed.iterrows():
        sentences.append(
            f"{row['arm']} is {row['verdict']} as recorded at look {row['look']}; from today's numbers it would be "
            f"{row['recomputed']} there, so trials or the method have changed since."
        )
    return sentences


def _take_missing(data: StudyData, tests: pd.DataFrame) -> pd.DataFrame:
    """`tests` with those of every look that can be taken and was not."""
    values = look_values(data.comparable, data.claim.primary)
    for look in data.claim.looks():
        tests = add_tests(tests, take_look(values, look, tests, data.arms, data.planned_seeds, data.claim))
    return tests.reset_index(drop=True)
