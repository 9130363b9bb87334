"""E2.4: the small adapter against the large one, both trained by the recipe that E2.3 chose (protocols, section 8).

The original compared sizes at one learning rate and read an under-trained reference as "smaller is better". Here each size
has a rate of its own, and the ratio stands beside absolute criteria that are judged on the same small adapter.

Generated images are all new. Photographs are dealt anew: with both of COCO's folders those of the test come from val2017,
by which nothing is chosen, though earlier studies may have measured on some of them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from foresight.claim import Claim, Criterion
from foresight.config import BUDGET_DIVISOR, TrialConfig
from foresight.space import BASELINE, Factor, SearchSpace
from search_spaces import c2_training
from search_spaces.c2_training import choose_recipe

SMALL, LARGE = c2_training.BUDGET_PARAMS, 10 * c2_training.BUDGET_PARAMS
DATA_SEED = 2  # generated images that no earlier study has trained, chosen or measured on
LARGE_LR = {"tiny": 3e-3, "full": 5e-5}  # lower than the small adapter's, as wider layers want
EPOCHS = {"tiny": 8, "full": 60}


def baseline(scale: str) -> TrialConfig:
    """The large adapter, with four layers as planned: the reference."""
    return c2_training.baseline(scale).with_fields(
        {
            "data.seed": DATA_SEED,
            "adapter.budget_params": LARGE // BUDGET_DIVISOR[scale],
            "adapter.layers": 4,
            "train.lr": LARGE_LR[scale],
            "train.epochs": EPOCHS[scale],
        }
    )


def space(scale: str) -> SearchSpace:
    """Both sizes, until E2.3 has chosen by the planned recipe."""
    small, large = SMALL // BUDGET_DIVISOR[scale], LARGE // BUDGET_DIVISOR[scale]
    own = {"adapter.layers": 2, "train.lr": c2_training.baseline(scale).train.lr}
    return SearchSpace(
        baseline(scale), (Factor("size", "adapter.budget_params", (large, small), with_level={small: own}),)
    )


def choose(space: SearchSpace, results: Mapping[str, Any]) -> SearchSpace:
    """Both sizes by the recipe that E2.3 chose, be it the planned one."""
    chosen = choose_recipe(space.baseline.scale, results["c2_training"])
    return replace(space, baseline=space.baseline.with_fields(dict(chosen)))


CLAIM = Claim(
    statement="On images that nothing was chosen by, the 10M adapter reconstructs no worse than the 100M adapter.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=(
        Criterion("param_efficiency", target=0.90, acceptable=0.85, failure=0.80),
        Criterion("lpips", target=0.18, acceptable=0.20, failure=0.25),
        Criterion("mask_iou", target=0.75, acceptable=0.70, failure=0.65),
    ),
    reference=BASELINE,
    judged=tuple(f"adapter.budget_params={SMALL // divisor}" for divisor in BUDGET_DIVISOR.values()),
)
