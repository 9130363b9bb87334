"""What a search may vary: one of some values, a whole number or any number in a range, each perhaps under conditions."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from foresight.errors import RequestError

STEP_ROUNDING = 1e-8  # of a step: by how much a float may be off its grid

# Field of another dimension -> the values at which this one is proposed.
When = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Choice:
    """One of some values, which have no order. Under a condition it may be a single one, which then goes with that."""

    field: str
    values: tuple[Any, ...]
    when: When = dataclasses.field(default_factory=dict)

    def check(self) -> None:
        least = 1 if self.when else 2
        if len(self.values) < least or len(set(map(repr, self.values))) < len(self.values):
            raise RequestError(
                f"dimension '{self.field}' needs {least} different values or more, got {list(self.values)}"
            )

    def extremes(self) -> tuple[Any, ...]:
        return self.values

    def listed(self) -> tuple[Any, ...]:
        return self.values

    def holds(self, value: Any) -> bool:
        return value in self.values


@dataclass(frozen=True)
class IntRange:
    """A whole number from `low` to `high`, both included: every `step`-th, or with `log` by its order of magnitude."""

    field: str
    low: int
    high: int
    step: int = 1
    log: bool = False
    when: When = dataclasses.field(default_factory=dict)

    def check(self) -> None:
        _check_range(self)
        if (self.high - self.low) % self.step:
            raise RequestError(
                f"dimension '{self.field}': {self.high} is no whole number of steps of {self.step} above {self.low}"
            )

    def extremes(self) -> tuple[int, int]:
        return self.low, self.high

    def listed(self) -> tuple[int, ...]:
        return tuple(range(self.low, self.high + 1, self.step))

    def holds(self, value: Any) -> bool:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return is_whole and self.low <= value <= self.high and (value - self.low) % self.step == 0


@dataclass(frozen=True)
class FloatRange:
    """A number from `low` to `high`, both included: any, every `step`-th, or with `log` by its order of magnitude."""

    field: str
    low: float
    high: float
    step: float | None = None
    log: bool = False
    when: When = dataclasses.field(default_factory=dict)

    def check(self) -> None:
        _check_range(self)
        if not self._is_on_grid(self.high):
            raise RequestError(
                f"dimension '{self.field}': {self.high} is no whole number of steps of {self.step} above {self.low}"
            )

    def extremes(self) -> tuple[float, float]:
        return self.low, self.high

    def listed(self) -> tuple[float, ...]:
        if self.step is None:
            raise RequestError(
                f"'{self.field}' decides what the encoders see, so its values must be listed or have a step"
            )
        return tuple(self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1))

    def holds(self, value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high and self._is_on_grid(value)

    def _is_on_grid(self, value: float) -> bool:
        if self.step is None:
            return True
        n_steps = (value - self.low) / self.step
        return abs(n_steps - round(n_steps)) < STEP_ROUNDING


Dimension = Choice | IntRange | FloatRange
KINDS: dict[str, type[Dimension]] = {"Choice": Choice, "IntRange": IntRange, "FloatRange": FloatRange}


def from_json(tree: Mapping[str, Any]) -> Dimension:
    """A dimension as sweep.json holds it (`ProposalSpace.to_json`)."""
    fields = {
        name: tuple(value) if isinstance(value, list) else value for name, value in tree.items() if name != "kind"
    }
    return KINDS[tree["kind"]](**fields)


def widen(dimension: Dimension, values: Iterable[Any]) -> Dimension:
    """The dimension with these values in it as well: what was run before it was made narrower, or of another kind."""
    missing = [value for value in dict.fromkeys(values) if not dimension.holds(value)]
    if not missing:
        return dimension
    if isinstance(dimension, Choice):
        return dataclasses.replace(dimension, values=(*dimension.values, *missing))
    kinds = (int,) if isinstance(dimension, IntRange) else (int, float)
    if any(isinstance(value, bool) or not isinstance(value, kinds) for value in missing):
        return Choice(dimension.field, (*dimension.extremes(), *missing), when=dimension.when)
    low, high = min(dimension.low, *missing), max(dimension.high, *missing)
    log = dimension.log and low > 0
    if isinstance(dimension, IntRange):
        return IntRange(dimension.field, low, high, log=log, when=dimension.when)
    return FloatRange(dimension.field, low, high, log=log, when=dimension.when)


def _check_range(dimension: IntRange | FloatRange) -> None:
    field, low, high = dimension.field, dimension.low, dimension.high
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise RequestError(f"dimension '{field}' goes from low to high, got {low} and {high}")
    if dimension.log and low <= 0:
        raise RequestError(f"dimension '{field}' is logarithmic, so its low must be above 0, not {low}")
    has_step = dimension.step not in (None, 1) if isinstance(dimension, IntRange) else dimension.step is not None
    if has_step and dimension.log:
        raise RequestError(f"dimension '{field}' has steps or is logarithmic, not both")
    if dimension.step is not None and dimension.step <= 0:
        raise RequestError(f"dimension '{field}' needs a step above 0, not {dimension.step}")
