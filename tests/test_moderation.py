"""The moderated Welch test: hand-computed parts, what it may not depend on, and its agreement with the table of differences."""

import math

import numpy as np
import pandas as pd
import pytest

from foresight import moderation
from foresight.compare import compute_differences
from foresight.moderation import (
    MODERATED,
    PAIRED,
    choose_method,
    compute_contrasts,
    compute_moderated,
    compute_paired,
    compute_residual_variances,
    fit_prior,
    invert_trigamma,
    prior_limits,
)


def draw(n_arms: int = 15, n_seeds: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_arms, n_seeds))


def frame_of(values_AS: np.ndarray) -> pd.DataFrame:
    arms = ["baseline", *(f"f={i}" for i in range(1, len(values_AS)))]
    rows = [(arm, "f", seed, v) for arm, row in zip(arms, values_AS, strict=True) for seed, v in enumerate(row)]
    return pd.DataFrame(rows, columns=["arm", "factor", "seed", "value"])


@pytest.mark.parametrize(
    ("n_seeds", "n_compared", "method"),
    [
        (2, 14, PAIRED), (3, 2, PAIRED), (3, 1, PAIRED), (3, 3, MODERATED), (9, 3, MODERATED), (10, 3, PAIRED),
        (5, 14, MODERATED), (64, 14, MODERATED), (65, 14, PAIRED),
    ],
)  # fmt: skip
def test_the_method_follows_from_the_numbers_of_seeds_and_arms(n_seeds, n_compared, method):
    assert choose_method(n_seeds, n_compared) == method
    assert compute_contrasts(draw(n_compared + 1, n_seeds)).method == method


@pytest.mark.parametrize(
    ("n_seeds", "n_compared", "limits"),
    [(3, 3, (1, 0)), (3, 4, (1.5, 0)), (3, 9, (2.5, 0.5)), (3, 40, (2.5, 1)), (5, 14, (2.5, 2)), (20, 14, (2.5, 2))],
)
def test_few_arms_and_few_seeds_leave_the_prior_little_weight(n_seeds, n_compared, limits):
    assert prior_limits(n_seeds, n_compared) == limits


def test_residual_variance_of_two_arms_is_half_that_of_their_differences():
    # differences 1, 2, 6: mean 3, variance (4 + 1 + 9) / 2 = 7
    values_AS = np.array([[5.0, 1.0, 2.0], [6.0, 3.0, 8.0]])
    assert compute_residual_variances(values_AS) == pytest.approx([3.5, 3.5])


def test_residual_variance_of_three_arms():
    # the second arm alone departs, by 0, 3, -3; block means 0, 1, -1; residuals of the others 0, -1, 1
    values_AS = np.array([[0.0, 0, 0], [0, 3, -3], [0, 0, 0]])
    assert compute_residual_variances(values_AS) == pytest.approx([2 / (4 / 3), 8 / (4 / 3), 2 / (4 / 3)])


def test_inverse_of_trigamma():
    known = np.array([math.pi**2 / 2, math.pi**2 / 6, math.pi**2 / 6 - 1])  # trigamma at 1/2, 1 and 2
    assert invert_trigamma(known) == pytest.approx([0.5, 1.0, 2.0], rel=1e-12)
    assert invert_trigamma(np.array([1e-4, 1e4])) == pytest.approx([10000.5, 0.01], rel=1e-3)


def test_prior_of_variances_that_do_not_differ_has_endless_degrees():
    variance, degrees = fit_prior(np.array([[2.0, 2.0, 2.0]]), 2.0)
    assert degrees.tolist() == [[math.inf]]
    assert variance == pytest.approx(
        2 * math.exp(np.euler_gamma)
    )  # log chi2(2) / 2 is minus Euler's constant in the mean


def test_prior_is_found_again():
    rng = np.random.default_rng(1)
    true = 0.5 * 8 / rng.chisquare(8, size=40_000)
    variance, degrees = fit_prior(true * rng.chisquare(4, size=40_000) / 4, 4.0)
    assert (variance.item(), degrees.item()) == (pytest.approx(0.5, rel=0.03), pytest.approx(8, rel=0.1))


def test_a_prior_without_weight_leaves_welch(monkeypatch):
    values_AS = draw()
    monkeypatch.setattr(moderation, "prior_limits", lambda n_seeds, n_compared: (0.0, 0.0))
    found = compute_moderated(values_AS)
    own = compute_residual_variances(values_AS)
    total = own[1:] + own[0]
    assert found.standard_error == pytest.approx(np.sqrt(total / 5))
    assert found.degrees == pytest.approx(4 * total**2 / (own[1:] ** 2 + own[0] ** 2))


def test_a_quiet_arm_is_taken_to_be_noisier_and_a_noisy_one_quieter():
    values_AS = draw(30, 5)
    values_AS[1] *= 0.01
    values_AS[2] *= 10
    found, own = compute_moderated(values_AS), compute_residual_variances(values_AS)
    welch = np.sqrt((own[1:] + own[0]) / 5)
    assert found.standard_error[0] > welch[0]
    assert found.standard_error[1] < welch[1]
    assert (found.degrees > 4).all()
    assert (found.degrees <= 2 * (4 + 2.5)).all()


