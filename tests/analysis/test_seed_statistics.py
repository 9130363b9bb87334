"""Hand-computed intervals, pairing, Holm; and what happens where there is nothing to compute from."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest

from analysis.compare import DIFFERENCE_COLUMNS, compute_differences, compute_estimate, compute_holm


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


def test_interval_of_the_non_inferiority_test_is_narrower():
    # t(0.95, 4) = 2.1318468
    assert compute_estimate([1, 2, 3, 4, 5], confidence=0.90).low == pytest.approx(
        3 - 2.1318468 * math.sqrt(0.5), abs=1e-6
    )


@pytest.mark.parametrize("values", [[], [0.4]])
def test_fewer_than_two_values_have_no_interval(values):
    estimate = compute_estimate(values)
    assert all(math.isnan(number) for number in (estimate.low, estimate.high, estimate.p))


def test_identical_values():
    zero, one = compute_estimate([0.0, 0.0, 0.0]), compute_estimate([0.1, 0.1, 0.1])
    assert (zero.mean, zero.low, zero.high, zero.p) == (0, 0, 0, 1)
    assert (one.mean, one.low, one.high, one.p) == (0.1, 0.1, 0.1, 0)


def test_rounding_is_not_noise():
    differences = [a + 0.1 - a for a in (0.3, 0.6, 0.7)]  # 0.1 up to the last bit
    assert len(set(differences)) > 1
    assert compute_estimate(differences, scale=0.8).p == 0
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
    row = compute_differences(values, True, 0.05, {"f": 1}).iloc[0]
    assert list(row.index) == list(DIFFERENCE_COLUMNS)
    assert (row["n_pairs"], row["pair_seeds"], row["difference"]) == (2, (1, 2), 1.5)
    assert row["low"] == pytest.approx(1.5 - 12.7062047 * 0.5)  # t(0.975, 1), differences 1 and 2
    assert row["worst_case"] == pytest.approx(1.5 - 6.3137515 * 0.5)  # t(0.95, 1)


def test_pairing_removes_what_a_block_shares():
    rng = np.random.default_rng(0)
    block, noise = rng.normal(0, 1, 5), rng.normal(0, 0.001, 5)
    values = values_of({"baseline": dict(enumerate(block)), "f=1": dict(enumerate(block + 0.01 + noise))})
    assert compute_differences(values, True, 0.05, {})["p"].iloc[0] < 0.001


def test_worst_case_turns_with_the_direction():
    values = values_of({"baseline": {0: 0.0, 1: 0.0, 2: 0.0}, "f=1": {0: 0.01, 1: 0.02, 2: 0.03}})
    higher, lower = (compute_differences(values, up, 0.05, {}).iloc[0] for up in (True, False))
    assert higher["difference"] == lower["difference"] == pytest.approx(0.02)
    half_width = 2.9199856 * 0.01 / math.sqrt(3)  # t(0.95, 2)
    assert higher["worst_case"] == pytest.approx(0.02 - half_width)
    assert lower["worst_case"] == pytest.approx(-0.02 - half_width)


def test_families_are_adjusted_apart():
    values = values_of(
        {"baseline": {0: 0.0, 1: 0.0, 2: 0.0}, "f=1": {0: 0.9, 1: 1, 2: 1.2}, "f=2": {0: 0.8, 1: 1, 2: 1.1}}
    )
    together = compute_differences(values, True, 0.05, {})
    values.loc[values["arm"] == "f=2", "factor"] = "g"
    apart = compute_differences(values, True, 0.05, {})
    assert (apart["p_holm"] == apart["p"]).all()
    assert together["p_holm"].min() == pytest.approx(2 * together["p"].min())


def test_without_a_baseline_nothing_is_compared():
    row = compute_differences(values_of({"f=1": {0: 1.0, 1: 2.0}}), True, 0.05, {}).iloc[0]
    assert row["n_pairs"] == 0
    assert math.isnan(row["difference"])
