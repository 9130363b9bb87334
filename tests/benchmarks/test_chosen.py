"""What is said of an arm that the numbers chose: plain intervals miss, those that are shown do not."""

import pytest

from benchmarks.calibration import ALPHA
from benchmarks.chosen import simulate_best

REPETITIONS = 2000
LARGEST = ALPHA + 3 * (ALPHA * (1 - ALPHA) / REPETITIONS) ** 0.5


@pytest.mark.parametrize("noise", ["equal", "two diverging", "half noisy", "coarse steps"])
@pytest.mark.parametrize(("n_seeds", "n_arms"), [(3, 3), (5, 5), (5, 15)])
def test_the_best_of_equal_arms_is_told_apart_and_set_off_as_rarely_as_claimed(noise, n_seeds, n_arms):
    told_apart, _, shown = simulate_best(noise, n_seeds, n_arms, REPETITIONS, seed=3)
    assert told_apart <= LARGEST
    assert shown <= LARGEST


def test_a_plain_interval_of_the_difference_from_the_best_misses_far_too_often():
    _, plain, shown = simulate_best("equal", 5, 15, REPETITIONS, seed=3)
    assert plain > 2 * ALPHA
    assert shown < ALPHA