def test_blocks_units_and_the_order_of_arms_change_nothing():
    values_AS = draw()
    plain = compute_moderated(values_AS)
    block = compute_moderated(values_AS + 100 * np.arange(5))
    scaled = compute_moderated(-7 * values_AS)
    turned = compute_moderated(values_AS[[0, *range(14, 0, -1)]])
    for name in ("difference", "standard_error", "degrees"):
        assert getattr(block, name) == pytest.approx(getattr(plain, name))
        assert getattr(turned, name)[::-1] == pytest.approx(getattr(plain, name))
    assert scaled.difference == pytest.approx(-7 * plain.difference)
    assert scaled.standard_error == pytest.approx(7 * plain.standard_error)


def test_many_studies_at_once_are_each_alone():
    values_RAS = np.stack([draw(seed=seed) for seed in range(3)])
    for compute in (compute_moderated, compute_paired):
        together, alone = compute(values_RAS), compute(values_RAS[1])
        assert together.standard_error[1] == pytest.approx(alone.standard_error)
        assert together.degrees[1] == pytest.approx(alone.degrees)


def test_table_interval_and_p_values_come_from_one_statistic():
    values_AS = draw()
    values_AS[4] += 3
    rows, found = compute_differences(frame_of(values_AS), True, 0.5, 14), compute_moderated(values_AS)
    assert set(rows["method"]) == {MODERATED}
    for name in ("difference", "standard_error", "degrees"):
        assert rows[name].tolist() == pytest.approx(getattr(found, name).tolist())
    assert ((rows["p"] < 0.05) == ((rows["low"] > 0) | (rows["high"] < 0))).all()
    assert 0 < (rows["p"] < 0.05).sum() < 14
    lower_end = compute_differences(frame_of(values_AS), True, -rows["low"].iloc[0], 14)
    assert lower_end["p_noninferior"].iloc[0] == pytest.approx(0.025)


def test_lower_is_better_turns_non_inferiority_alone():
    values = frame_of(draw())
    higher, lower = (compute_differences(values, up, 0.0, 14) for up in (True, False))
    assert lower["p"].tolist() == higher["p"].tolist()
    assert (higher["p_noninferior"] + lower["p_noninferior"]).tolist() == pytest.approx([1.0] * 14)


def test_an_arm_without_all_seeds_is_paired_and_leaves_the_others_as_if_it_were_not_there():
    values = frame_of(draw())
    gap = values[(values["arm"] != "f=3") | (values["seed"] != 2)]
    rows = compute_differences(gap, True, 0.5, 14, least_pairs=5).set_index("arm")
    without = compute_differences(values[values["arm"] != "f=3"], True, 0.5, 14, least_pairs=5).set_index("arm")
    assert (rows.loc["f=3", "method"], rows.loc["f=3", "n_pairs"], rows.loc["f=3", "degrees"]) == (PAIRED, 4, 3)
    assert math.isnan(rows.loc["f=3", "p_holm"])
    pd.testing.assert_frame_equal(rows.drop("f=3"), without)


def test_arms_that_only_repeat_the_baseline_tell_the_prior_nothing():
    values_AS = draw()
    rows = compute_differences(frame_of(values_AS), True, 0.5, 20)
    more = compute_differences(frame_of(np.concatenate([values_AS, values_AS[[0]]])), True, 0.5, 20)
    assert more["method"].tolist() == [MODERATED] * 14 + ["exact"]
    assert (more["p"].iloc[-1], more["low"].iloc[-1]) == (1, 0)
    assert more["p"].tolist()[:14] == rows["p"].tolist()


def test_a_metric_that_moves_in_steps_keeps_alpha():
    """Differences that agree at all three seeds are common there by chance, and no evidence without noise."""
    rng, n_studies = np.random.default_rng(3), 1000
    n_false = 0
    for _ in range(n_studies):
        values_AS = 0.5 + 0.01 * np.round(rng.normal(size=(15, 3)))
        n_false += bool((compute_differences(frame_of(values_AS), True, 0.02, 14)["p_holm"] < 0.05).any())
    assert n_false / n_studies <= 0.05 + 3 * (0.05 * 0.95 / n_studies) ** 0.5


def test_two_seeds_and_few_arms_are_the_paired_test():
    for n_arms, n_seeds in ((15, 2), (3, 5)):
        values_AS = draw(n_arms, n_seeds)
        rows, found = compute_differences(frame_of(values_AS), True, 0.5, 14), compute_paired(values_AS)
        assert set(rows["method"]) == {PAIRED}
        assert rows["standard_error"].tolist() == pytest.approx(found.standard_error.tolist())
        assert rows["degrees"].tolist() == found.degrees.tolist()
