"""A search as the analysis shows it: proposals by validation, no verdict, and stopped trials in no other table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from study_writer import CLAIM, StudyWriter, space

from analysis import load
from analysis.proposals import describe_proposals
from analysis.report import write_report
from analysis.results_file import write_results
from analysis.search_importance import build_search_importance, compute_importances, describe_search_importance
from foresight.runlog import RunLog
from foresight.space import Arm, SearchSpace, Trial

EXPLORATION = replace(CLAIM, criteria=(), exploratory=True)
N_PROPOSALS = 25
SEARCH = {
    "objectives": [{"name": "mask_iou", "column": "val/mask_iou", "direction": "higher"}],
    "sampler": "tpe",
    "sampler_seed": 0,
    "proposals": N_PROPOSALS,
    "seeds": 2,
    "rungs": [2],
    "warm_start": [],
}
DIMENSIONS = [
    {"kind": "IntRange", "field": "fusion.layers", "low": 1, "high": 8, "step": 1, "log": False, "when": {}},
    {"kind": "Choice", "field": "dinov2.size", "values": ["B", "L", "G"], "when": {}},
    {"kind": "FloatRange", "field": "train.lr", "low": 1e-4, "high": 1e-1, "step": None, "log": True, "when": {}},
]


class Proposed(SearchSpace):
    """The arms of a search in place of a design's: layers matter, the size of DINOv2 a little, the rate not at all."""

    def arms(self) -> list[Arm]:
        rng = np.random.default_rng(0)
        found = [Arm("baseline", "", "", self.baseline)]
        for number in range(1, N_PROPOSALS):
            changes = {
                "fusion.layers": int(rng.integers(1, 9)),
                "dinov2.size": str(rng.choice(["B", "L", "G"])),
                "train.lr": float(10 ** rng.uniform(-4, -1)),
            }
            name = f"p{number:03d}"
            found.append(Arm(name, "proposal", name, self.baseline.with_fields(changes)))
        return found


def validation(trial: Trial) -> float:
    config = trial.config
    return 0.5 + 0.05 * config.fusion.layers - 0.02 * (config.dinov2.size == "B") + 0.001 * config.seed


@pytest.fixture
def searched(tmp_path: Path) -> Path:
    """25 proposals at two seeds: p002 stopped after two epochs, p003 failed at its first seed."""

    def change(trial: Trial, row: dict) -> dict | None:
        arm, seed = trial.arm.name, trial.seed
        if arm in ("p002", "p003"):
            if seed:
                return None
            bare = {k: v for k, v in row.items() if not k.startswith(("test/", "val/", "baseline/", "cost/", "data/"))}
            if arm == "p003":
                return bare | {"status": "failed", "error": "it diverged"}
            return bare | {"status": "stopped", "val/mask_iou": 0.99, "train/epochs_run": 2}
        return row | {"val/mask_iou": validation(trial), "train/epochs_run": 4}

    writer = StudyWriter(
        tmp_path / "runs" / "small_search",
        space=Proposed(space().baseline, space().factors),
        claim=EXPLORATION,
        n_seeds=2,
        change_row=change,
        with_latency=False,
    )
    root = writer.write()
    log = RunLog(root)
    sweep = log.read_sweep()
    sweep["space"] |= {"design": "search", "factors": [], "dimensions": DIMENSIONS, "search": SEARCH}
    log.write_sweep(sweep)
    return root


def test_proposals_are_ordered_by_validation_and_stopped_ones_come_after(searched):
    frame = load(searched).proposals()
    assert len(frame) == N_PROPOSALS
    complete = frame[frame["state"] == "complete"]
    assert complete["value"].is_monotonic_decreasing
    assert frame["state"].tolist()[-2:] == ["stopped", "failed"]
    stopped = frame.iloc[-2]
    assert (stopped["arm"], stopped["value"], stopped["epochs_run"], stopped["n_seeds"]) == ("p002", 0.99, 2, 1)
    assert complete["on_front"].sum() >= 1 and complete["on_front"].iloc[0]
    trials = load(searched).data.complete
    best = trials[trials["arm"] == complete.iloc[0]["arm"]]
    assert complete.iloc[0]["value"] == pytest.approx(best["val/mask_iou"].mean())


def test_no_arm_of_a_search_has_a_verdict(searched):
    study = load(searched)
    verdicts = study.verdicts()
    assert set(verdicts["verdict"]) == {"no verdict (exploration)"}
    assert not study.pareto()["state"].isin(["on the front", "dominated", "ambiguous"]).any()
    assert not study.gate()["state"].isin(["met"]).any()


def test_what_was_stopped_is_in_no_table_but_that_of_the_proposals(searched):
    study = load(searched)
    for frame, column in ((study.table(), "arm"), (study.pareto(), "arm"), (study.verdicts(), "name")):
        assert "p002" not in set(frame[column])
    coverage = study.coverage()
    assert coverage[coverage["scope"] == "study"].iloc[0][["stopped", "failed"]].tolist() == [1, 1]


def test_the_words_say_that_it_was_an_exploration(searched):
    said = " ".join(describe_proposals(load(searched).proposals()))
    assert "An exploration, and no test: 25 configurations (23 complete, 1 stopped, 1 failed), proposed by tpe" in said
    assert "No test image chose among them, and no arm has a verdict." in said
    assert "Picked among 23 complete proposals, such values flatter." in said
    assert "at seeds not used here" in said


def test_importance_finds_what_the_proposals_went_by(searched):
    frame = load(searched).search_importance()
    for _, mine in frame.groupby("method"):
        assert mine["field"].iloc[0] == "fusion.layers"
        assert mine["importance"].sum() == pytest.approx(1)
    assert "no estimates of effects" in describe_search_importance(frame)[-1]


def test_importance_of_few_proposals_is_not_given(searched):
    study = load(searched)
    frame = build_search_importance(study.data, study.proposals().head(10))
    assert frame["importance"].isna().all()
    assert describe_search_importance(frame) == ["Importances need 20 complete proposals at least, and there are 10."]


def test_a_field_with_gaps_counts_as_a_choice():
    configs = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0] * 6, "b": ([None] * 4 + ["x"] * 4) * 3})
    shares = compute_importances(configs, [float(i // 4 % 2) for i in range(24)], True, "fanova")
    assert shares["b"] == pytest.approx(1)


@pytest.mark.timeout(300)  # a page with the pictures of 25 arms
def test_report_and_results_are_written(searched, tmp_path):
    study = load(searched)
    page = write_report(study, tmp_path / "results").read_text()
    assert "What the search proposed" in page and "What mattered to the search" in page
    assert (tmp_path / "results" / "proposals.csv").exists()
    results = write_results(study, tmp_path / "results")
    assert results.status == "failed"  # p003
    assert results.assessment.success_criteria_met is None


def test_a_declared_design_has_neither(tmp_path):
    study = load(StudyWriter(tmp_path / "runs" / "declared").write())
    assert study.proposals().empty and study.search_importance().empty
