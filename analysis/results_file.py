"""results.yaml from a study: every field out of the run log, each number with the keys of the trials behind it.

In: a Study and its folder of results, written already. Out: the validated content (`analysis.results_schema`) and the
file. A study that is not complete has numbers and no verdict; nothing in the file is written by a person.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from analysis import Study
from analysis.amendments import describe_amendments
from analysis.assessment import (
    ArmStatus,
    arm_statuses,
    compute_confidence,
    compute_recommendation,
    compute_status,
    compute_success,
    describe_recommendation,
)
from analysis.coverage import coverage_with_keys
from analysis.gate import closed_with_keys
from analysis.load import StudyData
from analysis.relative import partner_keys
from analysis.results_evidence import Comparison, CriterionResult, Evidence, Sentence, SubExperiment
from analysis.results_schema import Assessment, DetailedAnalysis, Results, ResultsFile
from analysis.wording import count, decimals_of, interval, metric_phrase, number
from foresight.storage.local import atomic_write_bytes

RESULTS_NAME = "results.yaml"
ARTIFACT_SUFFIXES = (".html", ".csv", ".png", ".svg")


def write_results(study: Study, folder: Path) -> ResultsFile:
    """Writes `folder`/results.yaml and returns its content. Its artifacts are the files of the analysis in `folder`."""
    results = build_results(study, list_artifacts(folder))
    write_file(results, folder)
    return results


def write_file(results: ResultsFile, folder: Path) -> None:
    """Writes `folder`/results.yaml."""
    # The C writer where there is one: a factorial has thousands of numbers.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(results.model_dump(mode="json"), Dumper=dumper, sort_keys=False, allow_unicode=True, width=120)
    atomic_write_bytes(folder / RESULTS_NAME, text.encode())


def build_results(study: Study, artifacts: Sequence[str] = ()) -> ResultsFile:
    """The content of results.yaml, checked against its schema."""
    data, verdicts, gate = study.data, study.verdicts(), study.gate()
    statuses = arm_statuses(data)
    judged = data.claim.judged_arm(data.arms)
    status, criteria = compute_status(statuses.values()), _criteria(verdicts, gate)
    found, states = [c.verdict for c in criteria], [c.state for c in criteria]
    closed = gate.loc[gate["what"] != "criterion", "what"].tolist()
    recommendation = compute_recommendation(closed, states, statuses.get(judged, "skipped"))
    counted, *issues = (Sentence(text=text, keys=keys) for text, keys in coverage_with_keys(study.coverage()))
    issues += [Sentence(text=caution.text, keys=list(caution.keys)) for caution in study.cautions()]
    blockers = [Sentence(text=text, keys=keys) for text, keys in closed_with_keys(gate)]
    return ResultsFile(
        experiment_id=experiment_id(data.name),
        claim=data.claim.statement,
        status=status,
        executed_by=_executed_by(data),
        started_at=data.sweep.get("created") or None,
        success_criteria={f"{criterion.name}_threshold": criterion.acceptable for criterion in criteria},
        results=Results(experiments=_experiments(study, statuses), artifacts=list(artifacts)),
        assessment=Assessment(
            success_criteria_met=compute_success(closed, states),
            confidence=compute_confidence(closed, found),
            confidence_notes=_confidence_note(found),
            **{f"{c.name}_achieved": c.evidence.value for c in criteria if c.evidence},
        ),
        recommendation=recommendation,
        recommendation_notes=describe_recommendation(recommendation, status, closed, states),
        blockers=[blocker.text for blocker in blockers],
        issues=[issue.text for issue in issues],
        detailed_analysis=DetailedAnalysis(
            study=data.name,
            primary=data.claim.primary,
            judged_arm=judged,
            provenance=sorted(set(map(str, data.complete["provenance"]))),
            closed_by=closed,
            registered_seeds=data.claim.verdict_seeds,
            claim_hash=data.sweep.get("claim_hash"),
            amendments=describe_amendments(study.amendments()),
            coverage=counted,
            blockers=blockers,
            issues=issues,
            criteria=criteria,
            comparisons=_comparisons(verdicts),
        ),
    )


def list_artifacts(folder: Path) -> list[str]:
    """What the analysis has written for people and programs, relative to `folder`."""
    found = (path for path in folder.rglob("*") if path.suffix in ARTIFACT_SUFFIXES and not path.name.startswith("."))
    return sorted(path.relative_to(folder).as_posix() for path in found)


def experiment_id(study: str) -> str:
    """The study's name as a slug: `p2-ablations`."""
    return re.sub(r"[^a-z0-9]+", "-", study.lower()).strip("-")


def _confidence_note(verdicts: Sequence[str]) -> str:
    n_decided = sum(verdict in ("met", "not met") for verdict in verdicts)
    if not verdicts:
        return "The claim names no criterion."
    return f"{n_decided} of {len(verdicts)} criteria decided by the interval over the registered seeds."


