"""What E2.3 decides for the studies that need it: the recipe, and the spaces that it makes."""

import pandas as pd
import pytest

from foresight.config import BUDGET_DIVISOR
from foresight.data import prove_disjoint, resolve_data
from foresight.data.shapes import load_splits
from foresight.errors import RequestError
from foresight.space import SearchSpace
from search_spaces import c2_training, c2_training_combined, c2_validation
from search_spaces.c2_training import CHOSEN_BY, choose_recipe

SCALES = ("tiny", "full")


def results(scale: str, gains: dict[str, float], spread: float = 0.1) -> pd.DataFrame:
    """E2.3's trials: every arm at 0.5 plus its gain over two seeds that differ by `spread`, and a test column to ignore."""
    rows = [
        {"arm": arm.name, "seed": seed, CHOSEN_BY: 0.5 + gains.get(arm.name, 0.0) + spread * seed,
         "test/mask_iou": 0.9 - gains.get(arm.name, 0.0)}
        for arm in c2_training.space(scale).arms() for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def combined(scale: str, gains: dict[str, float]) -> SearchSpace:
    space = c2_training_combined.space(scale)
    return c2_training_combined.choose(space, {"c2_training": results(scale, gains)})


def test_the_study_has_the_twelve_configs_of_the_protocol():
    for scale in SCALES:
        arms = c2_training.space(scale).arms()
        assert len(arms) == 12
        assert {arm.config.data.augmentation for arm in arms} == {"none", "colour_jitter", "random_crop", "mixup"}
        assert {arm.config.data.views for arm in arms} == {1, c2_training.VIEWS[scale]}


@pytest.mark.parametrize("scale", SCALES)
def test_of_each_factor_the_best_level_is_chosen_with_all_that_goes_with_it(scale):
    gains = {
        "loss.name=lpips": 0.01, "loss.name=lpips_ssim": 0.03, "train.schedule=constant": -0.2,
        "data.augmentation=mixup": 0.02, "train.weight_decay=0.001": 0.001,
    }  # fmt: skip
    assert choose_recipe(scale, results(scale, gains)) == {
        "loss.name": "lpips_ssim",
        "data.augmentation": "mixup",
        "data.views": c2_training.VIEWS[scale],
        "train.weight_decay": 1e-3,
    }


def test_a_tie_leaves_the_plan_as_it_is():
    assert choose_recipe("tiny", results("tiny", {})) == {}


def test_the_mean_over_seeds_decides_and_not_the_best_seed():
    trials = results("tiny", {"loss.name=lpips": 0.01}, spread=0.0)
    lucky = (trials["arm"] == "adapter.dropout=0.2") & (trials["seed"] == 1)
    trials.loc[trials["arm"] == "adapter.dropout=0.2", CHOSEN_BY] = 0.3
    trials.loc[lucky, CHOSEN_BY] = 0.69
    assert choose_recipe("tiny", trials) == {"loss.name": "lpips"}


@pytest.mark.parametrize("scale", SCALES)
def test_the_combined_recipe_is_one_arm_beside_the_plan_at_fresh_seeds(scale):
    space = combined(scale, {"train.schedule=cosine": 0.1, "data.augmentation=random_crop": 0.1})
    planned, recipe = space.arms()
    assert (planned.name, recipe.name) == ("baseline", "train.schedule=cosine")
    assert recipe.config.train.schedule == "cosine"
    assert (recipe.config.data.augmentation, recipe.config.data.views) == ("random_crop", c2_training.VIEWS[scale])
    assert recipe.config.loss == planned.config.loss
    needed = {trial.seed for trial in c2_training.space(scale).trials(c2_training.CLAIM.seeds)}
    assert not needed & {trial.seed for trial in space.trials(c2_training_combined.CLAIM.seeds)}


def test_an_augmentation_that_wins_alone_brings_its_views():
    _, recipe = combined("tiny", {"data.augmentation=mixup": 0.1}).arms()
    assert recipe.name == "data.augmentation=mixup"
    assert recipe.config.data.views == 4


def test_a_plan_that_won_throughout_leaves_nothing_to_combine():
    with pytest.raises(RequestError, match=r"^nothing to combine: ") as caught:
        combined("tiny", {"loss.name=lpips": -0.1})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("gains", [{}, {"data.augmentation=mixup": 0.1, "adapter.dropout=0.2": 0.1}])
def test_both_sizes_are_trained_by_the_chosen_recipe(scale, gains):
    space = c2_validation.choose(c2_validation.space(scale), {"c2_training": results(scale, gains)})
    large, small = (arm.config for arm in space.arms())
    assert large.adapter.budget_params == 10 * small.adapter.budget_params == 100_000_000 // BUDGET_DIVISOR[scale]
    for config in (large, small):
        assert config.adapter.dropout == (0.2 if gains else 0.1)
        assert config.data.augmentation == ("mixup" if gains else "none")
    assert large.loss == small.loss
    assert large.train.lr < small.train.lr
    assert small.train.lr == c2_training.baseline(scale).train.lr


@pytest.mark.parametrize("scale", SCALES)
def test_the_claim_judges_the_small_adapter_against_the_large_one(scale):
    names = [arm.name for arm in c2_validation.space(scale).arms()]
    c2_validation.CLAIM.check_arms(names)
    assert c2_validation.CLAIM.reference == "baseline" == names[0]
    assert c2_validation.CLAIM.judged_arm(names) == names[1]


def test_the_validation_shares_no_image_with_the_study_that_chose():
    of_choice, of_validation = (
        load_splits(resolve_data(s.baseline("tiny").data)) for s in (c2_training, c2_validation)
    )
    for split, images in of_choice.items():
        prove_disjoint({split: images} | {f"new {name}": other for name, other in of_validation.items()})
