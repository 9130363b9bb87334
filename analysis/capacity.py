"""Capacity axes: the factors of a study that make a model larger, and the arms along each by their measured size.

In: a study. Out: CapacityAxis, one per factor and, in a factorial, per combination of the other factors' levels. Sizes
are the trained parameters that were counted, never a label. Those within 5 % of each other are one size, as are those of one
budget: its arms stay on the axis, and are no pair.
"""

from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from analysis.coverage import rows_at
from analysis.load import StudyData
from analysis.objectives import merge_costs, read_costs
from foresight.declared import FactorInfo

CAPACITY_FIELDS = ("adapter.budget_params", "adapter.layers", "fusion.layers", "fusion.width")
MOST_AXES = 12  # a large factorial has hundreds, which nobody reads; a caution says that they are left out


@dataclass(frozen=True)
class CapacityAxis:
    """Arms from the smallest to the largest, with the trained parameters of each."""

    factor: str
    where: str  # `streams=both`: the levels of the other factors; empty in a one-at-a-time design
    arms: tuple[str, ...]
    params: tuple[float, ...]
    sizes: tuple[float, ...]  # `params`, those of one size replaced by the least of them

    @property
    def n_sizes(self) -> int:
        return len(set(self.sizes))

    def pairs(self) -> list[tuple[str, str]]:
        """Every arm with every arm of a larger size."""
        sized = zip(self.arms, self.sizes, strict=True)
        return [(small, large) for (small, n), (large, m) in combinations(sized, 2) if n < m]


def find_capacity_axes(data: StudyData) -> tuple[CapacityAxis, ...]:
    """Every axis of two or more sizes; none where there are more than MOST_AXES."""
    axes = list_capacity_axes(data)
    return axes if len(axes) <= MOST_AXES else ()


def list_capacity_axes(data: StudyData) -> tuple[CapacityAxis, ...]:
    """Every axis of two or more sizes, however many there are."""
    params = read_costs(data)["params_trained"].dropna()
    axes = []
    for factor in data.factors:
        if factor.field not in CAPACITY_FIELDS:
            continue
        for where, arms in _arms_along(data, factor):
            sizes = params.reindex([arm for arm in arms if arm in params.index]).sort_values(kind="stable")
            merged = tuple(merge_costs(sizes).tolist())
            axis = CapacityAxis(factor.name, where, tuple(map(str, sizes.index)), tuple(sizes.tolist()), merged)
            axes += [axis] if axis.n_sizes > 1 else []
    return tuple(axes)


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
