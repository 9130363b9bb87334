"""results.yaml and FINDINGS.md: from small run logs, whole, partial and failed."""

import copy
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from study_writer import CLAIM, SWEEP, StudyWriter, space, with_gaps
from typer.testing import CliRunner

import analysis
from analysis.__main__ import app
from analysis.assessment import (
    compute_arm_status,
    compute_confidence,
    compute_recommendation,
    compute_status,
    compute_success,
)
from analysis.findings import render_findings
from analysis.results_file import build_results, write_results
from analysis.results_schema import read_results
from foresight.claim import Criterion
from foresight.errors import RequestError
from foresight.space import Factor

FEW = space((Factor("layers", "fusion.layers", (2, 4)), Factor("queries", "fusion.queries", (32, 64))))
MET = replace(CLAIM, criteria=(Criterion("mask_iou", 0.7, 0.6, 0.5),))


@pytest.fixture(scope="module")
def met(tmp_path_factory) -> analysis.Study:
    root = tmp_path_factory.mktemp("met") / "p2_ablations"
    full = SWEEP | {"scale": "full", "scale_note": ""}
    return analysis.load(StudyWriter(root, space=FEW, claim=MET, sweep=full).write())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of results with one table in it."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "verdicts.csv").write_text("kind\n")
    return tmp_path / "results"


def test_a_whole_study_is_written_as_its_schema_says(met, folder):
    written = write_results(met, folder)
    assert read_results(folder / "results.yaml") == written
    tree = yaml.safe_load((folder / "results.yaml").read_text())
    assert tree["experiment_id"] == "p2-ablations"  # what the original's own pattern refused
    assert (tree["status"], tree["recommendation"]) == ("completed", "proceed")
    assert tree["success_criteria"] == {"mask_iou_threshold": 0.6}
    assert tree["assessment"]["success_criteria_met"] is True
    assert tree["assessment"]["confidence"] == "high"
    assert tree["results"]["artifacts"] == ["verdicts.csv"]
    assert list(tree["results"]["experiments"]) == ["baseline", "fusion.layers=2", "fusion.queries=32"]


def test_each_number_is_that_of_the_trials_named_behind_it(met):
    results, trials = build_results(met), met.data.log.trials().set_index("key")
    for arm in results.results.experiments.values():
        for metric, found in arm.evidence.items():
            assert found.value == pytest.approx(trials.loc[found.keys, f"test/{metric}"].mean(), abs=1e-12)
    (criterion,) = results.detailed_analysis.criteria
    assert results.assessment.achieved == {"mask_iou_achieved": criterion.evidence.value}
    assert set(trials.loc[criterion.evidence.keys, "arm"]) == {"baseline"}
    for compared in results.detailed_analysis.comparisons:
        means = trials.loc[compared.difference.keys].groupby("arm")["test/mask_iou"].mean()
        assert compared.difference.value == pytest.approx(means[compared.arm] - means["baseline"], abs=1e-12)


def test_a_relative_criterion_names_the_references_trials_too(tmp_path):
    claim = replace(
        CLAIM,
        criteria=(Criterion("training_time_ratio", 1.0, 1.5, 2.0),),
        reference="baseline",
        judged=("fusion.layers=2",),
    )
    study = analysis.load(StudyWriter(tmp_path / "c2_scaling", space=FEW, claim=claim).write())
    (criterion,) = build_results(study).detailed_analysis.criteria
    arms = study.data.complete.set_index("key").loc[criterion.evidence.keys, "arm"]
    assert arms.value_counts().to_dict() == {"fusion.layers=2": 5, "baseline": 5}


def test_a_partial_study_has_numbers_and_no_verdict(tmp_path, folder):
    study = analysis.load(StudyWriter(tmp_path / "p2_ablations", claim=MET, change_row=with_gaps).write())
    results = write_results(study, folder)
    assert (results.status, results.recommendation) == ("in_progress", "investigate")
    assert results.assessment.success_criteria_met is None
    assert results.assessment.confidence == "low"
    assert results.assessment.achieved["mask_iou_achieved"] == pytest.approx(0.658, abs=1e-3)
    arms = results.results.experiments
    assert (arms["fusion.layers=8"].status, arms["vlm.layer=8"].status) == ("failed", "in_progress")
    assert "loss became nan between steps 64 and 96" in arms["fusion.layers=8"].error
    assert "The arm is failed." in arms["fusion.layers=8"].finding
    assert any("8 has 4 of 5 (1 failed)" in issue for issue in results.issues)
    assert read_results(folder / "results.yaml") == results


