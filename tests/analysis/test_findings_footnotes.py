"""FINDINGS.md links every sentence that is about some trials to them: coverage, what keeps the gate closed, what to know."""

import re
from dataclasses import replace

import pytest
from study_writer import CLAIM, StudyWriter, with_gaps

import analysis
from analysis.findings import MOST_KEYS, Footnotes, render_findings
from analysis.results_file import build_results
from foresight.claim import Criterion
from foresight.runlog import RunLog


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> analysis.Study:
    """One failed, one stopped and one missing trial, and a criterion that is missed."""
    root = tmp_path_factory.mktemp("gaps") / "runs" / "p2_ablations"
    claim = replace(CLAIM, criteria=(Criterion("mask_iou", 0.95, 0.9, 0.8),))
    return analysis.load(StudyWriter(root, claim=claim, change_row=with_gaps).write())


@pytest.fixture(scope="module")
def page(study) -> str:
    return render_findings(build_results(study), study.data.sweep)


def footnote(page: str, sentence: str) -> set[str]:
    """The keys that the footnote of the line with this sentence names."""
    (line,) = (line for line in page.splitlines() if sentence in line and not line.startswith("[^"))
    number = re.search(re.escape(sentence) + r".*?\[\^(\d+)\]", line)[1]
    (note,) = (line for line in page.splitlines() if line.startswith(f"[^{number}]: "))
    return set(re.findall(r"`([^`]+)`", note))


def keys(study, *statuses: str) -> set[str]:
    trials = study.data.trials
    return set(trials.loc[trials["status"].isin(statuses), "key"])


def test_the_count_of_complete_trials_names_those_that_lack(study, page):
    missing = set(study.data.planned["key"]) - set(study.data.trials["key"])
    assert len(missing) == 1
    counted = "72 of 75 planned trials are complete (1 failed, 1 stopped, 1 missing)."
    assert footnote(page, counted) == missing | keys(study, "failed", "stopped")


def test_what_to_know_names_the_trials_it_is_about(study, page):
    assert footnote(page, "1 trial stopped early and in no table.") == keys(study, "stopped")
    assert footnote(page, "loss became nan between steps 64 and 96") == keys(study, "failed")
    assert footnote(page, "Incomplete levels of fusion layers: 8 has 4 of 5") == keys(study, "failed")


def test_a_blocker_that_is_a_criterion_names_its_trials(study, page):
    (criterion,) = build_results(study).detailed_analysis.criteria
    baseline = set(study.data.complete.query("arm == 'baseline'")["key"])
    gate = page.split("## Gate")[1].split("\n## ")[0]
    line = next(line for line in gate.splitlines() if criterion.sentence in line)
    number = re.search(r"\[\^(\d+)\]$", line)[1]
    assert set(re.findall(r"`([^`]+)`", page.split(f"[^{number}]: ")[1].splitlines()[0])) == baseline


def test_results_hold_what_the_page_names(study):
    results = build_results(study)
    assert results.issues == [issue.text for issue in results.detailed_analysis.issues]
    known = set(study.data.planned["key"])
    assert all(set(issue.keys) <= known for issue in results.detailed_analysis.issues)
    assert {"failed", "stopped"} <= {caution.kind for caution in study.cautions() if caution.keys}


def test_cautions_about_arms_name_their_trials(cautions, tmp_path):
    cautions({"test/mask_iou": 0.1})  # below the trivial predictors
    study = analysis.load(RunLog(tmp_path / "study").root)
    named = next(caution for caution in study.cautions() if caution.kind == "trivial")
    assert set(named.keys) == set(study.data.complete.query("arm == 'fusion.layers=2'")["key"])


def test_a_footnote_of_very_many_trials_is_cut():
    notes = Footnotes()
    assert notes.mark([f"k{i}" for i in range(MOST_KEYS + 7)]) == "[^1]"
    (line,) = notes.lines()
    assert line.endswith(f"`k{MOST_KEYS - 1}` and 7 more, which results.yaml names")
