"""How many more seeds would decide an arm, against power that scipy computes in another way or that is simulated."""

import math

import numpy as np
import pytest
from scipy.stats import nct, t

from analysis.power import MOST_FURTHER_SEEDS, compute_more_seeds, upper_power

LEVELS = {"margin": 0.02, "level": 0.05 / 14, "noninferior_level": 0.05 / 14}
DIFFERENCE_ALONE = LEVELS | {"noninferior_level": 1e-15}


@pytest.mark.parametrize(("noncentrality", "degrees", "level"), [(0.5, 4, 0.05), (3, 2, 0.01), (8, 6.5, 0.001)])
def test_power_of_one_test(noncentrality, degrees, level):
    expected = nct.sf(t.isf(level, degrees), degrees, noncentrality)
    assert upper_power(noncentrality, degrees, level) == pytest.approx(expected, rel=1e-9)


def test_power_against_a_simulation():
    draws = np.random.default_rng(0).normal(1.5, 1.0, size=(40_000, 6))
    found = draws.mean(1) / (draws.std(1, ddof=1) / math.sqrt(6)) > t.isf(0.025, 5)
    assert upper_power(1.5 * math.sqrt(6), 5, 0.025) == pytest.approx(found.mean(), abs=0.01)


def test_an_effect_on_the_wrong_side_has_no_power():
    assert upper_power(np.array([-1.0, -50.0]), 4, 0.05).tolist() == [0, 0]


def test_a_difference_is_decided_by_the_fewest_seeds_with_enough_power():
    n = 5 + compute_more_seeds(0.03, 0.012, 4.0, 5, power=0.8, **DIFFERENCE_ALONE)
    chance = {}
    for seeds in (n - 1, n):
        shift, degrees = 0.03 / (0.012 * math.sqrt(5 / seeds)), 4 + seeds - 5
        chance[seeds] = nct.sf(t.isf(0.025 / 14, degrees), degrees, shift)
    assert chance[n - 1] < 0.8 <= chance[n]


def test_a_loss_is_seen_as_soon_as_a_gain_and_a_gain_is_non_inferior_before():
    gain, loss = (compute_more_seeds(d, 0.03, 4.0, 5, power=0.8, **DIFFERENCE_ALONE) for d in (0.08, -0.08))
    assert gain == loss == compute_more_seeds(-0.08, 0.03, 4.0, 5, power=0.8, **LEVELS)
    assert compute_more_seeds(0.08, 0.03, 4.0, 5, power=0.8, **LEVELS) < gain


def test_no_difference_is_decided_by_non_inferiority():
    assert 0 < compute_more_seeds(0.0, 0.01, 4.0, 5, power=0.8, **LEVELS) < MOST_FURTHER_SEEDS


def test_what_no_plan_can_decide_is_endless():
    assert compute_more_seeds(-0.0001, 0.5, 4.0, 5, power=0.8, **LEVELS) == math.inf


def test_more_power_or_more_noise_asks_for_more_seeds():
    few = compute_more_seeds(0.03, 0.012, 4.0, 5, power=0.5, **LEVELS)
    many = compute_more_seeds(0.03, 0.012, 4.0, 5, power=0.95, **LEVELS)
    noisy = compute_more_seeds(0.03, 0.024, 4.0, 5, power=0.5, **LEVELS)
    assert few < many
    assert few < noisy


def test_differences_that_all_agree_are_decided_by_the_number_of_seeds():
    # two-sided 2^(1 - n) <= 0.05 / 14 from n = 10 on; non-inferior 2^-n <= 0.05 from n = 5 on, where a loss is excluded
    numbers = {"standard_error": 0.0, "degrees": 4.0, "n_seeds": 3, "margin": 0.02, "power": 0.8}
    assert compute_more_seeds(-0.1, level=0.05 / 14, noninferior_level=0.05, **numbers) == 7
    assert compute_more_seeds(-0.01, level=0.05 / 14, noninferior_level=0.05, **numbers) == 2
