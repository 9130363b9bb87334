"""The frames of a stored study: ablation table, coverage, Pareto front, cautions."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from study_writer import FACTORS, space

import analysis
from analysis import Study
from analysis.figure_factor import level_values
from analysis.sections import SECTIONS
from foresight.compare import compute_estimate
from foresight.config import TrialConfig
from foresight.metrics import METRICS
from foresight.runlog import RunLog
from foresight.space import Factor, SearchSpace


def primary(study):
    table = study.table()
    return table[table["role"] == "primary"].set_index("arm")


def test_table_has_every_arm_and_trivial_predictor(complete_study):
    study = complete_study
    table = study.table()
    assert len(table) == (15 + 2) * 6
    assert table["arm"].iloc[0] == "baseline"
    rows = primary(study)
    mine = study.data.complete.query("arm == 'fusion.strategy=film'")["test/mask_iou"]
    estimate = compute_estimate(mine.tolist())
    film = rows.loc["fusion.strategy=film"]
    assert (film["mean"], film["low"], film["high"]) == (estimate.mean, estimate.low, estimate.high)
    assert (film["seeds"], film["n_test"], film["params_trained"]) == ("0 1 2 3 4", 200, 472_000)
    assert rows.loc["mean_image", "mean"] == 0.231
    assert rows.loc["mean_image", ["low", "n_seeds"]].isna().all()
    assert table.loc[table["role"] == "secondary", "p_holm"].isna().all()


def test_table_has_what_training_took_and_how_it_went(write_study):
    def change(trial, row):
        return row | {"train/loss_variance": 1e-4 * (trial.seed + 1), "train/convergence_epoch": 2 + trial.seed}

    rows = primary(analysis.load(write_study(n_seeds=3, change_row=change)))
    columns = ["train_s", "peak_memory_mb", "convergence_epoch"]
    assert rows.loc["fusion.layers=2", columns].tolist() == [21.0, 900.0, 3.0]
    assert rows.loc["fusion.layers=2", "loss_variance"] == pytest.approx(2e-4)
    assert rows.loc["mean_image", [*columns, "loss_variance"]].isna().all()


def test_a_run_log_without_a_curves_summary_has_empty_cells(write_study):
    rows = primary(analysis.load(write_study(n_seeds=1)))
    assert rows[["loss_variance", "convergence_epoch"]].isna().all(axis=None)


def test_one_seed_has_no_interval(write_study):
    rows = primary(analysis.load(write_study(n_seeds=1)))
    arms = rows[rows["kind"] == "arm"]
    assert arms["mean"].notna().all()
    assert arms[["low", "high", "difference_low", "difference_high", "p", "p_holm"]].isna().all(axis=None)


def test_stopped_and_failed_trials_never_enter(reported):
    rows = primary(analysis.load(reported.study))
    assert rows.loc["fusion.queries=128", "seeds"] == "0 1 2 4"
    assert rows.loc["fusion.queries=128", "mean"] < 0.7
    assert rows.loc["fusion.layers=8", "pair_seeds"] == "0 1 2 3"


def test_no_frame_changes_when_a_stopped_trial_is_there(write_study):
    def stop(trial, row):
        is_it = trial.seed == 3 and trial.arm.name == "fusion.queries=128"
        return row | {"status": "stopped", "test/mask_iou": 0.99, "cost/train_s": 1e6} if is_it else row

    def drop(trial, row):
        return None if trial.seed == 3 and trial.arm.name == "fusion.queries=128" else row

    stopped, missing = (
        analysis.load(write_study(name, change_row=change)) for name, change in (("s", stop), ("m", drop))
    )
    assert "stopped" in set(stopped.data.trials["status"])
    for section in SECTIONS:
        pd.testing.assert_frame_equal(section.build(stopped), section.build(missing), obj=section.anchor)
    for frame in (Study.table, Study.verdicts, Study.breakdown, Study.shares, Study.heldout):
        pd.testing.assert_frame_equal(frame(stopped), frame(missing), obj=frame.__name__)


def test_imported_trials_enter_and_are_named(write_study):
    def change(trial, row):
        return row | {"provenance": "imported"} if trial.seed == 0 else row

    study = analysis.load(write_study(n_seeds=2, change_row=change))
    assert any(c.text == "15 of 30 complete trials were imported, not trained here." for c in study.cautions())
    assert primary(study).loc["baseline", "n_seeds"] == 2


def test_coverage(reported):
    coverage = analysis.load(reported.study).coverage()
    total = coverage[coverage["scope"] == "study"].iloc[0]
    counts = ["planned", "completed", "failed", "stopped", "missing"]
    assert total[counts].tolist() == [75, 72, 1, 1, 1]
    levels = coverage[coverage["scope"] == "level"].set_index(["factor", "level"])
    assert len(levels) == 20
    assert levels.loc[("fusion layers", "8"), counts].tolist() == [5, 4, 1, 0, 0]
    assert levels.loc[("VLM layer", "8"), counts].tolist() == [5, 4, 0, 0, 1]
    assert levels.loc[("fusion layers", "4"), "is_complete"]
    assert (coverage["scope"] == "arm").sum() == 15


def test_level_that_was_never_planned_is_incomplete(write_study):
    path = write_study(n_seeds=1)
    log = analysis.load(path).data.log
    sweep = log.read_sweep()
    sweep["space"]["factors"][1]["levels"].append(16)
    log.write_sweep(sweep)
    coverage = analysis.load(path).coverage()
    row = coverage[(coverage["factor"] == "fusion layers") & (coverage["level"] == "16")].iloc[0]
    assert (row["planned"], row["is_complete"]) == (0, False)


def test_factorial_levels_pool_their_arms(write_study):
    small = (replace(FACTORS[0], levels=("cross_attention", "concat")), replace(FACTORS[1], levels=(2, 4)))
    study = analysis.load(write_study(space=space(small, "factorial"), n_seeds=2))
    levels = study.coverage().query("scope == 'level'")
    assert levels["planned"].tolist() == [4, 4, 4, 4]
    assert "fusion.strategy=concat,fusion.layers=2" in study.verdicts()["name"].tolist()


def test_pareto_without_latency(write_study):
    front = analysis.load(write_study(with_latency=False, n_seeds=1)).pareto()
    assert set(front["objectives"]) == {"quality params_trained"}
    assert front["latency_ms"].isna().all()


def kinds(study):
    return {caution.kind for caution in study.cautions()}


def test_cautions_of_a_clean_study(complete_study):
    assert kinds(complete_study) == {"trivial"}  # concat is below the centred disc


def test_a_ceiling_is_a_row_of_its_own_and_not_one_that_an_arm_must_beat(write_study):
    path = write_study(n_seeds=1, change_row=lambda trial, row: row | {"baseline/vae_roundtrip/mask_iou": 0.9})
    study = analysis.load(path)
    ceiling = primary(study).loc["vae_roundtrip"]
    assert (ceiling["kind"], ceiling["mean"]) == ("ceiling", 0.9)
    assert study.table()["arm"].iloc[-1] == "vae_roundtrip"
    assert not any("vae_roundtrip" in caution.text for caution in study.cautions())


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
    last = {"baseline": (0.0, 0.03, 0.05), "fusion.layers=2": (0.0, 0.01, 0.9), "vlm.layer=8": (-0.3, -0.3, -0.3)}
    text = with_curves(write_study(n_seeds=3), last)["not_converged"]
    assert text.endswith("more than the margin of 0.02 between the last two epochs in baseline (by 0.0300).")


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


def test_trials_of_another_configuration_are_left_out(write_study):
    def change(trial, row):
        return row | {"config/scale": "full"} if trial.seed == 1 else row

    study = analysis.load(write_study(n_seeds=2, change_row=change))
    assert primary(study).loc["baseline", "n_seeds"] == 1
    assert any("15 trials with another scale" in caution.text for caution in study.cautions())


def test_factor_without_trials_keeps_its_place(write_study):
    def change(trial, row):
        return None if trial.arm.factor == "DINOv2 size" else row

    study = analysis.load(write_study(change_row=change, n_seeds=2))
    assert primary(study).loc["dinov2.size=B", "n_seeds"] == 0
    row = study.verdicts().set_index("name").loc["dinov2.size=B"]
    assert row["verdict"] == "no verdict (0 of 5 seeds)"


def test_space_of_one_factor(write_study):
    only = (Factor("fusion layers", "fusion.layers", (2, 4)),)
    assert len(analysis.load(write_study(space=space(only))).pareto()) == 2


def test_a_factor_of_something_that_the_baseline_does_without_has_the_baseline_as_its_first_level(write_study):
    instead = Factor("VLM layer", "vlm.layer", ("8", "final"), instead={"streams": "vlm"})
    small = SearchSpace(TrialConfig(streams="dinov2"), (Factor("DINOv2 size", "dinov2.size", ("B", "L")), instead))
    study = analysis.load(write_study(space=small, n_seeds=2))
    size, vlm = study.data.factors
    assert (size.levels, size.baseline_level) == (("B", "L"), "L")
    assert (vlm.levels, vlm.baseline_level) == (("baseline", "8", "final"), "baseline")
    # The VLM's last layer is an arm, though the baseline's config has the same value in a field that it does not read.
    assert [vlm.arm_at(level) for level in vlm.levels] == ["baseline", "vlm.layer=8", "vlm.layer=final"]
    table = study.table()
    arms = table[(table["role"] == "primary") & (table["kind"] == "arm")].set_index("arm")
    assert arms["n_seeds"].to_dict() == dict.fromkeys(
        ["baseline", "dinov2.size=B", "vlm.layer=8", "vlm.layer=final"], 2
    )
    assert arms.loc["vlm.layer=final", "factor"] == "VLM layer"
    values = level_values(study.data, vlm, "mask_iou")
    assert values.groupby("level")["seed"].count().tolist() == [2, 2, 2]
    coverage = study.coverage()
    own = coverage[(coverage["scope"] == "level") & (coverage["factor"] == "VLM layer")]
    assert own["completed"].tolist() == [2, 2, 2]
    assert not [caution for caution in study.cautions() if caution.kind == "foreign"]
