"""What a look tests and decides: who reaches it, Holm over the planned family, and that no verdict is made twice."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foresight.claim import Claim
from foresight.compare import compute_differences
from foresight.errors import RequestError
from foresight.looks import add_tests, as_json_rows, from_json_rows, no_tests, reached_arms, take_look
from foresight.spending import Spending

ARMS = ["baseline", "a", "b", "c"]
SEEDS = range(10, 18)
CLAIM = Claim("?", "mask_iou", margin=0.02, alpha=0.05, seeds=4, spending=Spending("equal", (4, 8)))
FIRST, SECOND = CLAIM.looks()


def values(shift: dict[str, float], n_seeds: int = 8, noise: float = 0.03, seed: int = 0) -> pd.DataFrame:
    """A value of every arm at every seed: 0.5, a block effect, keyed noise and the arm's shift."""
    rows = []
    for arm_number, arm in enumerate(ARMS):
        for at in list(SEEDS)[:n_seeds]:
            rng = np.random.default_rng([seed, arm_number, at])
            block = np.random.default_rng([seed, at]).normal(0, 0.02)
            rows.append((arm, "", at, 0.5 + block + noise * rng.normal() + shift.get(arm, 0.0)))
    return pd.DataFrame(rows, columns=["arm", "factor", "seed", "value"])


def take(found: pd.DataFrame, tests: pd.DataFrame, look=FIRST, claim: Claim = CLAIM) -> pd.DataFrame:
    return add_tests(tests, take_look(found, look, tests, ARMS, list(SEEDS), claim))


def verdicts(tests: pd.DataFrame) -> dict[tuple[int, str], str]:
    return {(row["look"], row["arm"]): row["verdict"] for _, row in tests.iterrows()}


def test_a_look_tests_every_arm_once_and_the_next_one_those_that_are_undecided():
    found = values({"a": -0.3})
    tests = take(found, no_tests())
    assert verdicts(tests) == {(1, "a"): "worse", (1, "b"): "undecided", (1, "c"): "undecided"}
    assert reached_arms(SECOND, tests, ARMS) == ["b", "c"]
    assert len(take(found, tests)) == 3  # again: nothing is left to test
    tests = take(found, tests, SECOND)
    assert [key for key in verdicts(tests) if key[0] == 2] == [(2, "b"), (2, "c")]


def test_what_is_measured_after_a_verdict_does_not_touch_it():
    tests = take(values({"a": -0.3}), no_tests())
    recovered = values({"a": 0.3})
    later = take(recovered, take(recovered, tests), SECOND)
    assert verdicts(later)[1, "a"] == "worse"
    assert (2, "a") not in verdicts(later)


def test_a_look_sees_its_own_seeds_alone():
    short, long = values({}, n_seeds=4), values({})
    pd.testing.assert_frame_equal(take(short, no_tests()), take(long, no_tests()))
    assert len(take(short, take(short, no_tests()), SECOND)) == 3  # the second look has not all of its seeds


def test_holms_family_is_the_planned_one_and_a_rejected_arm_counts_as_rejected():
    found = values({"a": -0.3, "b": 0.012})
    tests = take(found, no_tests())
    first = compute_differences(found[found["seed"] < 14], True, 0.02, 3, 4).set_index("arm")
    # three planned comparisons: the smallest p times 3
    assert tests.set_index("arm").loc["a", "p_holm"] == pytest.approx(3 * first.loc["a", "p"])
    tests = take(found, tests, SECOND)
    second = compute_differences(found[found["arm"] != "a"], True, 0.02, 3, 8).set_index("arm")
    smallest = second["p"].idxmin()
    mine = tests[tests["look"] == 2].set_index("arm")
    # one of the three was rejected before, so the smallest of what is left is multiplied by 2
    assert mine.loc[smallest, "p_holm"] == pytest.approx(min(1.0, 2 * second.loc[smallest, "p"]))
    smallest = second["p_noninferior"].idxmin()  # of non-inferiority nothing was rejected: by 3
    assert mine.loc[smallest, "p_noninferior_holm"] == pytest.approx(
        min(1.0, 3 * second.loc[smallest, "p_noninferior"])
    )


def test_the_level_of_the_look_decides_and_not_alpha():
    found = values({"a": -0.12})
    p_holm = take(found, no_tests()).set_index("arm").loc["a", "p_holm"]
    assert 0.001 < p_holm < 0.2
    for alpha, verdict in ((1.9 * p_holm, "undecided"), (2.1 * p_holm, "worse")):  # each of two looks has half of alpha
        claim = replace(CLAIM, alpha=alpha)
        tests = take(found, no_tests(), claim.looks()[0], claim)
        assert verdicts(tests)[1, "a"] == verdict


