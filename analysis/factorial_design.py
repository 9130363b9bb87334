"""What a factorial can tell: its factors as columns of numbers, and which effects the trials so far keep apart.

In: the factors and the trials that are there. Factors are coded by sums: a main effect is a level's distance from the
mean over levels, an interaction what a pair of levels adds to its two main effects. A factorial that is not finished
often cannot tell two effects apart; the rank of its columns says so, whatever the numbers are.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from foresight.declared import FactorInfo

NULL = 1e-8  # an eigenvalue, or a share of a direction, below this is zero
MOST_ALIASES = 3  # named of one effect


@dataclass(frozen=True)
class Coded:
    """One factor: the levels that complete trials have, in declared order, and the level that others are set against."""

    name: str
    field: str
    levels: tuple[Any, ...]
    reference: int  # place in `levels`

    @property
    def codes(self) -> np.ndarray:
        """[levels, levels - 1]: one row per level; the last level is minus the sum of the others."""
        n = len(self.levels) - 1
        return np.vstack([np.eye(n), -np.ones((1, n))])


@dataclass(frozen=True)
class Term:
    """One main effect, or the interaction of two factors: its columns of the design."""

    factors: tuple[Coded, ...]
    columns: slice

    @property
    def name(self) -> str:
        return " × ".join(factor.name for factor in self.factors)

    @property
    def df(self) -> int:
        return self.columns.stop - self.columns.start


@dataclass(frozen=True)
class Design:
    """Main effects and pairwise interactions of the factors of which complete trials have more than one level."""

    factors: tuple[Coded, ...]
    held: dict[str, str]  # factor to the one level that every complete trial has
    unmeasured: dict[str, tuple[str, ...]]  # factor to the declared levels that no complete trial has

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """Main effects first; their columns follow the column of ones."""
        groups = [(factor,) for factor in self.factors] + list(itertools.combinations(self.factors, 2))
        terms, start = [], 1
        for group in groups:
            stop = start + int(np.prod([len(factor.levels) - 1 for factor in group]))
            terms.append(Term(group, slice(start, stop)))
            start = stop
        return tuple(terms)

    def matrix(self, rows: pd.DataFrame) -> np.ndarray:
        """[rows, columns]: ones, then the columns of every term, from the `config/` columns of the trials."""
        coded = {f.name: f.codes[_places(rows, f)] for f in self.factors}
        parts = [np.ones((len(rows), 1))]
        for term in self.terms:
            product = coded[term.factors[0].name]
            for factor in term.factors[1:]:
                product = (product[:, :, None] * coded[factor.name][:, None, :]).reshape(len(rows), -1)
            parts.append(product)
        return np.hstack(parts)


def read_design(factors: tuple[FactorInfo, ...], rows: pd.DataFrame) -> Design:
    """The design of the trials in `rows`: levels that none of them has are left out of it and named."""
    coded, held, unmeasured = [], {}, {}
    for factor in factors:
        column = rows[f"config/{factor.field}"]
        levels = tuple(level for level in factor.levels if (column == level).any())
        absent = tuple(str(level) for level in factor.levels if level not in levels)
        if absent:
            unmeasured[factor.name] = absent
        if len(levels) > 1:
            reference = levels.index(factor.baseline_level) if factor.baseline_level in levels else 0
            coded.append(Coded(factor.name, factor.field, levels, reference))
        else:
            held[factor.name] = str(levels[0]) if levels else ""
    return Design(tuple(coded), held, unmeasured)


def find_aliases(terms: tuple[Term, ...], matrix: np.ndarray) -> dict[str, tuple[str, ...]]:
    """Per term, the terms that `matrix` cannot keep apart from it, the most entangled first; none if it is estimable.

    A coefficient is estimable if and only if no direction that the design maps to zero touches it. Two terms that one
    such direction touches share what was measured.
    """
    eigenvalues, directions = np.linalg.eigh(matrix.T @ matrix)
    null = directions[:, eigenvalues < NULL * max(float(eigenvalues.max()), 1.0)]  # [columns, null directions]
    projector = null @ null.T
    aliases: dict[str, tuple[str, ...]] = {}
    for term in terms:
        touched = projector[term.columns]
        shared = {other.name: float(np.abs(touched[:, other.columns]).sum()) for other in terms}
        if shared[term.name] < NULL:
            aliases[term.name] = ()
            continue
        others = [
            name for name in sorted(shared, key=lambda n: -shared[n]) if name != term.name and shared[name] > NULL
        ]
        aliases[term.name] = tuple(others[:MOST_ALIASES]) or ("the mean",)
    return aliases


def _places(rows: pd.DataFrame, factor: Coded) -> np.ndarray:
    """Of each row, the place of its level."""
    column = rows[f"config/{factor.field}"]
    places = np.full(len(rows), -1)
    for i, level in enumerate(factor.levels):
        places[(column == level).to_numpy()] = i
    assert (places >= 0).all(), f"trials outside the declared levels of {factor.name}"
    return places
