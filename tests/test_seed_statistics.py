"""Hand-computed intervals, pairing, Holm; and what happens where there is nothing to compute from."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest

from foresight.compare import (
    DIFFERENCE_COLUMNS,
    compute_differences,
    compute_estimate,
    compute_holm,
)
from foresight.contrasts import compute_contrasts


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_interval_of_five_values():
    # mean 3, sd sqrt(2.5), standard error sqrt(0.5); t(0.975, 4) = 2.7764451; so 3 -+ 1.9632432
    estimate = compute_estimate([1, 2, 3, 4, 5])
    assert (estimate.n, estimate.mean) == (5, 3)
    assert estimate.low == pytest.approx(1.0367568, abs=1e-6)
    assert estimate.high == pytest.approx(4.9632432, abs=1e-6)
    assert estimate.p == pytest.approx(0.0132353, abs=1e-6)  # t = 3 / sqrt(0.5) = 4.2426407, 4 degrees of freedom


def p_noninferior(differences: list[float], margin: float, baseline: float = 0.0) -> float:
    """Of one arm, whose values are the baseline's and `differences`."""
    arm = [baseline + difference for difference in differences]
    return float(compute_contrasts(np.array([[baseline] * len(arm), arm])).compute_p_noninferior(margin)[0])


def test_p_value_of_non_inferiority():
    # sd sqrt(2.5), standard error sqrt(0.5), t = 2 / sqrt(0.5) = sqrt(8), 4 degrees of freedom: 1 + t^2 / 4 = 3,
    # p = 1/2 - 3/8 * t / sqrt(3) * (1 - t^2 / 36) = 1/2 - 3/8 * 1.6329932 * 7/9
    assert p_noninferior([-0.02, -0.01, 0, 0.01, 0.02], 0.02) == pytest.approx(0.0237103, abs=1e-6)
    assert p_noninferior([-0.04, -0.03, -0.02, -0.01, 0], 0.02) == pytest.approx(0.5)  # at the margin itself
    assert math.isnan(p_noninferior([0.1], 0.02))


@pytest.mark.parametrize(("difference", "p"), [(0.0, 0.125), (-0.019, 0.125), (-0.02, 1), (-0.3, 1)])
def test_non_inferiority_of_identical_differences_is_a_sign_test(difference, p):
    assert p_noninferior([difference] * 3, 0.02, baseline=0.5) == p


@pytest.mark.parametrize("values", [[], [0.4]])
def test_fewer_than_two_values_have_no_interval(values):
    estimate = compute_estimate(values)
    assert all(math.isnan(number) for number in (estimate.low, estimate.high, estimate.p))


def test_identical_values():
    zero, one = compute_estimate([0.0, 0.0, 0.0]), compute_estimate([0.1, 0.1, 0.1])
    assert (zero.mean, zero.low, zero.high, zero.p) == (0, 0, 0, 1)
    assert (one.mean, one.low, one.high, one.p) == (0.1, 0.1, 0.1, 0.25)  # a sign test of three


def test_rounding_is_not_noise():
    differences = [a + 0.1 - a for a in (0.3, 0.6, 0.7)]  # 0.1 up to the last bit
    assert len(set(differences)) > 1
    assert compute_estimate(differences, scale=0.8).p == 0.25  # of the sign test, and not of a t of 1e15
    assert compute_estimate([1e-17, -1e-17], scale=0.8).p == 1


def test_holm():
    # sorted .01 .02 .03 .04 times 4 3 2 1 gives .04 .06 .06 .04, made monotone .04 .06 .06 .06
    assert compute_holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert compute_holm([0.9, 0.8]) == [1.0, 1.0]


def test_holm_counts_the_comparisons_that_were_planned():
    assert compute_holm([0.02], n_planned=3) == pytest.approx([0.06])
    adjusted = compute_holm([0.01, math.nan, 0.02], n_planned=3)
    assert adjusted[0] == pytest.approx(0.03)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


