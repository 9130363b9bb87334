"""A run log that no table may be made from: exit code 2 and one sentence, before any figure is drawn."""

import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import analysis
from analysis.__main__ import app
from foresight.errors import RequestError
from foresight.runlog import RunLog


def refused(path) -> str:
    with pytest.raises(RequestError) as caught:
        analysis.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unknown_study_names_the_nearest(write_study):
    path = write_study(n_seeds=1)
    result = CliRunner().invoke(app, ["p2_ablation", "--runs", str(path.parent)])
    assert result.exit_code == 2
    assert "no study 'p2_ablation'" in result.stderr
    assert "did you mean 'p2_ablations'?" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["../runs/p2_ablations", "p2_ablations/", "/tmp", "..", ".", ""])
def test_a_path_is_no_study(write_study, tmp_path, name):
    path = write_study(n_seeds=1)
    out = tmp_path / "results"
    result = CliRunner().invoke(app, [name, "--runs", str(path.parent), "--out", str(out)])
    assert result.exit_code == 2
    assert f"'{name}' is not a study's name" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not out.exists()


def test_no_runs_at_all(tmp_path):
    assert "there is no folder" in refused(tmp_path / "runs" / "p2_ablations")


def test_empty_run_log(write_study):
    path = write_study(n_seeds=1, change_row=lambda trial, row: None)
    assert "empty run log" in refused(path)


def test_no_complete_trial(write_study):
    path = write_study(n_seeds=1, change_row=lambda trial, row: row | {"status": "failed"})
    assert "no complete trial (15 failed)" in refused(path)


@pytest.mark.parametrize("column", ["data/test_hash", "data/n_test"])
def test_different_test_images(write_study, column):
    other = {"data/test_hash": "0000", "data/n_test": 199}[column]

    def change(trial, row):
        return row | {column: other} if trial.arm.name == "dinov2.size=G" else row

    message = refused(write_study(n_seeds=1, change_row=change))
    assert "same test images" in message
    assert column in message


def test_unknown_test_images(write_study):
    path = write_study(n_seeds=1, change_row=lambda trial, row: {k: v for k, v in row.items() if k != "data/test_hash"})
    assert "does not record data/test_hash" in refused(path)


@pytest.mark.parametrize(
    ("column", "value"), [("test/ssim", 1.01), ("test/mse", -0.1), ("baseline/mean_image/mask_iou", 2.0)]
)
def test_metric_out_of_range_names_trial_and_metric(write_study, column, value):
    keys = []

    def change(trial, row):
        if trial.arm.name == "vlm.layer=8":
            keys.append(trial.key)
            return row | {column: value}
        return row

    message = refused(write_study(n_seeds=1, change_row=change))
    assert column in message
    assert keys[0] in message
    assert column.split("/")[-1] + "/v1" in message


def test_rounding_at_the_bound_is_in_range(write_study):
    analysis.load(write_study(n_seeds=1, change_row=lambda trial, row: row | {"test/ssim": 1.0000001}))


def test_two_trials_of_one_arm_and_seed(write_study):
    path = write_study(n_seeds=1)
    log = RunLog(path)
    row = log.trials().iloc[0].dropna().to_dict()
    log.write_trial(row | {"key": "imported-again", "seed": int(row["seed"])})
    assert "2 complete trials at seed 0" in refused(path)


@pytest.mark.parametrize(
    "file", ["sweep.json", "manifest.parquet", "latency/*", "trials/*/trial.parquet", "trials/*/epochs.parquet"]
)
def test_damaged_file_is_named(write_study, file):
    path = write_study(n_seeds=1, with_details=True)
    damaged = sorted(path.glob(file))[3 if "*" in file else 0]
    damaged.write_bytes(damaged.read_bytes()[:-20])
    result = CliRunner().invoke(app, [path.name, "--runs", str(path.parent)], catch_exceptions=False)
    assert result.exit_code == 2
    assert f"'{damaged}' cannot be read" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-20], lambda content: content[:40] + b"x" * 400 + content[440:]]
)
def test_damaged_derived_files_come_back(write_study, damage):
    path = write_study(n_seeds=1, with_details=True)
    expected = analysis.load(path)
    curves = expected.data.curves
    derived = sorted(path.glob("consolidated*.parquet"))
    assert len(derived) >= 3
    for file in derived:
        file.write_bytes(damage(file.read_bytes()))
    found = analysis.load(path)
    assert found.table().equals(expected.table())
    assert found.data.curves.equals(curves)
    assert found.data.samples.equals(expected.data.samples)
    assert [file for file in derived if pq.read_metadata(file).num_columns == 0] == []


def test_sweep_that_is_no_object(write_study):
    path = write_study(n_seeds=1)
    (path / "sweep.json").write_text("[]")
    assert "sweep.json' is damaged" in refused(path)


def test_claim_that_was_changed_after_the_run(write_study):
    path = write_study(n_seeds=1)
    sweep = json.loads((path / "sweep.json").read_text())
    sweep["claim"]["criteria"][0]["acceptable"] = 0.55
    (path / "sweep.json").write_text(json.dumps(sweep))
    assert "the claim in sweep.json was edited by hand: it hashes to" in refused(path)


def test_claim_with_a_part_missing(write_study):
    path = write_study(n_seeds=1)
    sweep = json.loads((path / "sweep.json").read_text())
    del sweep["claim"]["margin"]
    (path / "sweep.json").write_text(json.dumps(sweep))
    assert "lacks margin" in refused(path)


def test_primary_metric_that_no_trial_has(write_study):
    path = write_study(n_seeds=1, change_row=lambda trial, row: {k: v for k, v in row.items() if k != "test/mask_iou"})
    assert "primary metric 'mask_iou' is in no complete trial" in refused(path)
