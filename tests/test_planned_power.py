"""The power of a study that has not run: against the noncentral t distribution where the test is the paired one."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import nctdtr, stdtrit

from foresight.contrasts import MODERATED, compute_contrasts
from foresight.power import Noise, PlannedTest, estimate_noise


def paired_power(difference: float, sd: float, n_seeds: int, level: float) -> float:
    """Upper tail alone, as a verdict in the wrong direction finds nothing."""
    noncentrality = difference / sd * math.sqrt(n_seeds)
    return float(1 - nctdtr(n_seeds - 1, noncentrality, stdtrit(n_seeds - 1, 1 - level / 2)))


@pytest.mark.parametrize("n_seeds", [5, 8])
@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_of_one_arm_it_is_that_of_the_paired_t_test(n_seeds, ratio):
    found = PlannedTest(1, n_seeds, 0.05, 0.02).power(0.02 * ratio)
    assert found == pytest.approx(paired_power(0.02 * ratio, 0.02, n_seeds, 0.05), abs=0.03)


def test_of_many_arms_it_is_what_the_moderated_test_finds_in_studies_with_that_difference():
    n_compared, n_seeds, sd, difference = 14, 5, 0.02, 0.04
    found = PlannedTest(n_compared, n_seeds, 0.05, sd).power(difference)
    values = np.random.default_rng(5).normal(0, sd / math.sqrt(2), (3000, n_compared + 1, n_seeds))
    values += np.random.default_rng(6).normal(0, 1, (3000, 1, n_seeds))  # blocks, which every arm shares
    values[:, 1] += difference
    test = compute_contrasts(values)
    assert (test.method == MODERATED).mean() > 0.9
    t = test.difference[:, 0] / test.standard_error[:, 0]
    seen = (t > stdtrit(test.degrees[:, 0], 1 - 0.05 / n_compared / 2)).mean()
    assert 0.3 < seen < 0.9
    assert found == pytest.approx(seen, abs=0.04)


def test_without_a_difference_it_is_the_error_rate_and_it_grows_with_difference_and_seeds():
    test = PlannedTest(4, 5, 0.05, 0.02)
    assert test.power(0.0) <= 0.05 / 4 / 2 + 0.003
    powers = [test.power(d) for d in (0.0, 0.02, 0.04, 0.08)]
    assert powers == sorted(powers)
    assert PlannedTest(4, 10, 0.05, 0.02).power(0.02) > test.power(0.02)
    assert PlannedTest(14, 5, 0.05, 0.02).power(0.02) < test.power(0.02)


@pytest.mark.parametrize("power", [0.5, 0.8])
def test_the_detectable_difference_has_that_power_and_scales_with_the_noise(power):
    test = PlannedTest(4, 5, 0.05, 0.02)
    assert test.power(test.detectable(power)) == pytest.approx(power, abs=0.001)
    assert PlannedTest(4, 5, 0.05, 0.2).detectable(power) == pytest.approx(10 * test.detectable(power), rel=1e-6)


def test_non_inferiority_is_one_sided():
    test = PlannedTest(1, 5, 0.05, 0.02)
    one_sided = 1 - nctdtr(4, 0.02 / 0.02 * math.sqrt(5), stdtrit(4, 0.95))
    assert test.noninferiority_power(0.02) == pytest.approx(one_sided, abs=0.03)


def values(*arms: tuple[str, list[float]]) -> pd.DataFrame:
    rows = [{"arm": arm, "seed": s, "value": v} for arm, column in arms for s, v in enumerate(column) if v is not None]
    return pd.DataFrame(rows, columns=["arm", "seed", "value"])


def test_noise_is_that_of_differences_and_one_wild_arm_does_not_make_it():
    rng = np.random.default_rng(0)
    block = rng.normal(0, 5, 200)
    arms = [(f"a{i}", (block + rng.normal(0, 1, 200)).tolist()) for i in range(8)]
    wild = ("wild", (block + rng.normal(0, 100, 200)).tolist())
    found = estimate_noise(values(("baseline", (block + rng.normal(0, 1, 200)).tolist()), *arms, wild))
    assert found.paired_sd == pytest.approx(math.sqrt(2), rel=0.1)
    assert (found.n_arms, found.n_differences) == (9, 1800)


def test_noise_of_few_seeds_is_right_in_the_middle():
    rng, found = np.random.default_rng(3), []
    for _ in range(200):
        arms = [(name, rng.normal(0, 1, 3).tolist()) for name in ("baseline", "a", "b", "c")]
        found.append(estimate_noise(values(*arms)).paired_sd ** 2)
    assert np.median(found) == pytest.approx(2.0, rel=0.25)


@pytest.mark.parametrize(
    "arms",
    [
        [("a", [1.0, 2.0])],
        [("baseline", [1.0, 2.0])],
        [("baseline", [1.0, None]), ("a", [1.0, 2.0])],
        [("baseline", [1.0, 2.0]), ("a", [1.5, 2.5])],
        [],
    ],
)
def test_nothing_is_known_of_noise_before_two_blocks(arms):
    assert estimate_noise(values(*arms)) is None


def test_by_hand():
    """Differences 1 and 3: variance 2 of one degree of freedom, whose middle lies at 0.4549 of the true one."""
    found = estimate_noise(values(("baseline", [0.0, 0.0]), ("a", [1.0, 3.0])))
    assert found == Noise(pytest.approx(math.sqrt(2 / 0.454936)), 1, 2)
