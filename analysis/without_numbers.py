"""results.yaml and FINDINGS.md of a study without a complete trial: its status and its errors, and no number.

In: a run log whose trials all failed, or still run. Out: the two files, by the same schema as any other study's.
"""

from pathlib import Path

import pandas as pd

from analysis.amendments import build_amendments, describe_amendments
from analysis.assessment import (
    ArmStatus,
    ClosedBy,
    compute_arm_status,
    compute_confidence,
    compute_recommendation,
    compute_status,
    describe_recommendation,
)
from analysis.findings import write_findings
from analysis.results_evidence import CriterionResult, Sentence, SubExperiment
from analysis.results_file import experiment_id, first_error, write_file
from analysis.results_schema import Assessment, DetailedAnalysis, Results, ResultsFile
from foresight.claim import Claim
from foresight.runlog import RunLog
from foresight.stored_claim import read_claim


def write_without_numbers(path: Path, folder: Path) -> ResultsFile:
    """Writes both files into `folder` and returns the content of results.yaml."""
    log = RunLog(path)
    sweep, trials, manifest = log.read_sweep() or {}, log.trials(), log.read_manifest()
    claim = read_claim(sweep)
    planned = manifest if {"arm", "seed"} <= set(manifest) else trials
    planned = planned[planned["seed"].isin(sorted(planned["seed"].unique())[: claim.seeds])]
    statuses = dict(zip(trials["key"], trials["status"], strict=True))
    arms = {
        str(arm): compute_arm_status([_unusable(statuses.get(key, "missing")) for key in mine["key"]])
        for arm, mine in planned.groupby("arm", sort=False)
    }
    judged, criteria = claim.judged_arm(list(arms)), _criteria(claim)
    status, verdicts = compute_status(arms.values()), ["not measured"] * len(claim.criteria)
    closed: list[ClosedBy] = ["not complete", *(() if claim.criteria else ("no criterion",))]
    recommendation = compute_recommendation(closed, verdicts, arms.get(judged, "skipped"))
    n_failed = int((trials[trials["key"].isin(planned["key"])]["status"] == "failed").sum())
    counted = f"0 of {len(planned)} planned trials at the registered seeds are complete ({n_failed} failed)."
    no_criterion = [] if claim.criteria else ["The claim names no criterion, so nothing was shown."]
    failed = trials[trials["status"] == "failed"]
    blockers = [*(c.sentence for c in criteria), f"No trial is complete. {counted}", *no_criterion]
    results = ResultsFile(
        experiment_id=experiment_id(path.name),
        claim=claim.statement,
        status=status,
        executed_by=f"sweeps/{path.name}.py",
        started_at=sweep.get("created") or None,
        success_criteria={f"{c.name}_threshold": c.acceptable for c in criteria},
        results=Results(experiments={arm: _arm(arm, found, failed) for arm, found in arms.items()}, artifacts=[]),
        assessment=Assessment(
            success_criteria_met=None,
            confidence=compute_confidence(closed, verdicts),
            confidence_notes="Nothing was measured.",
        ),
        recommendation=recommendation,
        recommendation_notes=describe_recommendation(recommendation, status, closed, verdicts),
        blockers=blockers,
        issues=[],
        detailed_analysis=DetailedAnalysis(
            study=path.name,
            primary=claim.primary,
            judged_arm=judged,
            provenance=[],
            closed_by=closed,
            registered_seeds=claim.verdict_seeds,
            claim_hash=sweep.get("claim_hash"),
            amendments=describe_amendments(build_amendments(sweep)),
            coverage=Sentence(text=counted, keys=planned["key"].tolist()),
            blockers=[Sentence(text=text) for text in blockers],
            issues=[],
            criteria=criteria,
            comparisons=[],
        ),
    )
    write_file(results, folder)
    write_findings(results, sweep, folder)
    return results


def _unusable(status: str) -> str:
    """A trial that is complete and in no table counts as one that is missing."""
    return "missing" if status == "complete" else status


def _criteria(claim: Claim) -> list[CriterionResult]:
    return [
        CriterionResult(
            metric=criterion.metric,
            on=criterion.on,
            target=float(criterion.target),
            acceptable=float(criterion.acceptable),
            failure=float(criterion.failure),
            verdict="not measured",
            evidence=None,
            sentence=f"{criterion.metric} was not measured, as no trial is complete, so its criterion is not met.",
            waived=None,
        )
        for criterion in claim.criteria
    ]


def _arm(arm: str, status: ArmStatus, failed: pd.DataFrame) -> SubExperiment:
    mine = failed[failed["arm"] == arm]
    return SubExperiment(
        status=status,
        finding=f"No trial of {arm} is complete.",
        metrics={},
        evidence={},
        error=first_error(mine) if len(mine) else None,
    )
