"""The frames of a stored study: ablation table, coverage, Pareto front."""

from dataclasses import replace

import pandas as pd
import pytest
from study_writer import FACTORS, space

import analysis
from analysis import Study
from analysis.figure_factor import level_values
from analysis.sections import SECTIONS
from foresight.compare import compute_estimate
from foresight.config import TrialConfig
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


def test_a_ceiling_is_a_row_of_its_own_and_not_one_that_an_arm_must_beat(write_study):
    path = write_study(n_seeds=1, change_row=lambda trial, row: row | {"baseline/vae_roundtrip/mask_iou": 0.9})
    study = analysis.load(path)
    ceiling = primary(study).loc["vae_roundtrip"]
    assert (ceiling["kind"], ceiling["mean"]) == ("ceiling", 0.9)
    assert study.table()["arm"].iloc[-1] == "vae_roundtrip"
    assert not any("vae_roundtrip" in caution.text for caution in study.cautions())


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
