"""Arm + block model, jackknife and the interval of a standard deviation, against numbers computed by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.blocks import compute_jackknife, compute_sd_interval, fit_blocks, leave_out_blocks
from foresight.compare import compute_estimate


def values_of(table: dict[str, dict[int, float]]) -> pd.DataFrame:
    rows = [(arm, seed, value) for arm, by_seed in table.items() for seed, value in by_seed.items()]
    return pd.DataFrame(rows, columns=["arm", "seed", "value"])


def test_arms_and_blocks_of_a_whole_table():
    # means 2, 5, 8 of a, b, c and 4, 6 of the seeds, 5 of all; residuals value - arm - seed + 5: -0 of a, -1 and 1 of b and c
    fit = fit_blocks(values_of({"a": {0: 1, 1: 3}, "b": {0: 5, 1: 5}, "c": {0: 6, 1: 10}}))
    assert fit.arm_means.to_dict() == pytest.approx({"a": 2, "b": 5, "c": 8})
    assert fit.block_effects.to_dict() == pytest.approx({0: -1, 1: 1})
    assert fit.residuals.tolist() == pytest.approx([0, 0, 1, -1, -1, 1])
    assert (fit.df, fit.sd) == (2, pytest.approx(math.sqrt(4 / 2)))


def test_an_arm_without_a_block_is_set_at_the_average_block():
    # a and b tell that seed 1 is 2 higher than seed 0, so c, seen at seed 1 alone, is 9 - 1
    fit = fit_blocks(values_of({"a": {0: 1, 1: 3}, "b": {0: 4, 1: 6}, "c": {1: 9}}))
    assert fit.arm_means["c"] == pytest.approx(8)
    assert fit.sd == pytest.approx(0, abs=1e-12)
    assert fit.df == 1


def test_one_seed_leaves_no_noise_to_estimate():
    fit = fit_blocks(values_of({"a": {0: 1}, "b": {0: 2}}))
    assert fit.df == 0
    assert math.isnan(fit.sd)
    assert fit.arm_means.to_dict() == {"a": 1, "b": 2}


def test_residuals_are_least_squares_of_dummy_columns():
    rng = np.random.default_rng(0)
    values = values_of({arm: {s: rng.normal() for s in range(4)} for arm in "abcde"}).drop(index=[3, 7, 12])
    dummies = np.hstack([pd.get_dummies(values["arm"]), pd.get_dummies(values["seed"])]).astype(float)
    found = np.linalg.lstsq(dummies, values["value"], rcond=None)[0]
    assert fit_blocks(values).residuals.to_numpy() == pytest.approx(values["value"] - dummies @ found)
    assert fit_blocks(values).df == len(values) - 5 - 3


def test_jackknife_of_a_mean_is_its_t_interval():
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    left_out = [float(np.mean([v for v in values if v != x])) for x in values]
    estimate = compute_estimate(values)
    assert compute_jackknife(3.0, left_out) == pytest.approx((estimate.low, estimate.high))


@pytest.mark.parametrize("left_out", [[], [0.5], [0.5, 0.6], [0.5, 0.6, math.nan]])
def test_fewer_than_three_blocks_have_no_jackknife(left_out):
    assert all(map(math.isnan, compute_jackknife(0.5, left_out)))


def test_each_block_is_left_out_once():
    values = values_of({"a": {0: 1, 1: 3, 2: 8}})
    assert leave_out_blocks(values, lambda rows: float(rows["value"].sum())) == [11, 9, 4]
    assert leave_out_blocks(values[values["seed"] == 0], len) == []


def test_interval_of_a_standard_deviation():
    # chi2(0.975, 4) = 11.14329, chi2(0.025, 4) = 0.4844186
    low, high = compute_sd_interval(2.0, 4)
    assert low == pytest.approx(2 * math.sqrt(4 / 11.14329), rel=1e-5)
    assert high == pytest.approx(2 * math.sqrt(4 / 0.4844186), rel=1e-5)
    assert all(map(math.isnan, compute_sd_interval(math.nan, 0)))
