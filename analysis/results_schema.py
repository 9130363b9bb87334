"""The schema of results.yaml: what each field may hold, and that the file agrees with itself.

The original study's schema with its faults mended. Its pattern for `experiment_id` made every P2 study invalid; ours takes
any slug. Its checker hard-coded which metrics are better when lower, took limits for four of them, compared means, and
warned; here METRICS says it, the whole interval is judged, and what does not fit is an error. `success_criteria_met` may be
empty: a study that is not complete, or not our own, has no verdict. Ours beyond it: `evidence` with the keys of the trials
behind each number, and the `detailed_analysis` that every derived field is recomputed from.
"""

import datetime
import math
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from analysis.assessment import (
    ArmStatus,
    Confidence,
    Recommendation,
    StudyStatus,
    compute_confidence,
    compute_recommendation,
    compute_status,
    compute_success,
)
from analysis.criteria import decide_criterion
from foresight.errors import RequestError, nearest_name
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
        if self.status == "completed" and not self.metrics:
            raise ValueError("a completed arm has numbers")
        return self


class Results(Strict):
    experiments: dict[str, SubExperiment]
    artifacts: list[Artifact]


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


class DetailedAnalysis(Strict):
    """What everything else is derived from."""

    study: str
    primary: MetricName
    judged_arm: str
    provenance: list[Provenance]
    registered_seeds: int = Field(ge=2)
    claim_hash: str | None
    amendments: list[str]
    criteria: list[CriterionResult]
    comparisons: list[Comparison]


class Assessment(BaseModel):
    """`<metric>_achieved` of each measured criterion beside these."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Number] = Field(init=False)

    success_criteria_met: bool | None
    confidence: Confidence
    confidence_notes: str

    @property
    def achieved(self) -> dict[str, float]:
        return dict(self.__pydantic_extra__)


class ResultsFile(Strict):
    """A whole results.yaml."""

    experiment_id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    claim: str = Field(min_length=1)
    status: StudyStatus
    executed_by: str
    started_at: Time | None  # None: a run log written by hand need not say
    completed_at: Time | None = None
    success_criteria: dict[str, Number]
    results: Results
    assessment: Assessment
    recommendation: Recommendation
    recommendation_notes: str
    blockers: list[str]
    issues: list[str]
    detailed_analysis: DetailedAnalysis

    @model_validator(mode="after")
    def check(self) -> Self:
        detailed, assessed = self.detailed_analysis, self.assessment
        criteria, arms = detailed.criteria, self.results.experiments
        for criterion in criteria:
            _agree(
                f"the verdict on {criterion.name}", criterion.verdict, criterion.recomputed(detailed.registered_seeds)
            )
            if criterion.evidence:
                check_range(criterion.metric, criterion.evidence.value)
        thresholds = {f"{criterion.name}_threshold": criterion.acceptable for criterion in criteria}
        achieved = {f"{c.name}_achieved": c.evidence.value for c in criteria if c.evidence}
        status = compute_status([arm.status for arm in arms.values()])
        verdicts, is_own = [criterion.verdict for criterion in criteria], detailed.provenance == ["trained"]
        judged_status = arms[detailed.judged_arm].status if detailed.judged_arm in arms else "skipped"
        recommended = compute_recommendation(status, is_own, verdicts, judged_status)
        _agree("success_criteria", self.success_criteria, thresholds)
        _agree("the achieved values", assessed.achieved, achieved)
        _agree("status", self.status, status)
        _agree("success_criteria_met", assessed.success_criteria_met, compute_success(status, is_own, verdicts))
        _agree("confidence", assessed.confidence, compute_confidence(status, is_own, verdicts))
        _agree("recommendation", self.recommendation, recommended)
        return self


def read_results(path: Path) -> ResultsFile:
    """Reads and checks a results.yaml. Raises RequestError for one that breaks the schema or lacks an artifact."""
    try:
        found = ResultsFile.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise RequestError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise RequestError(f"{path} breaks the schema in '{where}': {first['msg']}") from error
    listed = [*found.results.artifacts, *(a for arm in found.results.experiments.values() for a in arm.artifacts)]
    absent = [artifact for artifact in listed if not (path.parent / artifact).is_file()]
    if absent:
        raise RequestError(f"{path} names artifacts that are not there: {', '.join(absent)}")
    return found


def check_range(metric: str, value: float) -> None:
    declared = METRICS[metric]
    if not math.isfinite(value) or not declared.low - ROUNDING <= value <= declared.high + ROUNDING:
        raise ValueError(f"{metric} {value} is outside its range [{declared.low:g}, {declared.high:g}]")


def _agree(what: str, stated: object, recomputed: object) -> None:
    if stated != recomputed:
        raise ValueError(f"{what} is {stated!r}, and its own numbers give {recomputed!r}")