def _executed_by(data: StudyData) -> str:
    imported = data.sweep.get("imported")
    if imported:
        return f"imported from {imported['file']}"
    hosts = sorted(map(str, data.complete["env/host"].dropna().unique())) if "env/host" in data.complete else []
    commit = f" at commit {data.sweep['git_commit']}" if data.sweep.get("git_commit") else ""
    return f"sweeps/{data.name}.py{commit}" + (f" on {', '.join(hosts)}" if hosts else "")


def _experiments(study: Study, statuses: dict[str, ArmStatus]) -> dict[str, SubExperiment]:
    data, table = study.data, study.table()
    arms = table[(table["kind"] == "arm") & (table["n_seeds"] > 0)]
    evidence: dict[str, dict[str, Evidence]] = {arm: {} for arm in data.arms}
    for row in arms.to_dict("records"):
        seeds = map(int, str(row["seeds"]).split())
        partners = partner_keys(data.complete, data.claim.reference, row["metric"], seeds)
        evidence[row["arm"]][row["metric"]] = _evidence(row, row["mean"], " ".join([row["keys"], *partners]))
    failed = data.trials[data.trials["status"] == "failed"]
    errors = {str(arm): first_error(rows) for arm, rows in failed.groupby("arm")}
    return {
        arm: SubExperiment(
            status=statuses[arm],
            finding=_finding(data, arm, statuses[arm], found),
            metrics={name: numbers.value for name, numbers in found.items()},
            evidence=found,
            error=errors.get(arm),
        )
        for arm, found in evidence.items()
    }


def _finding(data: StudyData, arm: str, status: str, found: dict[str, Evidence]) -> str:
    """What the arm scored on the primary metric; never text that stands for a number."""
    mine = found.get(data.claim.primary)
    state = "" if status == "completed" else f" The arm is {status.replace('_', ' ')}."
    if mine is None:
        return f"No complete trial of {arm} has {metric_phrase(data.claim.primary)}.{state}"
    decimals = decimals_of(data.claim.primary)
    shown = number(mine.value, decimals)
    if mine.low is not None and mine.high is not None:
        shown += f" {interval(mine.low, mine.high, decimals)}"
    is_seedless = mine.n_seeds == 1 and data.sweep.get("imported", {}).get("without_seed")
    basis = "1 published value" if is_seedless else count(mine.n_seeds, "seed")
    basis += f", {data.tested_on(arm, data.claim.primary)}"
    return f"{arm}: {metric_phrase(data.claim.primary)} {shown} ({basis}).{state}"


def _criteria(verdicts: pd.DataFrame, gate: pd.DataFrame) -> list[CriterionResult]:
    waived = {(row["metric"], row["on"]): row for _, row in gate[gate["state"] == "waived"].iterrows()}
    found = []
    for row in verdicts[verdicts["kind"] == "criterion"].to_dict("records"):
        waiver = waived.get((row["metric"], row["on"]))
        found.append(
            CriterionResult(
                metric=row["metric"],
                on=row["on"],
                target=float(row["target"]),
                acceptable=float(row["acceptable"]),
                failure=float(row["failure"]),
                verdict=row["verdict"],
                evidence=_evidence(row, row["estimate"], row["keys"]) if row["n_seeds"] else None,
                sentence=row["sentence"],
                waived=None if waiver is None else f"{waiver['waived_by']}, {waiver['date']}: {waiver['reason']}",
            )
        )
    return found


def _comparisons(verdicts: pd.DataFrame) -> list[Comparison]:
    return [
        Comparison(
            arm=row["name"],
            verdict=row["verdict"],
            difference=_evidence(row, row["estimate"], row["keys"]) if row["n_seeds"] else None,
            sentence=row["sentence"],
        )
        for row in verdicts[verdicts["kind"] == "arm"].to_dict("records")
    ]


def _evidence(row: dict[object, object], value: object, keys: object) -> Evidence:
    low, high = float(row["low"]), float(row["high"])  # type: ignore[arg-type]
    n_test = row["n_test"]
    return Evidence(
        value=float(value),  # type: ignore[arg-type]
        low=None if math.isnan(low) else low,
        high=None if math.isnan(high) else high,
        n_seeds=int(row["n_seeds"]),  # type: ignore[call-overload]
        n_test=None if pd.isna(n_test) else int(n_test),  # type: ignore[call-overload]
        keys=str(keys).split(),
    )


def first_error(failed: pd.DataFrame) -> str:
    message = failed["error"].iloc[0] if "error" in failed else None
    return f"trial {failed['key'].iloc[0]}: {'no message was recorded' if pd.isna(message) else ' '.join(str(message).split())}"
