"""Metrics relative to a reference arm: derived by seed, judged, tabulated, and doubted in words."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from study_writer import CLAIM, space
from typer.testing import CliRunner

import analysis
from analysis.__main__ import app
from analysis.relative import FORMULAS, add_relative_metrics, efficiency_by_seed
from foresight.claim import Criterion
from foresight.errors import RequestError
from foresight.metrics import METRICS, RELATIVE_METRICS
from foresight.space import Factor

SMALL, LARGE = "fusion.layers=2", "baseline"
SPACE = space((Factor("size", "fusion.layers", (2, 4)),))
# What the original study published for its small and its large adapter, and the efficiency it made of them.
PUBLISHED_SMALL, PUBLISHED_LARGE, PUBLISHED = 0.2892096420377493, 0.34633945117394127, 1.1649532241924696
CRITERIA = (Criterion("param_efficiency", 0.90, 0.85, 0.80), Criterion("mask_iou", 0.75, 0.70, 0.65))
RELATIVE = replace(CLAIM, reference=LARGE, judged=("fusion.layers=20", SMALL), criteria=CRITERIA)


def of_sizes(small: dict, large: dict):
    """Rows with the columns of their size; LPIPS as published unless said otherwise."""

    def change(trial, row):
        mine = small if trial.arm.name == SMALL else large
        lpips = PUBLISHED_SMALL if trial.arm.name == SMALL else PUBLISHED_LARGE
        return {name: value for name, value in row.items() if "lpips" not in name} | {"test/lpips": lpips} | mine

    return change


def study_of(write_study, small=(), large=(), claim=RELATIVE, **fields):
    return analysis.load(write_study(space=SPACE, claim=claim, change_row=of_sizes(dict(small), dict(large)), **fields))


def test_every_relative_metric_has_a_formula_and_a_column():
    assert set(FORMULAS) == set(RELATIVE_METRICS)
    assert all(METRICS[name].compares for name in RELATIVE_METRICS)


def test_the_published_numbers():
    rows = pd.DataFrame({"arm": ["small", "large"], "seed": [3, 3], "test/lpips": [PUBLISHED_SMALL, PUBLISHED_LARGE]})
    rows["data/test_hash"] = "ab12"
    derived = add_relative_metrics(rows.assign(**{"cost/train_s": [20.0, 80.0]}), "large").set_index("arm")
    assert derived.loc["small", "test/param_efficiency"] == pytest.approx(PUBLISHED, abs=1e-12)
    assert derived.loc["small", "test/training_time_ratio"] == 0.25
    assert derived.loc["large", ["test/param_efficiency", "test/training_time_ratio"]].isna().all()
    assert "test/param_efficiency_random_trunk" not in derived


def test_each_seed_is_set_against_its_own_reference():
    rows = pd.DataFrame(
        {
            "arm": ["large", "small", "large", "small", "small", "large", "small"],
            "seed": [0, 0, 1, 1, 2, 3, 3],
            "test/lpips": [0.4, 0.2, 0.2, 0.3, 0.1, 0.0, 0.1],
            "data/test_hash": "ab12",
        }
    )
    derived = add_relative_metrics(rows, "large")
    efficiency = derived[derived["arm"] == "small"].set_index("seed")["test/param_efficiency"]
    assert efficiency[[0, 1]].tolist() == pytest.approx([1.5, 0.5])
    assert efficiency[[2, 3]].isna().all()  # no reference at seed 2; at seed 3 one without any distance


@pytest.mark.parametrize("hashes", [("ab12", "cd34"), ("ab12", None), (None, "ab12")])
def test_what_was_scored_on_other_or_unknown_test_images_is_no_partner(hashes):
    rows = pd.DataFrame({"arm": ["small", "large"], "seed": [3, 3], "test/lpips": [0.2, 0.4]})
    rows["data/test_hash"] = hashes
    assert add_relative_metrics(rows, "large")["test/param_efficiency"].isna().all()
    assert efficiency_by_seed(rows, "small", "large", "test/lpips").empty


def test_published_numbers_that_name_no_test_images_are_paired_with_each_other():
    rows = pd.DataFrame({"arm": ["small", "large"], "seed": [3, 3], "test/lpips": [0.2, 0.4], "data/test_hash": None})
    assert add_relative_metrics(rows, "large")["test/param_efficiency"].tolist()[0] == 1.5
    assert efficiency_by_seed(rows, "small", "large", "test/lpips").tolist() == [1.5]


def test_without_a_reference_nothing_is_derived(write_study):
    study = analysis.load(write_study(n_seeds=1))
    assert not set(study.data.metrics) & set(RELATIVE_METRICS)
    assert set(study.param_efficiency()["basis"]) == {"capacity"}  # the sizes of the fusion, each against each


def test_the_reference_cannot_meet_a_criterion_and_the_judged_arm_can(write_study):
    study = study_of(write_study)
    table = study.table().query("metric == 'param_efficiency'").set_index("arm")
    assert table.loc[LARGE, "n_seeds"] == 0
    assert np.isnan(table.loc[LARGE, "mean"])
    criteria = study.verdicts().query("kind == 'criterion'").set_index("metric")
    assert criteria["name"].tolist() == [SMALL, SMALL]
    assert criteria.loc["param_efficiency", ["verdict", "band", "n_seeds"]].tolist() == ["met", "target", 5]
    assert criteria.loc["param_efficiency", "estimate"] == pytest.approx(PUBLISHED, abs=1e-12)
    assert f"{SMALL} has 1.165" in criteria.loc["param_efficiency", "sentence"]
    assert criteria.loc["mask_iou", "verdict"] == "not met"
    assert "no_value" not in {caution.kind for caution in study.cautions()}


def test_an_arm_that_repeats_its_reference_is_still_found_out(write_study):
    same = {
        "test/mask_iou": 0.6,
        "test/box_iou": 0.5,
        "test/ssim": 0.5,
        "test/psnr": 20.0,
        "test/mse": 0.01,
        "test/lpips": 0.3,
    }
    kinds = {caution.kind for caution in study_of(write_study, same, same).cautions()}
    assert "inert" in kinds
    assert "no_value" not in kinds


def test_the_table_of_efficiency_and_its_warnings(write_study):
    small = {"cost/params_trained": 8_109_952, "cost/budget_params": 10_000_000, "train/converged": 1}
    large = {"cost/params_trained": 98_000_000, "cost/budget_params": 100_000_000, "train/converged": 0}
    frame = study_of(write_study, small, large).param_efficiency()
    assert len(frame) == 1
    row = frame.iloc[0]
    assert row[["arm", "metric", "reference"]].tolist() == [SMALL, "param_efficiency", LARGE]
    assert row[["params_trained", "reference_params", "n_seeds", "seeds"]].tolist() == [
        8_109_952, 98_000_000, 5, "0 1 2 3 4",
    ]  # fmt: skip
    assert row[["efficiency", "low", "high"]].tolist() == pytest.approx([PUBLISHED] * 3, abs=1e-12)
    iou = study_of(write_study, small, large, name="again").table().query("metric == 'mask_iou' and arm == @SMALL")
    assert row["warnings"] == (
        "Efficiency 1.165 is above 1 although the reference is the larger (98 M parameters against 8.11 M): "
        "the reference may be under-trained. "
        "The reference baseline had not converged in 5 of 5 trials. "
        "fusion.layers=2 has 8.11 M trained parameters, 19 % fewer than its label of 10 M. "
        f"The ratio passes and mask IoU {iou['mean'].iloc[0]:.3f} does not: at least 0.7 is acceptable."
    )


def test_a_sound_comparison_has_no_warning(write_study):
    small = {
        "test/lpips": 0.35,
        "test/mask_iou": 0.8,
        "cost/budget_params": 10_000_000,
        "cost/params_trained": 9_800_000,
    }
    frame = study_of(write_study, small, {"train/converged": 1}).param_efficiency()
    assert frame["warnings"].tolist() == [""]
    assert frame["efficiency"].iloc[0] == pytest.approx(1 - (0.35 - PUBLISHED_LARGE) / PUBLISHED_LARGE)


def test_a_ratio_that_fails_needs_no_warning_of_the_absolute_criteria(write_study):
    frame = study_of(write_study, {"test/lpips": 0.9}, {"train/converged": 1}).param_efficiency()
    assert frame["efficiency"].iloc[0] < 0
    assert frame["warnings"].tolist() == [""]


def test_the_command_writes_table_and_warnings_and_removes_them_again(write_study, tmp_path):
    fields = {"space": SPACE, "change_row": of_sizes({}, {}), "n_seeds": 2, "with_latency": False}
    path = write_study("c2", claim=RELATIVE, **fields)
    command = ["c2", "--runs", str(path.parent), "--out", str(tmp_path / "results")]
    shown = CliRunner().invoke(app, command, catch_exceptions=False)
    written = pd.read_csv(tmp_path / "results" / "c2" / "param_efficiency.csv")
    assert written["efficiency"].tolist() == pytest.approx([PUBLISHED], abs=1e-12)
    html = (tmp_path / "results" / "c2" / "report.html").read_text()
    assert ">Parameter efficiency</h2>" in html
    assert written["warnings"].iloc[0] in html.replace("&#39;", "'")
    assert "under-trained" in " ".join(shown.output.split())
    one_size = of_sizes(*[{"cost/params_trained": 100_000}] * 2)  # and so no pair of sizes either
    fields |= {"change_row": one_size, "claim": replace(RELATIVE, reference="", judged=(), criteria=())}
    write_study("c2", **fields)
    CliRunner().invoke(app, command, catch_exceptions=False)
    assert not (tmp_path / "results" / "c2" / "param_efficiency.csv").exists()
    assert ">Parameter efficiency</h2>" not in (tmp_path / "results" / "c2" / "report.html").read_text()


def test_a_reference_that_is_no_arm_is_refused(write_study):
    with pytest.raises(RequestError, match=r"reference 'fusion.layers=3' is no arm of the study \(did you mean"):
        study_of(write_study, claim=replace(RELATIVE, reference="fusion.layers=3"), n_seeds=1)


# --- ratios that somebody wrote ------------------------------------------------------------------------------------


@pytest.mark.parametrize("provenance", ["trained", "imported"])
@pytest.mark.parametrize(("on", "column"), [("", "test/"), ("clips", "heldout/clips/")])
def test_a_ratio_that_was_written_and_cannot_be_computed_is_not_measured(write_study, provenance, on, column):
    """The original's plots had bars that no run stood behind (pitfall 26)."""
    criteria = (Criterion("param_efficiency", 0.90, 0.85, 0.80, on=on), CRITERIA[1])

    def change(trial, row):
        written = {f"{column}param_efficiency": PUBLISHED + trial.seed / 1000, "provenance": provenance}
        further = {"heldout/clips/n": 6, "heldout/clips/hash": "ab12"} if on else {}
        return {name: value for name, value in row.items() if "lpips" not in name} | written | further

    study = analysis.load(write_study(space=SPACE, claim=replace(RELATIVE, criteria=criteria), change_row=change))
    criterion = study.verdicts().query("metric == 'param_efficiency'").iloc[0]
    assert (criterion["verdict"], criterion["n_seeds"]) == ("not measured", 0)
    assert f"param_efficiency was not measured of {SMALL}" in criterion["sentence"]
    assert "param_efficiency" not in set(study.table()["metric"]) | set(study.heldout()["metric"])
    (text,) = (caution.text for caution in study.cautions() if caution.kind == "written_ratio")
    assert text == (
        f"{column}param_efficiency stands in 10 complete trials and is not read: a ratio counts only as computed here, from "
        "test/lpips of the arm and of the claim's reference."
    )


def test_a_ratio_that_was_written_beside_its_source_is_computed_anew(write_study):
    study = study_of(write_study, {"test/param_efficiency": 1.9}, {"test/param_efficiency": 1.9})
    table = study.table().query("metric == 'param_efficiency'").set_index("arm")
    assert table.loc[SMALL, "mean"] == pytest.approx(PUBLISHED, abs=1e-12)
    assert table.loc[LARGE, "n_seeds"] == 0
    assert "written_ratio" in {caution.kind for caution in study.cautions()}


def test_a_ratio_that_was_written_where_the_claim_names_no_reference(write_study):
    claim = replace(RELATIVE, reference="", judged=(), criteria=())
    study = study_of(write_study, {"test/param_efficiency": 1.9}, {"test/param_efficiency": 1.9}, claim=claim)
    assert "param_efficiency" not in study.data.metrics
