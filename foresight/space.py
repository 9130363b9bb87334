"""SearchSpace: a baseline and the factors varied around it, expanded into arms and blocks of trials.

A space is data. It is checked when it is expanded, not when it is written down, so that a wrong one gives its sentence
from the command and not a traceback from an import.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from foresight.config import TrialConfig, check_field
from foresight.errors import RequestError

BASELINE = "baseline"
PROPOSAL = "proposal"  # as factor: an arm that a search has proposed


@dataclass(frozen=True)
class Factor:
    """What is varied: a name people read, the dotted config field, and its levels.

    `with_level` are further fields that go with a level, as a learning rate of its own goes with a size. `instead` are
    fields that every level sets, for a factor of something that the baseline does without: the layers of the encoder that
    it does not read, with `{"streams": "vlm"}`. No level of such a factor is the baseline's, and each is compared with it.
    """

    name: str
    field: str
    levels: tuple[Any, ...]
    with_level: Mapping[Any, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    instead: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def changes(self, level: Any) -> dict[str, Any]:
        """Every field that a level sets."""
        return {self.field: level, **self.instead, **self.with_level.get(level, {})}


@dataclass(frozen=True)
class Arm:
    """One configuration apart from its seed. `factor` and `level` say how it differs from the baseline."""

    name: str
    factor: str
    level: str
    config: TrialConfig


@dataclass(frozen=True)
class Trial:
    """One planned trial: an arm at a seed."""

    arm: Arm
    config: TrialConfig

    @cached_property
    def key(self) -> str:
        return self.config.key

    @classmethod
    def of_arm(cls, arm: Arm, seeds: Sequence[int]) -> "list[Trial]":
        """The arm at each of these seeds, the keys made together: alone each would hash the whole configuration."""
        trials = [cls(arm, arm.config.at_seed(seed)) for seed in seeds]
        for trial, key in zip(trials, arm.config.keys_at(seeds), strict=True):
            vars(trial)["key"] = key  # what the property would keep
        return trials

    @property
    def seed(self) -> int:
        return self.config.seed


@dataclass(frozen=True)
class SearchSpace:
    """A baseline, the factors around it, and the design that combines them.

    `one_at_a_time` gives the baseline once and one arm for each other level. `factorial` gives every combination.
    """

    baseline: TrialConfig
    factors: tuple[Factor, ...]
    design: Literal["one_at_a_time", "factorial"] = "one_at_a_time"

    def arms(self) -> list[Arm]:
        """Every arm, the baseline first. Raises RequestError for a space that cannot be run as declared."""
        return list(self._arms)

    @cached_property
    def _arms(self) -> list[Arm]:
        self._check_factors()
        arms = self._arms_one_at_a_time() if self.design == "one_at_a_time" else self._arms_factorial()
        by_key: dict[str, Arm] = {}
        for arm in arms:
            twin = by_key.setdefault(arm.config.arm_key, arm)
            if twin is not arm:
                raise RequestError(f"arms '{twin.name}' and '{arm.name}' have the same key {arm.config.arm_key}")
        return arms

    def one_at_a_time(self) -> "SearchSpace":
        """The same factors around the same baseline, one at a time."""
        return replace(self, design="one_at_a_time")

    def trials(self, n_seeds: int) -> list[Trial]:
        """All trials, block after block, so that an interrupted sweep has every arm at the same seeds."""
        if n_seeds < 1:
            raise RequestError(f"a sweep needs at least 1 seed, not {n_seeds}")
        first = self.baseline.seed
        of_arms = [Trial.of_arm(arm, range(first, first + n_seeds)) for arm in self.arms()]
        trials = [trial for block in zip(*of_arms, strict=True) for trial in block]
        keys = {trial.key for trial in trials}
        if len(keys) < len(trials):
            raise RequestError(f"{len(trials)} trials share {len(keys)} keys; rename or change an arm")
        return trials

    def _check_factors(self) -> None:
        if not self.factors:
            raise RequestError("a space needs at least one factor")
        by_field: dict[str, Factor] = {}
        for factor in self.factors:
            check_field(factor.field)
            if factor.field == "seed":
                raise RequestError("'seed' cannot be a factor: seeds are blocks, set with --seeds")
            if not factor.levels:
                raise RequestError(f"factor '{factor.name}' has no levels")
            if len(set(map(repr, factor.levels))) < len(factor.levels):
                raise RequestError(f"factor '{factor.name}' lists a level twice: {list(factor.levels)}")
            other = by_field.setdefault(factor.field, factor)
            if other is not factor:
                raise RequestError(f"factors '{other.name}' and '{factor.name}' both vary '{factor.field}'")
            for level in factor.levels:
                self._with_level(factor, level)
            if factor.instead:
                self._check_instead(factor)
            else:
                self._check_baseline_is_a_level(factor)

    def _check_baseline_is_a_level(self, factor: Factor) -> None:
        value = self.baseline.flat()[factor.field]
        if value not in factor.levels:
            raise RequestError(
                f"the baseline's '{factor.field}' is {value!r}, which is not among the levels of "
                f"'{factor.name}': {list(factor.levels)}"
            )
        if self._with_level(factor, value) != self.baseline:
            raise RequestError(
                f"the baseline is at level {value!r} of '{factor.name}' without all that goes with it: "
                f"{dict(factor.with_level[value])}"
            )

    def _check_instead(self, factor: Factor) -> None:
        if self.design == "factorial":
            raise RequestError(
                f"no level of '{factor.name}' is the baseline's, as each sets {dict(factor.instead)}: "
                "it cannot be crossed with other factors, only be varied one at a time"
            )
        if factor.field in factor.instead:
            raise RequestError(f"factor '{factor.name}' sets its own field '{factor.field}' at every level")
        for name, value in factor.instead.items():
            check_field(name)
            if self.baseline.flat()[name] == value:
                raise RequestError(
                    f"factor '{factor.name}' sets '{name}' to {value!r} instead of the baseline's value, which is the same"
                )

    def _with_level(self, factor: Factor, level: Any) -> TrialConfig:
        made = self._made.get((factor.name, factor.field, repr(level)))
        if made is None:
            try:
                made = self.baseline.with_fields(factor.changes(level))
            except RequestError as error:
                raise RequestError(f"factor '{factor.name}': {error}") from error
            self._made[factor.name, factor.field, repr(level)] = made
        return made

    @cached_property
    def _made(self) -> dict[tuple[str, str, str], TrialConfig]:
        """The configurations of single levels so far: each is checked, and then an arm."""
        return {}

    def _arms_one_at_a_time(self) -> list[Arm]:
        arms = [Arm(BASELINE, "", "", self.baseline)]
        for factor in self.factors:
            for level in factor.levels:
                config = self._with_level(factor, level)
                if config != self.baseline:
                    arms.append(Arm(f"{factor.field}={level}", factor.name, str(level), config))
        return arms

    def _arms_factorial(self) -> list[Arm]:
        baseline_levels = self.baseline.flat()
        arms = []
        for levels in itertools.product(*(factor.levels for factor in self.factors)):
            by_factor = list(zip(self.factors, levels, strict=True))
            changed = {f.field: level for f, level in by_factor if level != baseline_levels[f.field]}
            changes = {name: value for f, level in by_factor for name, value in f.changes(level).items()}
            name = ",".join(f"{field}={level}" for field, level in changed.items()) or BASELINE
            names = [factor.name for factor in self.factors if factor.field in changed]
            level = ",".join(str(level) for level in changed.values())
            arms.append(Arm(name, ",".join(names), level, self.baseline.with_fields(changes)))
        return sorted(arms, key=lambda arm: arm.name != BASELINE)  # stable: the baseline first
