"""Cautions about how trials ran: failures, arms that change nothing, mixed machines, training that had not ended."""

from pathlib import Path

import pandas as pd
import pytest

import analysis
from foresight.metrics import METRICS
from foresight.runlog import RunLog


def kinds(study):
    return {caution.kind for caution in study.cautions()}


def test_cautions_of_a_clean_study(complete_study):
    assert kinds(complete_study) == {"trivial"}  # concat is below the centred disc


def test_cautions_name_failures_and_stops(reported):
    cautions = {c.kind: c.text for c in analysis.load(reported.study).cautions()}
    assert "loss became nan between steps 64 and 96" in cautions["failed"]
    assert "fusion.layers=8, seed 4" in cautions["failed"]
    assert "1 trial" in cautions["stopped"]


def test_caution_for_an_arm_that_repeats_the_baseline(write_study):
    numbers = {}

    def change(trial, row):
        mine = {name: value for name, value in row.items() if name.startswith("test/")}
        if trial.arm.name == "baseline":
            numbers[trial.seed] = mine
        return row | numbers[trial.seed] if trial.arm.name == "fusion.queries=32" else row

    texts = {c.kind: c.text for c in analysis.load(write_study(n_seeds=2, change_row=change)).cautions()}
    assert "fusion.queries=32 (2 seeds)" in texts["inert"]


def test_caution_for_a_constant_metric_and_an_undeclared_one(write_study):
    extra = {"test/ssim": 1.0, "test/charm": 3.0}
    study = analysis.load(write_study(n_seeds=1, change_row=lambda trial, row: row | extra))
    assert {"constant", "undeclared"} <= kinds(study)
    assert "charm" not in study.data.metrics


@pytest.mark.parametrize(
    ("column", "usual", "other"),
    [
        ("git_commit", "04c016c", "5460b75"),
        ("torch", "2.14.1", "2.13.0"),
        ("device", "cpu", "cuda"),
        ("threads", 1, 2),
        ("metric_ids", "mask_iou/v1", "mask_iou/v1 ssim/v1"),
    ],
)
def test_caution_for_trials_made_in_different_ways(write_study, column, usual, other):
    def change(trial, row):
        return row | {f"env/{column}": other if trial.arm.name == "vlm.layer=8" else usual}

    study = analysis.load(write_study(n_seeds=2, change_row=change))
    mixed = [caution.text for caution in study.cautions() if caution.kind == "mixed"]
    assert mixed == [f"The complete trials differ in env/{column}: {usual} in 28 trials; {other} in 2 trials."]


def test_caution_for_uncommitted_code(write_study):
    study = analysis.load(write_study(n_seeds=1, change_row=lambda trial, row: row | {"env/git_commit": "04c-dirty"}))
    texts = {c.kind: c.text for c in study.cautions()}
    assert "cannot be repeated from git: 04c-dirty in 15 trials." in texts["dirty"]
    assert "mixed" not in texts


def test_caution_for_a_metric_whose_definition_changed(write_study):
    stored = {"env/metric_ids": f"{METRICS['mask_iou'].id} ssim/v0 charm/v1"}
    texts = [c.text for c in analysis.load(write_study(n_seeds=1, change_row=lambda t, row: row | stored)).cautions()]
    changed = [text for text in texts if "definition has changed" in text]
    declared = METRICS["ssim"].id
    assert changed == [
        f"The metric definition has changed: 15 trials measured ssim/v0, and this code declares {declared}."
    ]


def with_curves(study: Path, last: dict[str, tuple[float, ...]], name: str = "val/mask_iou") -> dict[str, str]:
    """Two epochs per trial, 0.5 and 0.5 plus the arm's `last` by seed (0.02 elsewhere); the study's cautions."""
    log = RunLog(study)
    for trial in log.trials().to_dict("records"):
        row = {column: value for column, value in trial.items() if pd.notna(value)}
        end = 0.5 + last.get(row["arm"], (0.0199,) * 3)[row["seed"]]
        log.write_trial(row, epochs=[{"epoch": 1, name: 0.5}, {"epoch": 2, name: end}])
    return {c.kind: c.text for c in analysis.load(study).cautions()}


def test_caution_for_training_that_had_not_converged(write_study):
    last = {"baseline": (0.0, 0.03, 0.05), "fusion.layers=2": (0.0, 0.01, 0.4), "vlm.layer=8": (-0.3, -0.3, -0.3)}
    text = with_curves(write_study(n_seeds=3), last)["not_converged"]
    assert text.endswith("more than the margin of 0.02 between the last two epochs in baseline (by 0.0300).")


def test_caution_for_a_trial_whose_epochs_are_gone(write_study):
    path = write_study(with_details=True)
    key = sorted((path / "trials").iterdir())[0].name
    (path / "trials" / key / "epochs.parquet").unlink()
    found = [caution for caution in analysis.load(path).cautions() if caution.kind == "without_curves"]
    assert [caution.keys for caution in found] == [(key,)]
    assert (
        f"1 complete trial without epochs.parquet, so what is said of training leaves them out: {key}." == found[0].text
    )


def test_many_arms_that_had_not_converged_are_counted(write_study):
    path = write_study(n_seeds=1)
    arms = analysis.load(path).data.arms
    text = with_curves(path, dict.fromkeys(arms, (0.03,)))["not_converged"]
    assert text.endswith("fusion.layers=2 (by 0.0300) and 10 more.")
    assert "not_converged" not in with_curves(path, dict.fromkeys(arms, (0.03,)), "val/mse")


def test_trainings_of_different_lengths_are_each_held_against_their_own_last_epoch(write_study):
    # Medians over seeds, epoch by epoch, would jump where the short trainings end.
    study = write_study(n_seeds=3)
    log = RunLog(study)
    for trial in log.trials().to_dict("records"):
        row = {column: value for column, value in trial.items() if pd.notna(value)}
        value, n_epochs = {0: (0.5, 3), 1: (0.6, 3), 2: (0.7, 5)}[row["seed"]]
        log.write_trial(row, epochs=[{"epoch": e, "val/mask_iou": value} for e in range(1, n_epochs + 1)])
    assert "not_converged" not in {c.kind for c in analysis.load(study).cautions()}


def test_caution_for_trials_that_their_criterion_did_not_end(write_study):
    def change(trial, row):
        if trial.arm.name == "fusion.layers=2":
            return row | {"train/converged": None}  # its length was fixed
        return row | {"train/converged": float(trial.seed > 0 or trial.arm.name != "vlm.layer=8")}

    texts = {c.kind: c.text for c in analysis.load(write_study(n_seeds=2, change_row=change)).cautions()}
    assert texts["cut_short"] == (
        "Training ended at the most epochs allowed and not by its criterion in vlm.layer=8 (1 trial)."
    )
    assert "cut_short" not in {c.kind for c in analysis.load(write_study(n_seeds=1)).cautions()}
