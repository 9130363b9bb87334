"""Fronts, volumes, knees and draws as pure functions: cases by hand, and how often a state is wrong."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, stdtr

from analysis.front import (
    compute_domination_share,
    compute_front_share,
    compute_hypervolume,
    compute_scaling,
    count_rivals,
    find_knee,
    on_front,
)
from analysis.front_states import (
    AMBIGUOUS,
    DOMINATED,
    ON_FRONT,
    SURE,
    compute_p_not_apart,
    compute_p_not_dominated,
    decide_state,
)
from analysis.objectives import merge_costs
from analysis.resampling import draw_means
from benchmarks.chosen import FRONTS, simulate_states

UP_DOWN = [True, False]


def test_the_front_keeps_twins_and_drops_what_is_beaten():
    points = np.array([[0.9, 100, 10], [0.5, 10, 12], [0.5, 90, 5], [0.5, 100, 10], [0.9, 100, 10]])
    assert on_front(points, [True, False, False]).tolist() == [True, True, True, False, True]


def test_the_hypervolume_of_two_points_by_hand():
    points = np.array([[1.0, 3.0], [0.5, 2.0], [0.0, 4.0]])
    # Scaled: (0, 0.5), (0.5, 0), (1, 1). Up to (1.1, 1.1): 1.1 * 0.6 + 0.6 * 0.5 of 1.21.
    scaling = compute_scaling(points, UP_DOWN)
    assert scaling.apply(points) == pytest.approx(np.array([[0, 0.5], [0.5, 0], [1, 1]]))
    assert compute_hypervolume(points, scaling) == pytest.approx((1.1 * 0.6 + 0.6 * 0.5) / 1.21)


def test_costs_over_a_decade_are_scaled_by_their_logarithm():
    points = np.array([[0.5, 1e5], [0.7, 1e6], [0.6, 1e7]])
    scaling = compute_scaling(points, UP_DOWN)
    assert scaling.is_log.tolist() == [False, True]
    assert scaling.apply(points)[:, 1] == pytest.approx([0, 0.5, 1])
    assert not compute_scaling(points / [1, 1e5] + [0, 100], UP_DOWN).is_log.any()


def test_the_knee_is_the_point_farthest_before_the_line_of_the_extremes():
    points = np.array([[0.0, 1.0], [0.6, 2.0], [0.9, 3.0], [1.0, 5.0], [0.1, 5.0]])
    # On the front, scaled to (1 - quality, (cost - 1) / 4), the sums are 1, 0.65, 0.6 and 1.
    assert find_knee(points, UP_DOWN) == 2
    assert find_knee(points[[0, 3]], UP_DOWN) is None
    straight = np.array([[0.0, 1.0], [0.5, 2.0], [1.0, 3.0]])
    assert find_knee(straight, UP_DOWN) is None
    behind = np.array([[0.0, 1.0], [0.1, 2.0], [1.0, 3.0]])
    assert find_knee(behind, UP_DOWN) is None


def test_a_group_of_costs_starts_anew_where_it_would_span_over_five_percent():
    costs = pd.Series({"a": 104.0, "b": 100.0, "c": 108.0, "d": 1000.0, "e": np.nan})
    assert merge_costs(costs).tolist()[:4] == [100.0, 100.0, 108.0, 1000.0]
    assert np.isnan(merge_costs(costs)["e"])


def test_draws_are_those_of_the_paired_t_test():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(4, 1)) + rng.normal(0, [0.3, 1.0, 0.1], (4, 3))
    draws = draw_means(values, "test", n_draws=40_000)
    change = values[:, 0] - values[:, 1]
    p = stdtr(3, -change.mean() / (change.std(ddof=1) / 2))
    assert (draws[:, 0] < draws[:, 1]).mean() == pytest.approx(p, abs=0.01)
    assert draw_means(values, "test", n_draws=40_000) == pytest.approx(draws, abs=0)


def test_what_is_the_same_at_every_seed_is_the_same_in_every_draw():
    draws = draw_means(np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 4.0]]), "test", n_draws=50)
    assert set(draws[:, 0]) == {0.1}
    assert len(set(draws[:, 1])) == 50
    with pytest.raises(ValueError, match="two seeds, not of 1"):
        draw_means(np.ones((1, 2)), "test")


def test_shares_by_hand():
    # Two draws of three arms: quality up, cost down. The second arm is beaten by the first in the first draw alone.
    draws = np.array([[[0.9, 1.0], [0.5, 2.0], [0.4, 1.0]], [[0.6, 1.0], [0.7, 2.0], [0.4, 1.0]]])
    assert compute_front_share(draws, UP_DOWN).tolist() == [1.0, 0.5, 0.0]
    share, by = compute_domination_share(draws, UP_DOWN, [0, 1])
    assert share.tolist() == [0.0, 0.5, 1.0]
    assert by.tolist() == [-1, 0, 0]


def states_of(truth, noise, n_seeds, n_studies):
    """How often the last arm comes out surely on the front and surely dominated, over simulated studies."""
    found = simulate_states(np.array(truth, float), np.array(noise, float), n_seeds, n_studies, seed=7)
    return found[ON_FRONT], found[DOMINATED]


@pytest.mark.parametrize("n_seeds", [3, 5])
def test_an_arm_that_is_dominated_by_a_hair_is_ambiguous(n_seeds):
    """The second arm costs more and is worse by 1/100 of the noise: at most 5 % of the studies may be sure of either."""
    n_studies = 400
    on, off = states_of(*FRONTS["dominated by a hair in quality, cost fixed"], n_seeds, n_studies)
    allowed = 1 - SURE + 2.6 * np.sqrt(SURE * (1 - SURE) / n_studies)  # simulation error
    assert on <= allowed
    assert off <= allowed + 0.01  # it is dominated, after all
    assert 1 - on - off > 0.85


def test_an_arm_dominated_by_a_hair_in_two_noisy_objectives_is_not_on_the_front_by_luck_in_either():
    n_studies = 400
    on, _ = states_of(*FRONTS["dominated by a hair in quality and a noisy cost"], 5, n_studies)
    assert on <= 1 - SURE + 2.6 * np.sqrt(SURE * (1 - SURE) / n_studies)


def test_an_arm_on_the_front_by_a_hair_is_rarely_dominated_by_one_of_many():
    """Fourteen cheaper arms are as good but for 1/100 of the noise: one of them is lucky in most studies."""
    n_studies = 100
    on, off = states_of(*FRONTS["on the front by a hair in quality, 14 cheaper"], 5, n_studies)
    assert on <= 0.05
    assert off <= 1 - SURE + 2.6 * np.sqrt(SURE * (1 - SURE) / n_studies)


def test_rivals_and_states_by_hand():
    # Costs 1, 2, 2, 3 that never change: the last could be dominated by all, the second by the first and the third.
    quality = np.random.default_rng(0).normal(size=(10, 4))
    draws = np.stack([quality, np.broadcast_to([1.0, 2.0, 2.0, 3.0], quality.shape)], axis=2)
    assert count_rivals(draws, UP_DOWN).tolist() == [0, 2, 2, 3]
    assert decide_state(0.95, 0.05, 1.0, 3) == ON_FRONT
    assert decide_state(0.95, 0.06, 1.0, 3) == AMBIGUOUS
    assert decide_state(0.94, 0.01, 1.0, 3) == AMBIGUOUS
    assert decide_state(0.01, 1.0, 0.02, 2) == DOMINATED
    assert decide_state(0.01, 1.0, 0.02, 3) == AMBIGUOUS


def objective(*by_point):
    return np.array(by_point, dtype=float).T


def test_p_values_of_states_by_hand():
    # Quality up, cost down, three seeds. The second arm is behind by 1, 2, 3 in quality: t = 2 / (1 / sqrt(3)) with 2 degrees of
    # freedom, and ahead by as much in cost.
    behind = stdtr(2, -2 * np.sqrt(3))
    quality = objective([10, 10, 10], [9, 8, 7], [5, 5, 5])
    cost = objective([5, 5, 5], [4, 3, 2], [5, 5, 5])
    values, none = np.stack([quality, cost], axis=2), np.zeros((3, 2))
    # The second is told apart from the first by the better of two tests, so twice its p-value; the first from the second too.
    assert compute_p_not_apart(values, none, UP_DOWN, [0, 1]) == pytest.approx([2 * behind, 2 * behind])
    # The third is the first's equal in cost and behind it in quality at every seed, without any noise.
    assert compute_p_not_apart(values, none, UP_DOWN, [2]).tolist() == [1.0]
    found = compute_p_not_dominated(values, none, UP_DOWN, np.array([-1, 0, 0]))
    assert found == pytest.approx(
        [1.0, 1 - behind, 0.0]
    )  # ahead of the first in cost as surely as behind it in quality


def test_equal_points_and_differences_without_noise():
    same = np.stack([objective([1, 2, 4], [1, 2, 4], [0, 1, 3]), objective([3, 3, 3], [3, 3, 3], [4, 4, 4])], axis=2)
    none = np.zeros((3, 2))
    assert compute_p_not_apart(same, none, UP_DOWN, [0, 1]).tolist() == [0.0, 0.0]  # equals share a front
    # The third is behind by 1 at every seed, which a metric in steps is by chance: a sign test of three.
    assert compute_p_not_dominated(same, none, UP_DOWN, np.array([-1, -1, 0])).tolist() == [1.0, 1.0, 0.125]


def test_what_was_measured_once_has_the_noise_of_its_repeats():
    values = np.stack([objective([1, 1, 1], [0, 0, 0]), objective([10, 10, 10], [13, 13, 13])], axis=2)
    spread = np.array([[0.0, 3.0], [0.0, 4.0]])
    found = compute_p_not_dominated(values, spread, UP_DOWN, np.array([-1, 0]))
    assert found[1] == pytest.approx(ndtr(-3 / 5))


def test_a_plain_bootstrap_of_three_seeds_would_be_sure_far_too_often():
    """What the studentised draws are for: the same arm, with whole seeds drawn with replacement."""
    rng, n_studies, wrong = np.random.default_rng(7), 300, 0
    for _ in range(n_studies):
        quality = np.array([0.01, 0.0]) + rng.normal(0, 1, (3, 2))
        picked = rng.integers(0, 3, (400, 3))
        means = quality[picked].mean(axis=1)
        wrong += (means[:, 1] > means[:, 0]).mean() >= SURE
    assert wrong / n_studies > 0.1


def test_clear_cases_are_decided():
    on, off = states_of([[-10.0, 1.0], [0.0, 2.0]], [1.0, 0.0], 5, 100)
    assert (on, off > 0.95) == (0, True)
    on, off = states_of([[0.0, 1.0], [-10.0, 2.0]], [1.0, 0.0], 5, 100)
    assert (on > 0.95, off) == (True, 0)
