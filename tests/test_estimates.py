"""Many rows at once are the same numbers as one row at a time, by hand and by scipy."""

import numpy as np
import pytest
from scipy import stats

from foresight.compare import compute_estimate
from foresight.estimates import compute_estimates

NAN = np.nan


def test_by_hand():
    found = compute_estimates(
        [[0.80, 0.81, 0.82, 0.83, 0.84], [1.0, NAN, 3.0, NAN, NAN], [NAN] * 5, [NAN, 7, *[NAN] * 3]]
    )
    assert found.n.tolist() == [5, 2, 0, 1]
    assert found.mean[[0, 1, 3]] == pytest.approx([0.82, 2.0, 7.0])
    # sd 0.0158, t 2.776: half width 0.0196; of two values sd 1.414 and t 12.706
    assert found.high[:2] - found.mean[:2] == pytest.approx([2.776445 * 0.01581139 / 5**0.5, 12.7062 * 1.0], rel=1e-5)
    assert np.isnan(found.mean[2])
    assert np.isnan([*found.low[2:], *found.high[2:], *found.p[2:], *found.standard_error[2:]]).all()


def test_equal_values_have_an_interval_without_width():
    found = compute_estimates([[0.3, 0.3, NAN], [0.0, 0.0, 0.0], [1e-15, -1e-15, 0.0]], scale=[0, 0, 1.0])
    assert found.low.tolist() == found.high.tolist() == found.mean.tolist() == [0.3, 0.0, 0.0]
    assert found.p.tolist() == [0.5, 1.0, 1.0]  # sign tests


def test_no_row_and_no_column():
    assert compute_estimates(np.empty((0, 3))).n.tolist() == []
    assert compute_estimates(np.empty((2, 0))).n.tolist() == [0, 0]


@pytest.mark.parametrize("n_seeds", [2, 5, 20])
def test_rows_are_what_each_alone_is(n_seeds):
    rng = np.random.default_rng(n_seeds)
    values = rng.normal(0.01, 0.1, (40, n_seeds))
    values[rng.random(values.shape) < 0.3] = NAN
    found = compute_estimates(values)
    for i, row in enumerate(values):
        alone = compute_estimate(row[~np.isnan(row)].tolist())
        expected = (alone.mean, alone.low, alone.high, alone.p)
        np.testing.assert_allclose([found.mean[i], found.low[i], found.high[i], found.p[i]], expected, rtol=1e-12)
        assert found.n[i] == alone.n


def test_p_is_that_of_the_t_test():
    values = np.random.default_rng(0).normal(0.3, 1, (10, 6))
    assert compute_estimates(values).p == pytest.approx(stats.ttest_1samp(values, 0, axis=1).pvalue)
