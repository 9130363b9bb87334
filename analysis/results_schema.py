"""The schema of results.yaml: what each field may hold, and that the file agrees with itself.

The original study's schema with its faults mended. Its pattern for `experiment_id` made every P2 study invalid; ours takes
any slug. Its checker hard-coded which metrics are better when lower, took limits for four of them, compared means, and
warned; here METRICS says it, the whole interval is judged, and what does not fit is an error. `success_criteria_met` may be
empty: a study that is not complete, or not our own, has no verdict. Ours beyond it: `evidence` with the keys of the trials
behind each number, and the `detailed_analysis` that every derived field is recomputed from.
"""

from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from analysis.assessment import (
    ClosedBy,
    Confidence,
    Recommendation,
    StudyStatus,
    compute_confidence,
    compute_recommendation,
    compute_status,
    compute_success,
)
from analysis.results_evidence import (
    Artifact,
    Comparison,
    CriterionResult,
    MetricName,
    Number,
    Provenance,
    Sentence,
    Strict,
    SubExperiment,
    Time,
    check_range,
)
from foresight.errors import RequestError


class Results(Strict):
    experiments: dict[str, SubExperiment]
    artifacts: list[Artifact]


class DetailedAnalysis(Strict):
    """What everything else is derived from."""

    study: str
    primary: MetricName
    judged_arm: str
    provenance: list[Provenance]
    closed_by: list[ClosedBy]  # what closes the gate beside the criteria, once for each reason
    registered_seeds: int = Field(ge=2)
    claim_hash: str | None
    amendments: list[str]
    coverage: Sentence
    blockers: list[Sentence]
    issues: list[Sentence]
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
        verdicts, states = [criterion.verdict for criterion in criteria], [criterion.state for criterion in criteria]
        closed = detailed.closed_by
        judged_status = arms[detailed.judged_arm].status if detailed.judged_arm in arms else "skipped"
        recommended = compute_recommendation(closed, states, judged_status)
        _agree("success_criteria", self.success_criteria, thresholds)
        _agree("the achieved values", assessed.achieved, achieved)
        _agree("status", self.status, status)
        _agree("success_criteria_met", assessed.success_criteria_met, compute_success(closed, states))
        _agree("confidence", assessed.confidence, compute_confidence(closed, verdicts))
        n_closed = len(closed) + sum(state not in ("met", "waived") for state in states)
        _agree("the number of blockers", len(self.blockers), n_closed)
        _agree("closed_by 'not complete'", "not complete" in closed, status != "completed")
        _agree("closed_by 'no criterion'", "no criterion" in closed, not criteria)
        _agree("recommendation", self.recommendation, recommended)
        _agree("blockers", self.blockers, [blocker.text for blocker in detailed.blockers])
        _agree("issues", self.issues, [issue.text for issue in detailed.issues])
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


def _agree(what: str, stated: object, recomputed: object) -> None:
    if stated != recomputed:
        raise ValueError(f"{what} is {stated!r}, and its own numbers give {recomputed!r}")
