"""The parts of results.yaml that hold numbers: each with its interval over seeds and the keys of the trials behind it.

`analysis.results_schema` puts them together and holds them against each other.
"""

import datetime
import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from analysis.assessment import ArmStatus
from analysis.criteria import decide_criterion
from foresight.errors import nearest_name
from foresight.metrics import METRICS
from foresight.runlog import PROVENANCES

ROUNDING = 1e-6  # as far outside its range as a float32 mean may end


def check_metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"unknown metric '{name}'{nearest_name(name, METRICS)}")
    return name


def check_relative(path: str) -> str:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(f"artifact '{path}' must lie in the experiment's folder")
    return path


def check_time(text: str) -> str:
    datetime.datetime.fromisoformat(text)
    return text


Number = Annotated[float, Field(allow_inf_nan=False)]
MetricName = Annotated[str, AfterValidator(check_metric)]
Artifact = Annotated[str, AfterValidator(check_relative)]
Time = Annotated[str, AfterValidator(check_time)]


def check_provenance(name: str) -> str:
    if name not in PROVENANCES:
        raise ValueError(f"unknown provenance '{name}'; known: {', '.join(PROVENANCES)}")
    return name


Provenance = Annotated[str, AfterValidator(check_provenance)]


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Evidence(Strict):
    """A number with its interval over seeds and the keys of the trials behind it; one seed has no interval.

    The interval is the 95 % one, of a criterion that of confidence 1 - alpha of the claim.
    """

    value: Number
    low: Number | None
    high: Number | None
    n_seeds: int = Field(ge=1)
    n_test: int | None = Field(ge=1)  # None: published without it
    keys: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def check(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has both ends or none")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} lies outside its interval [{self.low}, {self.high}]")
        if len(set(self.keys)) != len(self.keys):
            raise ValueError(f"a trial stands twice behind one number: {', '.join(self.keys)}")
        return self


class Sentence(Strict):
    """A sentence that is no number of its own, with the keys of the trials that it is about, where it is about some."""

    text: str = Field(min_length=1)
    keys: list[str] = []


class SubExperiment(Strict):
    """One arm: what its registered trials came to, and the mean of each metric over its complete seeds."""

    status: ArmStatus
    finding: str = Field(min_length=1)
    metrics: dict[MetricName, Number]
    evidence: dict[MetricName, Evidence]
    artifacts: list[Artifact] = []
    error: str | None = None

    @model_validator(mode="after")
    def check(self) -> Self:
        if {name: found.value for name, found in self.evidence.items()} != self.metrics:
            raise ValueError("metrics and evidence do not hold the same numbers")
        for name, found in self.evidence.items():
            check_range(name, found.value)
            trials_per_seed = 2 if METRICS[name].compares else 1  # a relative metric is the reference's trial's as well
            if len(found.keys) != trials_per_seed * found.n_seeds:
                raise ValueError(f"{name} names {len(found.keys)} trials and {found.n_seeds} seeds")
        return self


class CriterionResult(Strict):
    """One criterion as it was judged; `evidence` is empty where no registered seed measured it."""

    metric: MetricName
    on: str
    target: Number
    acceptable: Number
    failure: Number
    verdict: Literal["met", "not met", "undecided", "not measured"]
    evidence: Evidence | None
    sentence: str = Field(min_length=1)
    waived: str | None  # by whom, when and why; a waiver changes no verdict

    @property
    def name(self) -> str:
        return f"{self.metric}_on_{self.on}" if self.on else self.metric

    @property
    def state(self) -> str:
        """Its verdict, or `waived`: what the gate goes by."""
        return "waived" if self.waived else self.verdict

    def recomputed(self, registered_seeds: int) -> str:
        """The verdict that its own numbers give."""
        if self.evidence is None:
            return "undecided" if self.verdict == "undecided" else "not measured"
        low, high = self.evidence.low, self.evidence.high
        if self.evidence.n_seeds < registered_seeds or low is None or high is None:
            return "undecided"
        return decide_criterion(low, high, self.acceptable, METRICS[self.metric].direction == "higher")


class Comparison(Strict):
    """One arm's difference from the baseline on the primary metric; `difference` is empty where they share no seed."""

    arm: str
    verdict: str
    difference: Evidence | None
    sentence: str


def check_range(metric: str, value: float) -> None:
    declared = METRICS[metric]
    if not math.isfinite(value) or not declared.low - ROUNDING <= value <= declared.high + ROUNDING:
        raise ValueError(f"{metric} {value} is outside its range [{declared.low:g}, {declared.high:g}]")
