"""E2.1: do 10M parameters of an adapter do what 100M do? (protocols, section 8).

Five sizes of the query adapter, each at the learning rate that `c2_scaling_lr` chose for it and trained until its
validation loss stalls, so that the large one is no more under-trained than the small.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from foresight.claim import Claim, Criterion
from foresight.config import BUDGET_DIVISOR, TrialConfig
from foresight.errors import RequestError
from foresight.space import BASELINE, SearchSpace
from search_spaces import c2_scaling_lr

FIRST_SEED = 0
SMALL = 10_000_000
CHOSEN_BY = "val/loss"  # what the training itself is ended by; lower is better
EDGE_GAIN_FRAC = 0.1  # by which a rate at the edge of the search may be better than the next; less is a flat optimum


def baseline(scale: str) -> TrialConfig:
    """The 100M adapter, at the planned rate until the search has chosen: every other size is compared with it."""
    return c2_scaling_lr.baseline(scale).with_fields({"seed": FIRST_SEED})


def space(scale: str) -> SearchSpace:
    """The five sizes."""
    return SearchSpace(baseline(scale), (c2_scaling_lr.sizes(scale),))


def choose(space: SearchSpace, results: Mapping[str, Any]) -> SearchSpace:
    """The five sizes, each at the rate with the least mean CHOSEN_BY over the search's seeds.

    Raises RequestError for a size that would clearly rather have a rate beyond those searched: a size that is trained at
    a poor rate makes the others look good.
    """
    (size,) = space.factors
    cells = results["c2_scaling_lr"].groupby([f"config/{size.field}", "config/train.lr"])[CHOSEN_BY]
    means = cells.agg(lambda values: values.mean(skipna=False))  # a rate that failed at one seed is no choice
    with_level = {}
    for budget in size.levels:
        of_rate = means[budget].sort_index()
        known = of_rate.dropna()
        if known.empty:
            raise RequestError(f"at {budget:,} parameters every rate of 'c2_scaling_lr' failed; search lower ones")
        best = float(known.idxmin())
        for edge, inner in ((0, 1), (-1, -2)):
            if of_rate.index[edge] == best and known[best] < (1 - EDGE_GAIN_FRAC) * of_rate.iloc[inner]:
                raise RequestError(
                    f"at {budget:,} parameters the rate {best:g} is the best that 'c2_scaling_lr' searched, at the edge of its "
                    f"range and by more than {EDGE_GAIN_FRAC:.0%}; search further, in search_spaces/c2_scaling_lr.py"
                )
        with_level[budget] = {**size.with_level[budget], "train.lr": best}
    own = with_level[space.baseline.adapter.budget_params]
    return replace(space, baseline=space.baseline.with_fields(own), factors=(replace(size, with_level=with_level),))


CLAIM = Claim(
    statement="The 10M adapter reconstructs held-out layout no worse than the 100M adapter does.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=(
        Criterion("lpips", target=0.20, acceptable=0.22, failure=0.25),
        Criterion("param_efficiency", target=0.90, acceptable=0.85, failure=0.80),
        Criterion("training_time_ratio", target=1.2, acceptable=1.5, failure=2.0),
    ),
    reference=BASELINE,
    judged=tuple(f"adapter.budget_params={SMALL // divisor}" for divisor in BUDGET_DIVISOR.values()),
)
