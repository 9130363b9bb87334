"""Arms against a baseline: what the statistic may not depend on, and that a table of differences is made of it alone."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.calibration import NOISES
from foresight.compare import compute_differences, compute_holm
from foresight.contrasts import EXACT, MODERATED, PAIRED, compute_contrasts, compute_paired


def draw(n_arms: int = 15, n_seeds: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_arms, n_seeds))


def frame_of(values_AS: np.ndarray) -> pd.DataFrame:
    arms = ["baseline", *(f"f={i}" for i in range(1, len(values_AS)))]
    rows = [(arm, "f", seed, v) for arm, row in zip(arms, values_AS, strict=True) for seed, v in enumerate(row)]
    return pd.DataFrame(rows, columns=["arm", "factor", "seed", "value"]).dropna()


def test_the_paired_test_is_scipys():
    values_AS = draw()
    found = compute_paired(values_AS)
    expected = stats.ttest_rel(values_AS[1:], values_AS[:1], axis=1)
    assert found.compute_p() == pytest.approx(expected.pvalue)
    one_sided = stats.ttest_rel(values_AS[1:] + 0.3, values_AS[:1], axis=1, alternative="greater")
    assert found.compute_p_noninferior(0.3) == pytest.approx(one_sided.pvalue)
    low, high = found.interval()
    assert low == pytest.approx(expected.confidence_interval().low)
    assert high == pytest.approx(expected.confidence_interval().high)


def test_moderation_changes_noise_and_degrees_alone():
    values_AS = draw()
    found, own = compute_contrasts(values_AS), compute_paired(values_AS)
    assert found.difference.tolist() == own.difference.tolist()
    assert (found.degrees > own.degrees)[found.is_moderated].all()
    assert found.is_moderated.sum() > 10
    # Towards one another: the most quiet becomes noisier and the noisiest that is moderated quieter.
    assert found.standard_error[own.standard_error.argmin()] > own.standard_error.min()
    noisiest = np.where(found.is_moderated, own.standard_error, 0).argmax()
    assert found.standard_error[noisiest] < own.standard_error[noisiest]


def test_blocks_units_and_the_order_of_arms_change_nothing():
    values_AS = draw()
    plain = compute_contrasts(values_AS)
    block = compute_contrasts(values_AS + 100 * np.arange(5))
    scaled = compute_contrasts(-7 * values_AS)
    turned = compute_contrasts(values_AS[[0, *range(14, 0, -1)]])
    for name in ("difference", "standard_error", "degrees"):
        assert getattr(block, name) == pytest.approx(getattr(plain, name))
        assert getattr(turned, name)[::-1] == pytest.approx(getattr(plain, name))
    assert scaled.difference == pytest.approx(-7 * plain.difference)
    assert scaled.standard_error == pytest.approx(7 * plain.standard_error)


def test_a_shift_of_one_arm_leaves_all_noise_as_it_is():
    values_AS = draw()
    plain = compute_contrasts(values_AS)
    values_AS[1] += 4
    shifted = compute_contrasts(values_AS)
    assert shifted.standard_error == pytest.approx(plain.standard_error)
    assert shifted.difference[0] == pytest.approx(plain.difference[0] + 4)


def random_study(rng: np.random.Generator) -> np.ndarray:
    """Values of a study as a run log may hold it: any noise, steps, ties, arms that repeat the baseline, missing trials."""
    noise = list(NOISES)[rng.integers(len(NOISES))]
    n_arms, n_seeds = int(rng.integers(2, 18)), int(rng.integers(2, 8))
    values_AS = NOISES[noise](rng, 1, n_arms, n_seeds)[0] + rng.normal(size=(n_arms, 1)) * rng.integers(0, 3)
    if rng.random() < 0.3:
        values_AS = np.round(values_AS)
    if rng.random() < 0.3:
        values_AS[rng.integers(n_arms)] = values_AS[0]
    if rng.random() < 0.3:
        values_AS[rng.integers(n_arms)] = values_AS[0] + 1.0
    if rng.random() < 0.5:
        values_AS[rng.random(values_AS.shape) < 0.1] = np.nan
    return values_AS


def test_verdicts_and_calibration_judge_by_the_same_numbers():
    """A study alone, in a table and with missing trials, against the same one among many that are judged at once."""
    rng, n_methods = np.random.default_rng(11), {MODERATED: 0, PAIRED: 0, EXACT: 0}
    for _ in range(150):
        values_AS = random_study(rng)
        if np.isnan(values_AS[0]).all() or np.isnan(values_AS).all(1).any():
            continue
        rows = compute_differences(frame_of(values_AS), True, 0.5, len(values_AS) - 1)
        many = np.stack([rng.normal(size=values_AS.shape), values_AS, rng.normal(size=values_AS.shape)])
        found = compute_contrasts(many)
        assert rows["p"].tolist() == pytest.approx(found.compute_p()[1].tolist(), rel=1e-9, nan_ok=True)
        assert rows["p_noninferior"].tolist() == pytest.approx(
            found.compute_p_noninferior(0.5)[1].tolist(), rel=1e-9, nan_ok=True
        )
        assert rows["method"].tolist() == found.method[1].tolist()
        assert rows["p_holm"].tolist() == pytest.approx(
            compute_holm(rows["p"].where(rows["n_pairs"] > 1).tolist(), len(values_AS) - 1), nan_ok=True
        )
        for method in n_methods:
            n_methods[method] += int((rows["method"] == method).sum())
    assert min(n_methods.values()) > 30


def test_table_interval_and_p_values_come_from_one_statistic():
    values_AS = draw()
    values_AS[4] += 3
    rows, found = compute_differences(frame_of(values_AS), True, 0.5, 14), compute_contrasts(values_AS)
    assert rows["method"].value_counts().idxmax() == MODERATED
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
    assert more["method"].iloc[-1] == EXACT
    assert (more["p"].iloc[-1], more["low"].iloc[-1]) == (1, 0)
    assert more["p"].tolist()[:14] == rows["p"].tolist()


def test_an_arm_that_differs_by_the_same_amount_everywhere_has_the_noise_of_the_others():
    values_AS = draw()
    values_AS[2] = values_AS[0] + 0.1
    found = compute_contrasts(values_AS)
    assert found.method[1] == MODERATED
    assert found.standard_error[1] > 0
    alone = compute_contrasts(values_AS[[0, 2]])  # and alone it is a sign test of five
    assert (alone.method[0], alone.compute_p()[0]) == (EXACT, 2**-4)


def test_two_seeds_and_few_arms_are_the_paired_test():
    for n_arms, n_seeds in ((15, 2), (3, 5)):
        values_AS = draw(n_arms, n_seeds)
        rows, found = compute_differences(frame_of(values_AS), True, 0.5, 14), compute_paired(values_AS)
        assert set(rows["method"]) == {PAIRED}
        assert rows["standard_error"].tolist() == pytest.approx(found.standard_error.tolist())
        assert rows["degrees"].tolist() == found.degrees.tolist()