def test_a_study_whose_trials_failed_says_so(tmp_path):
    def change(trial, row):
        if trial.arm.name != "fusion.layers=2":
            return row
        return {k: v for k, v in row.items() if not k.startswith("test/")} | {"status": "failed", "error": "nan"}

    path = StudyWriter(tmp_path / "p2_ablations", space=FEW, claim=MET, change_row=change).write()
    results = build_results(analysis.load(path))
    assert (results.status, results.recommendation) == ("failed", "investigate")
    arm = results.results.experiments["fusion.layers=2"]
    assert (arm.status, arm.metrics, arm.finding) == (
        "failed",
        {},
        "No complete trial of fusion.layers=2 has mask IoU. The arm is failed.",
    )


@pytest.mark.parametrize(
    ("lost", "status", "recommendation"), [(False, "failed", "block"), (True, "in_progress", "block")]
)
def test_a_study_without_any_number_still_has_its_files(tmp_path, monkeypatch, lost, status, recommendation):
    def change(trial, row):
        if lost and trial.arm.name == "fusion.layers=2":
            return None
        return {k: v for k, v in row.items() if not k.startswith("test/")} | {"status": "failed", "error": "nan <b>"}

    monkeypatch.chdir(tmp_path)
    StudyWriter(tmp_path / "runs" / "p2_ablations", space=FEW, change_row=change).write()
    result = CliRunner().invoke(app, ["p2_ablations"], catch_exceptions=False)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "has no complete trial" in result.stderr
    results = read_results(tmp_path / "results" / "p2_ablations" / "results.yaml")
    assert (results.status, results.recommendation) == (status, recommendation)
    assert results.assessment.success_criteria_met is None
    assert results.results.experiments["baseline"].error.endswith("nan <b>")
    page = (tmp_path / "results" / "p2_ablations" / "FINDINGS.md").read_text()
    assert f"0 of 15 planned trials at the registered seeds are complete ({10 if lost else 15} failed)" in page


BREAK = {
    "experiment_id": ({"experiment_id": "P2_ablations"}, "experiment_id"),
    "unknown field": ({"note": "all good"}, "note"),
    "blockers": ({"blockers": ["it rains"]}, "the number of blockers is 1, and its own numbers give 0"),
    "closed": ({"detailed_analysis/closed_by": ["toy scale"]}, "success_criteria_met is True"),
    "status": ({"status": "failed"}, "status is 'failed', and its own numbers give 'completed'"),
    "verdict": ({"assessment/success_criteria_met": False}, "success_criteria_met is False"),
    "threshold": ({"success_criteria/mask_iou_threshold": 0.5}, "success_criteria is"),
    "achieved": ({"assessment/mask_iou_achieved": 0.9}, "the achieved values is"),
    "confidence": ({"assessment/confidence": "low"}, "confidence is 'low'"),
    "recommendation": ({"recommendation": "pivot"}, "recommendation is 'pivot'"),
    "enum": ({"recommendation": "celebrate"}, "recommendation"),
    "metric": ({"results/experiments/baseline/metrics/mask_iou": 0.9}, "do not hold the same numbers"),
    "criterion": ({"detailed_analysis/criteria/0/acceptable": 0.9}, "the verdict on mask_iou is 'met'"),
    "interval": ({"detailed_analysis/criteria/0/evidence/low": 0.99}, "outside its interval"),
    "keys": ({"results/experiments/baseline/evidence/ssim/keys": ["a", "b"]}, "names 2 trials and 5 seeds"),
    "same key": ({"results/experiments/baseline/evidence/ssim/keys": ["a"] * 5}, "stands twice behind one number"),
    "artifact": ({"results/artifacts": ["figures/gone.png"]}, "artifacts that are not there: figures/gone.png"),
    "outside": ({"results/artifacts": ["../secret"]}, "must lie in the experiment's folder"),
    "text": ({"assessment/mask_iou_achieved": "good"}, "mask_iou_achieved"),
}