def test_an_arm_within_the_margin_is_decided_too():
    tests = take(values({}, noise=0.0005), no_tests())
    assert set(verdicts(tests).values()) == {"non-inferior"}
    assert reached_arms(SECOND, tests, ARMS) == []


def test_no_worse_and_perhaps_better_goes_on_and_may_become_better():
    """The interval after the first look reaches beyond the margin, so four more seeds may show the arm to be better."""
    found = values({}, noise=0.0005)
    jumps = {at: 0.03 + 0.018 * (-1) ** i for i, at in enumerate(SEEDS)}
    mine = found["arm"] == "a"
    found.loc[mine, "value"] += found.loc[mine, "seed"].map(jumps)
    claim = replace(CLAIM, alpha=0.1)
    first, second = claim.looks()
    tests = take(found, no_tests(), first, claim)
    row = tests.set_index("arm").loc["a"]
    assert (row["verdict"], bool(row["goes_on"])) == ("non-inferior", True)
    assert row["high"] > claim.margin
    assert not tests.set_index("arm").loc[["b", "c"], "goes_on"].any()  # non-inferior, and no room to be better
    tests = take(found, tests, second, claim)
    assert verdicts(tests)[2, "a"] == "better"
    later = tests[tests["look"] == 2].set_index("arm").loc["a"]
    assert later["p_noninferior_holm"] == row["p_noninferior_holm"]  # not tested again


def test_non_inferior_once_is_so_for_good():
    steady = values({}, noise=0.0005)
    mine = steady["arm"] == "a"
    alternating = steady.loc[mine, "seed"].map({at: 0.03 + 0.018 * (-1) ** i for i, at in enumerate(SEEDS)})
    steady.loc[mine, "value"] += alternating
    tests = take(steady, no_tests(), replace(CLAIM, alpha=0.1).looks()[0], replace(CLAIM, alpha=0.1))
    assert verdicts(tests)[1, "a"] == "non-inferior"
    worse_later = steady.copy()
    worse_later.loc[mine & (steady["seed"] >= 14), "value"] -= 0.1
    tests = take(worse_later, tests, replace(CLAIM, alpha=0.1).looks()[1], replace(CLAIM, alpha=0.1))
    assert verdicts(tests)[2, "a"] == "non-inferior"


def test_an_arm_that_lacks_a_seed_waits_and_is_tested_when_it_was_run_again():
    found = values({"a": -0.3})
    lacking = found[~((found["arm"] == "b") & (found["seed"] == 12))]
    tests = take(lacking, no_tests())
    assert set(verdicts(tests)) == {(1, "a"), (1, "c")}
    assert reached_arms(SECOND, tests, ARMS) == ["c"]
    with_a_alone = tests.copy()
    tests = take(found, tests)
    assert set(verdicts(tests)) == {(1, "a"), (1, "c"), (1, "b")}
    pd.testing.assert_frame_equal(tests.iloc[:2], with_a_alone)
    assert reached_arms(SECOND, tests, ARMS) == ["b", "c"]


def test_without_the_baseline_nothing_is_tested():
    found = values({"a": -0.3})
    assert take(found[~((found["arm"] == "baseline") & (found["seed"] == 12))], no_tests()).empty


def test_lower_is_better_where_the_metric_says_so():
    tests = take(values({"a": -0.3}), no_tests(), claim=replace(CLAIM, primary="lpips"))
    assert verdicts(tests)[1, "a"] == "better"


def test_tests_come_back_from_json_as_they_were():
    tests = take(values({"a": -0.3}), no_tests())
    tests.loc[0, "p_noninferior"] = math.nan
    rows = as_json_rows(tests)
    assert rows[0]["p_noninferior"] is None
    pd.testing.assert_frame_equal(from_json_rows(rows, CLAIM), tests, check_dtype=False)
    assert from_json_rows([], CLAIM).empty


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"look": 3}, "at look 3 with 4 seeds and level 0.025, which the claim does not declare"),
        ({"alpha_at_look": 0.05}, "level 0.05, which the claim does not declare"),
        ({"n_seeds": 5}, "with 5 seeds"),
        ({"metric": "lpips"}, "on lpips with margin 0.02, and the claim is about mask_iou with margin 0.02"),
        ({"margin": 0.03}, "on mask_iou with margin 0.03, and the claim is about mask_iou with margin 0.02"),
        ({"margin": None}, "with margin None"),
    ],
)
def test_a_test_that_the_claim_does_not_declare_is_refused(changed, said):
    rows = as_json_rows(take(values({}), no_tests()))
    with pytest.raises(RequestError, match=said):
        from_json_rows([rows[0] | changed], CLAIM)


def test_a_test_without_its_parts_is_refused():
    with pytest.raises(RequestError, match=r"lacks .*verdict"):
        from_json_rows([{"look": 1, "arm": "a"}], CLAIM)
