"""An adapter's sizes, solved from the number of parameters it is asked to have. Labels of the original were off by up to 2.8.

The width is the largest multiple of 4 whose count, with feed-forwards four times as wide, stays within the budget. One
step of a small width is more than the allowance, so the hidden channels of the feed-forwards then take up the rest.
Everything is counted on the modules themselves, on the meta device: no formula can drift away from the code.
"""

import bisect
from functools import cache

import torch

from foresight.config import BUDGET_DIVISOR, AdapterConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.errors import RequestError
from foresight.models.adapter_layers import AdapterSize
from foresight.models.adapters import Adapter

ALLOWANCE_FRAC = 0.05  # how far the counted parameters may be from the budget
WIDTHS = range(8, 16_385, 4)  # multiples of 4 for the 2-D sine code


def solve_size(config: AdapterConfig, shapes: FeatureShapes) -> AdapterSize:
    """The sizes at which the adapter's trained parameters, its head included, are its budget.

    Raises RequestError with the nearest size when it is off by more than ALLOWANCE_FRAC.
    """
    return _solve(config.model_copy(update={"dropout": 0.0}), shapes)


def count_adapter(config: AdapterConfig, size: AdapterSize, shapes: FeatureShapes) -> int:
    """Parameters of the adapter at these sizes, decoder apart."""
    return _count(config.model_copy(update={"dropout": 0.0, "budget_params": 1}), size, shapes)


@cache
def _solve(config: AdapterConfig, shapes: FeatureShapes) -> AdapterSize:
    budget = config.budget_params
    n_within = bisect.bisect_right(WIDTHS, budget, key=lambda width: count_adapter(config, _plain(width), shapes))
    plain = _plain(WIDTHS[max(0, n_within - 1)])
    n_plain = count_adapter(config, plain, shapes)
    n_per_channel = count_adapter(config, AdapterSize(plain.width, plain.hidden + 1), shapes) - n_plain
    size = AdapterSize(plain.width, plain.hidden + max(0, round((budget - n_plain) / n_per_channel)))
    n_params = count_adapter(config, size, shapes)
    if abs(n_params - budget) > ALLOWANCE_FRAC * budget:
        raise RequestError(
            f"adapter '{config.architecture}' cannot have {budget:,} parameters within {ALLOWANCE_FRAC:.0%}: the nearest it "
            f"can have is {n_params:,}, at width {size.width}"
        )
    return size


def _plain(width: int) -> AdapterSize:
    return AdapterSize(width, 4 * width)


@cache
def _count(config: AdapterConfig, size: AdapterSize, shapes: FeatureShapes) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in Adapter(config, size, shapes).parameters())


def adapter_note(config: AdapterConfig, shapes: FeatureShapes, scale: str) -> str:
    """`10M / 100: 99,984 at width 52`: the plan's label, the parameters counted, and the width solved."""
    size = solve_size(config, shapes)
    divisor = BUDGET_DIVISOR[scale]
    label = f"{config.budget_params * divisor / 1e6:g}M" + (f" / {divisor}" if divisor > 1 else "")
    return f"{label}: {count_adapter(config, size, shapes):,} at width {size.width}"
