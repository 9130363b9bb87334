"""E2.3, continued: are the levels that won one at a time better together than the planned recipe?

A level that wins alone may not win beside another, so the combined recipe is a trial of its own, at fresh seeds.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.errors import RequestError
from foresight.space import Factor, SearchSpace
from search_spaces import c2_training
from search_spaces.c2_training import choose_recipe

FIRST_SEED = 100  # the seeds that chose the recipe have had their say


def baseline(scale: str) -> TrialConfig:
    """The planned recipe, at seeds that chose nothing."""
    return c2_training.baseline(scale).with_fields({"seed": FIRST_SEED})


def space(scale: str) -> SearchSpace:
    """The planned recipe and, until E2.3 has chosen, a stand-in for the combined one."""
    return SearchSpace(baseline(scale), (Factor("recipe", "train.schedule", ("warmup_cosine", "cosine")),))


def choose(space: SearchSpace, results: Mapping[str, Any]) -> SearchSpace:
    """The planned recipe and the combined one, named after the first field in which they differ.

    Raises RequestError where E2.3 chose the planned level of every factor.
    """
    planned = space.baseline
    chosen = choose_recipe(planned.scale, results["c2_training"])
    if not chosen:
        raise RequestError(
            "nothing to combine: of every factor of 'c2_training' the planned level has the best "
            f"{c2_training.CHOSEN_BY}, so the combined recipe is the planned one"
        )
    (field, level), *others = chosen.items()
    recipe = Factor("recipe", field, (planned.flat()[field], level), with_level={level: dict(others)})
    return replace(space, factors=(recipe,))


CLAIM = Claim(
    statement="The best levels of the training strategy together reconstruct held-out layout better than the planned recipe.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=c2_training.CLAIM.criteria,
)
