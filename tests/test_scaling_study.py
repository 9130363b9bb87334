"""E2.1: what the search for learning rates decides for the study of sizes."""

import pandas as pd
import pytest

from foresight.config import TrialConfig
from foresight.errors import RequestError
from foresight.space import BASELINE
from search_spaces import c2_scaling, c2_scaling_lr

SCALES = ("tiny", "full")


def searched(scale: str, best: dict[int, int], depth: float = 0.05) -> pd.DataFrame:
    """The search's trials with the least validation loss at the given rate of each size (by number of the four)."""
    rows = []
    for trial in c2_scaling_lr.space(scale).trials(2):
        budget, lr = trial.config.adapter.budget_params, trial.config.train.lr
        distance = abs(c2_scaling_lr.RATES[scale].index(lr) - best.get(budget, 1))
        noise = 0.001 * (-1) ** trial.seed
        rows.append(
            {
                "config/adapter.budget_params": budget,
                "config/train.lr": lr,
                "val/loss": 0.02 * (1 + depth * distance) + noise,
                "test/mask_iou": 0.5 + 0.1 * distance,  # the test images would have it otherwise
            }
        )
    return pd.DataFrame(rows)


def chosen(scale: str, results: pd.DataFrame) -> dict[str, TrialConfig]:
    space = c2_scaling.choose(c2_scaling.space(scale), {"c2_scaling_lr": results})
    return {arm.name: arm.config for arm in space.arms()}


@pytest.mark.parametrize("scale", SCALES)
def test_each_size_is_trained_at_the_rate_that_validation_chose_for_it(scale):
    budgets = c2_scaling.space(scale).factors[0].levels
    best = dict(zip(budgets, (2, 2, 1, 1, 2), strict=True))
    arms = chosen(scale, searched(scale, best))
    rates = {config.adapter.budget_params: config.train.lr for config in arms.values()}
    assert rates == {budget: c2_scaling_lr.RATES[scale][best[budget]] for budget in budgets}
    assert arms[BASELINE].adapter.budget_params == max(budgets)


@pytest.mark.parametrize("scale", SCALES)
def test_the_sizes_differ_in_nothing_but_size_layers_and_rate(scale):
    arms = chosen(scale, searched(scale, {}))
    varied = {"adapter.budget_params", "adapter.layers", "train.lr"}
    fixed = [{name: v for name, v in config.flat().items() if name not in varied} for config in arms.values()]
    assert fixed == [fixed[0]] * 5
    assert [config.adapter.layers for config in arms.values()] == [4, 2, 2, 3, 4]


@pytest.mark.parametrize(("number", "text"), [(0, "the rate 1e-05"), (3, "the rate 0.0003")])
def test_a_size_that_would_rather_have_a_rate_beyond_the_search_is_refused(number, text):
    results = searched("full", {5_000_000: number}, depth=0.2)
    with pytest.raises(RequestError, match=f"at 5,000,000 parameters {text} is the best") as caught:
        chosen("full", results)
    assert "search_spaces/c2_scaling_lr.py" in str(caught.value)


@pytest.mark.parametrize("scale", SCALES)
def test_the_search_and_the_study_share_no_trial(scale):
    search = {trial.seed for trial in c2_scaling_lr.space(scale).trials(2)}
    study = {trial.seed for trial in c2_scaling.space(scale).trials(20)}
    assert not search & study


@pytest.mark.parametrize("scale", SCALES)
def test_everything_is_trained_to_a_criterion(scale):
    arms = c2_scaling_lr.space(scale).arms() + c2_scaling.space(scale).arms()
    assert {arm.config.train.schedule for arm in arms} == {"plateau"}


@pytest.mark.parametrize("scale", SCALES)
def test_the_small_adapter_is_judged_against_the_large(scale):
    arms = [arm.name for arm in c2_scaling.space(scale).arms()]
    c2_scaling.CLAIM.check_arms(arms)
    judged = c2_scaling.CLAIM.judged_arm(arms)
    assert judged == f"adapter.budget_params={10_000_000 // (100 if scale == 'tiny' else 1)}"
