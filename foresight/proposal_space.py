"""ProposalSpace: a baseline and the dimensions around it, of which a search proposes one configuration after the other.

Designs, whose trials are all known beforehand, are in `foresight.space`. A space is data, checked before it is searched
(`check`) and not when it is written down. Every proposal becomes a TrialConfig, so it has a key; one that the config
refuses is a failed proposal and not a wrong request.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

from foresight.config import TrialConfig, check_field, check_value
from foresight.dimensions import Choice, Dimension
from foresight.errors import RequestError, nearest_name


@dataclass(frozen=True)
class ProposalSpace:
    """A baseline, which is the first proposal, and the dimensions around it.

    A dimension is proposed where its conditions hold: every field of its `when` has one of the values named there. Where
    they do not, its field has the config's default, as a field that nothing reads must.
    """

    baseline: TrialConfig
    dimensions: tuple[Dimension, ...]

    def check(self) -> None:
        """Raises RequestError for a space that cannot be searched as declared."""
        if not self.dimensions:
            raise RequestError("a search needs at least one dimension")
        fields = [dimension.field for dimension in self.dimensions]
        for dimension in self.dimensions:
            check_field(dimension.field)
            if dimension.field == "seed":
                raise RequestError("'seed' cannot be a dimension: every proposal is run at the same seeds")
            if fields.count(dimension.field) > 1:
                raise RequestError(f"'{dimension.field}' is declared as a dimension twice")
            dimension.check()
            for value in dimension.extremes():
                check_value(dimension.field, value)
            self._check_conditions(dimension)
        reason = self.why_outside(self.baseline)
        if reason:
            raise RequestError(f"the baseline is the first proposal, and it lies outside the space: {reason}")

    @cached_property
    def ordered(self) -> tuple[Dimension, ...]:
        """The dimensions, each after those that its conditions are on. Raises RequestError for conditions in a circle."""
        by_field = {dimension.field: dimension for dimension in self.dimensions}
        sorter = TopologicalSorter({d.field: [name for name in by_field if name in d.when] for d in self.dimensions})
        try:
            return tuple(by_field[field] for field in sorter.static_order())
        except CycleError as error:
            raise RequestError(f"the conditions go in a circle: {' -> '.join(error.args[1])}") from error

    def is_proposed(self, dimension: Dimension, params: Mapping[str, Any]) -> bool:
        """Whether the conditions hold, given the values of the dimensions before it."""
        return all(field in params and params[field] in values for field, values in dimension.when.items())

    def config(self, params: Mapping[str, Any]) -> TrialConfig:
        """The configuration of a proposal. Raises RequestError for a combination that the config refuses."""
        defaults = {d.field: default_value(d.field) for d in self.dimensions if d.field not in params}
        return self.baseline.with_fields(defaults | dict(params))

    def params(self, config: TrialConfig) -> dict[str, Any]:
        """The values of the proposed dimensions that give a configuration of this space."""
        flat, params = config.flat(), dict[str, Any]()
        for dimension in self.ordered:
            if self.is_proposed(dimension, params):
                params[dimension.field] = flat[dimension.field]
        return params

    def why_outside(self, config: TrialConfig) -> str:
        """Why a configuration is none of this space, whatever its seed; empty where it is one."""
        flat, fixed, params = config.flat(), self.baseline.flat(), dict[str, Any]()
        for dimension in self.ordered:
            field, value = dimension.field, flat[dimension.field]
            if self.is_proposed(dimension, params):
                if not dimension.holds(value):
                    return f"'{field}' is {value!r}"
                params[field] = value
            elif value != default_value(field):
                return f"'{field}' is {value!r} where the search does not propose it"
        varied = {dimension.field for dimension in self.dimensions}
        others = [name for name in fixed if name not in varied and name != "seed" and flat[name] != fixed[name]]
        return f"'{others[0]}' is {flat[others[0]]!r} and not {fixed[others[0]]!r}" if others else ""

    def around_baseline(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The baseline's values with some changed; what is proposed only by the change has its first value."""
        flat, params = self.baseline.flat(), dict[str, Any]()
        for dimension in self.ordered:
            if self.is_proposed(dimension, params):
                own = flat[dimension.field]
                first = own if dimension.holds(own) else dimension.extremes()[0]
                params[dimension.field] = changes.get(dimension.field, first)
        return params

    def neighbours(self) -> Iterator[tuple[str, TrialConfig]]:
        """Of each dimension, by its field, a configuration that differs from the baseline in it as much as it can.

        Where a condition does not hold at the baseline, what it asks for is changed as well.
        """
        for dimension in self.dimensions:
            conditions, own = self._missing_conditions(dimension), self.baseline.flat()[dimension.field]
            for value in sorted(dimension.extremes(), key=lambda value: -_distance(value, own)):
                config = self._accepted(self.around_baseline(conditions | {dimension.field: value}))
                if config is not None and value != own:
                    yield dimension.field, config
                    break

    def combinations(self, *parts: str) -> Iterator[TrialConfig]:
        """The configurations that differ in these parts of the config (`data`, `vlm`): every combination of their values.

        Raises RequestError for a range of any numbers among them.
        """
        found: list[dict[str, Any]] = [{}]
        for dimension in (d for d in self.ordered if d.field.split(".")[0] in parts):
            found = [
                {**changes, **chosen}
                for changes in found
                for chosen in (
                    [{dimension.field: value} for value in dimension.listed()]
                    if self.is_proposed(dimension, self.around_baseline(changes))
                    else [{}]
                )
            ]
        yield from filter(None, (self._accepted(self.around_baseline(changes)) for changes in found))

    def to_json(self) -> list[dict[str, Any]]:
        """The dimensions as sweep.json holds them."""
        return [{"kind": type(d).__name__, **dataclasses.asdict(d)} for d in self.dimensions]

    def _accepted(self, params: Mapping[str, Any]) -> TrialConfig | None:
        try:
            return self.config(params)
        except RequestError:
            return None

    def _missing_conditions(self, dimension: Dimension) -> dict[str, Any]:
        """What must be changed of the baseline for the dimension to be proposed."""
        by_field = {d.field: d for d in self.dimensions}
        at_baseline, changes = self.params(self.baseline), dict[str, Any]()
        for field, values in dimension.when.items():
            if field not in at_baseline or at_baseline[field] not in values:
                changes |= self._missing_conditions(by_field[field]) | {field: values[0]}
        return changes

    def _check_conditions(self, dimension: Dimension) -> None:
        by_field = {d.field: d for d in self.dimensions}
        for field, values in dimension.when.items():
            other = by_field.get(field)
            if other is None:
                raise RequestError(
                    f"dimension '{dimension.field}' depends on '{field}', which is no dimension"
                    f"{nearest_name(field, by_field)}; declared: {', '.join(by_field)}"
                )
            if not isinstance(other, Choice):
                raise RequestError(
                    f"dimension '{dimension.field}' depends on '{field}', a range; it needs listed values"
                )
            unknown = [value for value in values if not other.holds(value)]
            if unknown or not values:
                raise RequestError(
                    f"dimension '{dimension.field}' depends on '{field}' being {unknown or list(values)}, and that is one of "
                    f"{list(other.values)}"
                )


@cache
def default_value(field: str) -> Any:
    """What a field has that nothing sets."""
    return TrialConfig().flat()[field]


def _distance(value: Any, other: Any) -> float:
    """How far two values of a dimension are apart; values without order are all one apart."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (value, other))
    return abs(value - other) if numbers else float(value != other)
