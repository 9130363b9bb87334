"""Moderation of variances: hand-computed parts, what the prior may give, and to whom it gives nothing."""

import math

import numpy as np
import pytest
from scipy.special import polygamma

from foresight.moderation import LIMIT, SMALLEST_SHARE, UPPER, fit_prior, invert_trigamma, limit, moderate

ALL = np.ones(14, dtype=bool)


def degrees_of(n_seeds: int) -> np.ndarray:
    return np.array([n_seeds - 1.0])


def draw_variances(n_arms: int = 14, n_seeds: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).chisquare(n_seeds - 1, n_arms) / (n_seeds - 1)


def test_inverse_of_trigamma():
    known = np.array([math.pi**2 / 2, math.pi**2 / 6, math.pi**2 / 6 - 1])  # trigamma at 1/2, 1 and 2
    assert invert_trigamma(known) == pytest.approx([0.5, 1.0, 2.0], rel=1e-12)
    assert invert_trigamma(np.array([1e-4, 1e4])) == pytest.approx([10000.5, 0.01], rel=1e-3)


def test_prior_of_equal_variances():
    prior, fitted = fit_prior(np.full(40, 2.0), np.ones(40, dtype=bool), degrees_of(3))
    # The logarithm of chi2(2) / 2 is minus Euler's constant in the mean.
    assert prior == pytest.approx(2 * math.exp(np.euler_gamma))
    # Forty arms that agree to the last digit: less than chance allows, even at the upper end of it.
    assert fitted == np.inf


def test_prior_degrees_are_those_at_the_upper_end_of_the_spread():
    variances = np.exp(np.array([-1.0, 0.0, 1.0]))  # a spread of 1, by 3 arms
    _, fitted = fit_prior(variances, np.ones(3, dtype=bool), degrees_of(5))
    by_chance = math.pi**2 / 6 - 1  # trigamma(2)
    error = math.sqrt((float(polygamma(3, 2)) + 2 * by_chance**2) / 2)
    assert polygamma(1, fitted / 2) == pytest.approx(1 - by_chance + UPPER * error)


def test_prior_is_found_again_in_many_arms():
    rng = np.random.default_rng(1)
    true = 0.5 * 8 / rng.chisquare(8, size=200_000)
    variances = true * rng.chisquare(4, size=200_000) / 4
    prior, fitted = fit_prior(variances, np.ones(200_000, dtype=bool), degrees_of(5))
    # Smyth's prior variance and this geometric mean differ by the bias of a logarithm of chi2(8) / 8.
    assert prior.item() == pytest.approx(0.5 * 4 / math.exp(1.2561177), rel=0.02)  # digamma(4)
    assert fitted.item() == pytest.approx(8, rel=0.05)


def test_shrunk_variance_by_hand():
    variances = draw_variances()
    shrunk, extra = moderate(variances, ALL, degrees_of(5))
    prior, _ = fit_prior(variances, ALL, degrees_of(5))
    assert (extra > 0).sum() > 10
    assert shrunk == pytest.approx((4 * variances + extra * prior) / (4 + extra))


@pytest.mark.parametrize(("n_seeds", "n_arms", "most"), [(2, 14, 0), (3, 1, 0), (3, 3, 1.648), (5, 14, 11.876)])
def test_the_prior_gives_no_more_than_its_limit(n_seeds, n_arms, most):
    assert limit(degrees_of(n_seeds), np.array([n_arms])) == pytest.approx(most, abs=1e-3)
    assert most == pytest.approx(LIMIT * (n_seeds - 2) * math.log(n_arms), abs=1e-3)
    _, extra = moderate(np.ones(n_arms), np.ones(n_arms, dtype=bool), degrees_of(n_seeds))
    assert (extra <= most + 1e-3).all()


@pytest.mark.parametrize(("n_seeds", "n_arms"), [(2, 14), (5, 1), (5, 2)])
def test_two_seeds_and_few_arms_keep_their_own_noise(n_seeds, n_arms):
    variances = draw_variances(n_arms, n_seeds)
    shrunk, extra = moderate(variances, np.ones(n_arms, dtype=bool), degrees_of(n_seeds))
    assert shrunk.tolist() == variances.tolist()
    assert extra.tolist() == [0] * n_arms


def test_a_diverging_arm_keeps_its_own_noise_and_costs_the_others_little():
    variances = draw_variances()
    variances[3] = 100.0
    shrunk, extra = moderate(variances, ALL, degrees_of(5))
    assert (shrunk[3], extra[3]) == (100.0, 0.0)
    calm, _ = moderate(np.delete(variances, 3), ALL[1:], degrees_of(5))
    assert np.delete(shrunk, 3) / calm == pytest.approx(np.ones(13), abs=0.6)


def test_a_clear_mixture_leaves_the_prior_next_to_nothing():
    variances = draw_variances()
    _, alike = moderate(variances, ALL, degrees_of(5))
    _, mixed = moderate(variances * np.where(np.arange(14) < 7, 1, 400), ALL, degrees_of(5))
    assert alike.max() > 4
    assert mixed.max() < 1


def test_arms_that_tell_nothing_are_neither_heard_nor_helped():
    variances = np.append(draw_variances(), 0.0)
    told = np.append(ALL, False)
    shrunk, extra = moderate(variances, told, degrees_of(5))
    alone, extra_alone = moderate(variances[:-1], ALL, degrees_of(5))
    assert shrunk.tolist() == [*alone, 0.0]
    assert extra.tolist() == [*extra_alone, 0.0]


def test_variances_of_zero_count_as_a_share_of_the_mean():
    variances = np.append(draw_variances(13), 0.0)
    least = variances.copy()
    least[-1] = SMALLEST_SHARE * variances.mean()
    for ours, theirs in zip(
        fit_prior(variances, ALL, degrees_of(5)), fit_prior(least, ALL, degrees_of(5)), strict=True
    ):
        assert ours == pytest.approx(theirs, rel=0.01)
    shrunk, extra = moderate(variances, ALL, degrees_of(5))
    assert shrunk[-1] > 0
    assert extra[-1] > 0
    still, none = moderate(np.zeros(14), ALL, degrees_of(5))
    assert still.tolist() == none.tolist() == [0.0] * 14


def test_many_studies_at_once_are_each_alone():
    variances = np.stack([draw_variances(seed=seed) for seed in range(4)])
    told = np.ones((4, 14), dtype=bool)
    told[2, :12] = False
    together = moderate(variances, told, np.full((4, 1), 4.0))
    for i in range(4):
        for ours, alone in zip(together, moderate(variances[i], told[i], degrees_of(5)), strict=True):
            assert ours[i] == pytest.approx(alone)