@pytest.mark.parametrize(("changes", "said"), BREAK.values(), ids=BREAK)
def test_a_file_that_disagrees_with_itself_is_refused(met, folder, changes, said):
    write_results(met, folder)
    path = folder / "results.yaml"
    tree = copy.deepcopy(yaml.safe_load(path.read_text()))
    for where, value in changes.items():
        *parents, last = where.split("/")
        place = tree
        for name in parents:
            place = place[int(name) if name.isdigit() else name]
        place[last] = value
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(RequestError) as caught:
        read_results(path)
    assert said in str(caught.value)


def test_a_metric_outside_its_range_is_refused(met, folder):
    write_results(met, folder)
    path = folder / "results.yaml"
    tree = yaml.safe_load(path.read_text())
    arm = tree["results"]["experiments"]["fusion.layers=2"]
    arm["metrics"]["ssim"] = arm["evidence"]["ssim"]["value"] = arm["evidence"]["ssim"]["high"] = 1.2
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(RequestError, match=r"ssim 1\.2 is outside its range \[-1, 1\]"):
        read_results(path)


@pytest.mark.parametrize(
    ("trials", "status"),
    [
        (["complete"] * 2, "completed"),
        (["complete", "failed", "missing"], "failed"),
        (["complete", "missing"], "in_progress"),
        (["missing", "missing"], "skipped"),
        ([], "skipped"),
    ],
)
def test_status_of_an_arm(trials, status):
    assert compute_arm_status(trials) == status


def test_status_of_a_study():
    assert compute_status(["completed", "completed"]) == "completed"
    assert compute_status(["completed", "failed"]) == "failed"
    assert compute_status(["in_progress", "failed"]) == "in_progress"
    assert compute_status([]) == "in_progress"


@pytest.mark.parametrize(
    ("closed_by", "states", "judged", "recommendation", "confidence", "success"),
    [
        ([], ["met", "met"], "completed", "proceed", "high", True),
        ([], ["met", "not met"], "completed", "pivot", "high", False),
        ([], ["met", "waived"], "completed", "proceed", "medium", False),
        ([], ["not met", "waived"], "completed", "pivot", "medium", False),
        ([], ["not measured", "not met"], "completed", "pivot", "medium", False),
        ([], ["met", "undecided"], "completed", "investigate", "medium", False),
        ([], ["not measured", "undecided"], "completed", "investigate", "low", False),
        (["imported"], ["met", "met"], "completed", "investigate", "low", None),
        (["toy scale"], ["met", "not met"], "completed", "investigate", "low", None),
        (["no criterion"], [], "completed", "investigate", "low", None),
        (["not complete"], ["met"], "completed", "investigate", "low", None),
        (["not complete"], ["undecided"], "failed", "block", "low", None),
    ],
)
def test_what_is_recommended_and_how_surely(closed_by, states, judged, recommendation, confidence, success):
    verdicts = ["not measured" if state == "waived" else state for state in states]
    assert compute_recommendation(closed_by, states, judged) == recommendation
    assert compute_confidence(closed_by, verdicts) == confidence
    assert compute_success(closed_by, states) is success


def test_findings_say_what_the_file_says_and_name_its_trials(met):
    results = build_results(met)
    page = render_findings(results, met.data.sweep)
    (criterion,) = results.detailed_analysis.criteria
    assert f"- {criterion.sentence}[^1]" in page
    assert f"[^1]: {', '.join(f'`{key}`' for key in criterion.evidence.keys)}" in page
    for compared in results.detailed_analysis.comparisons:
        assert compared.sentence in page
    assert "Open: every criterion is met." in page
    assert "**Recommendation.** Proceed. Of 1 criteria: 1 met." in page
    used, listed = set(re.findall(r"\[\^(\d+)\](?!:)", page)), set(re.findall(r"^\[\^(\d+)\]:", page, flags=re.M))
    assert used == listed
