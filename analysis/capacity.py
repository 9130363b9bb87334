"""Capacity axes: the factors of a study that make a model larger, and the arms along each by their measured size.

In: a study. Out: CapacityAxis, one per factor and, in a factorial, per combination of the other factors' levels. Sizes
are the trained parameters that were counted, never a label.
"""

from dataclasses import dataclass

import pandas as pd

from analysis.coverage import rows_at
from analysis.load import StudyData
from analysis.objectives import SAME_COST, read_costs
from foresight.declared import FactorInfo

CAPACITY_FIELDS = ("adapter.budget_params", "adapter.layers", "fusion.layers", "fusion.width")
MOST_AXES = 12  # a large factorial has hundreds, which nobody reads


@dataclass(frozen=True)
class CapacityAxis:
    """Arms from the smallest to the largest, with the trained parameters of each."""

    factor: str
    where: str  # `streams=both`: the levels of the other factors; empty in a one-at-a-time design
    arms: tuple[str, ...]
    params: tuple[float, ...]


def find_capacity_axes(data: StudyData) -> tuple[CapacityAxis, ...]:
    """Every axis of two or more sizes that lie more than 5 % apart; none where there are more than MOST_AXES."""
    params = read_costs(data)["params_trained"].dropna()
    axes = []
    for factor in data.factors:
        if factor.field not in CAPACITY_FIELDS:
            continue
        for where, arms in _arms_along(data, factor):
            sizes = params.reindex([arm for arm in arms if arm in params.index]).sort_values(kind="stable")
            grown = sizes.to_numpy()
            if len(sizes) > 1 and (grown[1:] > grown[:-1] * (1 + SAME_COST)).all():
                axes.append(CapacityAxis(factor.name, where, tuple(map(str, sizes.index)), tuple(map(float, grown))))
    return tuple(axes) if len(axes) <= MOST_AXES else ()


def _arms_along(data: StudyData, factor: FactorInfo) -> list[tuple[str, list[str]]]:
    """(where, arms at the factor's levels) for each combination of the other factors' levels."""
    if not data.is_factorial:
        return [("", [factor.arm_at(level) for level in factor.levels])]
    rows = data.planned[
        pd.concat([rows_at(data.planned, data, factor, level) for level in factor.levels], axis=1).any(axis=1)
    ]
    others = [f"config/{other.field}" for other in data.factors if other is not factor]
    if not others:
        return [("", list(dict.fromkeys(rows["arm"])))]
    groups = []
    for levels, group in rows.groupby(others, sort=False):
        where = ", ".join(
            f"{name.split('.')[-1].split('/')[-1]}={level}" for name, level in zip(others, levels, strict=True)
        )
        groups.append((where, list(dict.fromkeys(group["arm"]))))
    return groups