def values_of(arms: dict[str, dict[int, float]]) -> pd.DataFrame:
    rows = [
        (arm, "" if arm == "baseline" else "f", seed, v) for arm, by_seed in arms.items() for seed, v in by_seed.items()
    ]
    return pd.DataFrame(rows, columns=["arm", "factor", "seed", "value"])


def test_only_shared_seeds_are_paired():
    values = values_of({"baseline": {0: 1.0, 1: 2.0, 2: 4.0}, "f=1": {1: 3.0, 2: 6.0, 3: 100.0}})
    row = compute_differences(values, True, 1.0, 1).iloc[0]
    assert list(row.index) == list(DIFFERENCE_COLUMNS)
    assert (row["n_pairs"], row["pair_seeds"], row["difference"]) == (2, (1, 2), 1.5)
    assert row["low"] == pytest.approx(1.5 - 12.7062047 * 0.5)  # t(0.975, 1), differences 1 and 2
    # t = (1.5 + 1) / 0.5 = 5; with 1 degree of freedom p = 1/2 - atan(5) / pi
    assert row["p_noninferior"] == pytest.approx(0.0628330, abs=1e-6)


def test_pairing_removes_what_a_block_shares():
    rng = np.random.default_rng(0)
    block, noise = rng.normal(0, 1, 5), rng.normal(0, 0.001, 5)
    values = values_of({"baseline": dict(enumerate(block)), "f=1": dict(enumerate(block + 0.01 + noise))})
    assert compute_differences(values, True, 0.02, 1)["p"].iloc[0] < 0.001


def test_non_inferiority_turns_with_the_direction():
    values = values_of({"baseline": {0: 0.0, 1: 0.0, 2: 0.0}, "f=1": {0: 0.01, 1: 0.02, 2: 0.03}})
    higher, lower = (compute_differences(values, up, 0.01, 1).iloc[0] for up in (True, False))
    assert higher["difference"] == lower["difference"] == pytest.approx(0.02)
    # standard error 0.01 / sqrt(3); t = 3 sqrt(3) and -sqrt(3), 2 degrees of freedom: p = 1/2 - t / (2 sqrt(2 + t^2))
    assert higher["p_noninferior"] == pytest.approx(0.5 - math.sqrt(27 / 29) / 2)
    assert lower["p_noninferior"] == pytest.approx(0.5 + math.sqrt(3 / 5) / 2)


def test_arms_of_all_factors_are_one_family():
    values = values_of(
        {"baseline": {0: 0.0, 1: 0.0, 2: 0.0}, "f=1": {0: 0.9, 1: 1, 2: 1.2}, "f=2": {0: 0.8, 1: 1, 2: 1.1}}
    )
    values.loc[values["arm"] == "f=2", "factor"] = "g"
    for name in ("p", "p_noninferior"):
        for n_planned, factors in ((2, (2, 1)), (14, (14, 13))):
            rows = compute_differences(values, True, 0.02, n_planned).sort_values(name)
            assert rows[f"{name}_holm"].tolist() == pytest.approx(
                [factors[0] * rows[name].iloc[0], max(factors[0] * rows[name].iloc[0], factors[1] * rows[name].iloc[1])]
            )


def test_arm_with_too_few_pairs_has_no_adjusted_p_value_and_relieves_no_other():
    values = values_of(
        {"baseline": {0: 0.0, 1: 0.0, 2: 0.0}, "f=1": {0: 0.9, 1: 1, 2: 1.2}, "f=2": {0: 1.0, 1: 1.0 + 1e-6}}
    )
    full, part = compute_differences(values, True, 0.02, 2, least_pairs=3).to_dict("records")
    assert part["p"] < full["p"]
    assert math.isnan(part["p_holm"])
    assert math.isnan(part["p_noninferior_holm"])
    assert full["p_holm"] == pytest.approx(2 * full["p"])


def test_without_a_baseline_nothing_is_compared():
    row = compute_differences(values_of({"f=1": {0: 1.0, 1: 2.0}}), True, 0.02, 1).iloc[0]
    assert row["n_pairs"] == 0
    assert math.isnan(row["difference"])
