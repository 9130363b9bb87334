"""The run log: what is written is what is read, and a trial exists if and only if its last file does."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from written_trial import EPOCHS, FILES, ROW, SAMPLES, visible_files, write_whole

import foresight.runlog
from foresight.config import TrialConfig
from foresight.runlog import (
    OPEN_PREFIXES,
    SCHEMA_VERSION,
    TRIAL_COLUMNS,
    RunLog,
    check_row,
    config_columns,
)


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "runs" / "study")


# --- what is written is what is read -------------------------------------------------------------------------------


def test_a_trial_comes_back_as_it_was_written(log):
    write_whole(log, **{"test/mask_iou": 0.75, "cost/params_total": 10, "config/train.lr": 0.003})
    row = log.read_trial(ROW["key"])
    assert row["test/mask_iou"] == 0.75
    assert row["cost/params_total"] == 10
    assert (row["status"], row["error"], row["attempt"], row["schema_version"]) == ("complete", None, 1, SCHEMA_VERSION)
    assert log.read_epochs(ROW["key"]).to_dict("records") == EPOCHS
    pd.testing.assert_frame_equal(log.read_samples(ROW["key"]), SAMPLES, check_dtype=False)
    assert visible_files(log.trials_dir / ROW["key"]) == set(FILES)
    assert log.trials().dropna(axis="columns").to_dict("records") == [{k: v for k, v in row.items() if v is not None}]


def test_an_empty_run_log_reads_as_empty(log):
    assert log.read_sweep() is None
    assert log.statuses() == {}
    for table in (log.trials(), log.read_manifest(), log.read_epochs("x"), log.read_samples("x"), log.read_latency()):
        assert len(table) == 0


def test_every_fixed_column_is_there_with_its_type_even_when_nothing_was_measured(log):
    log.write_trial(ROW)
    trials = log.trials()
    assert set(TRIAL_COLUMNS) <= set(trials.columns)
    assert trials["cost/latency_ms"].dtype == trials["cost/params_total"].dtype == np.float64  # missing is NaN
    assert np.isnan(trials["cost/latency_ms"][0])
    assert trials["seed"].dtype == trials["attempt"].dtype == np.int64


def test_numpy_scalars_survive(log):
    values = {"test/mask_iou": np.float64(0.1), "test/ssim": np.float32(0.5), "data/n_test": np.int64(3)}
    write_whole(log, seed=np.int64(7), **values, **{"env/deterministic": np.bool_(True)})
    row = log.read_trial(ROW["key"])
    assert (row["test/mask_iou"], row["test/ssim"], row["data/n_test"], row["seed"]) == (0.1, 0.5, 3, 7)
    assert row["env/deterministic"] is True
    log.write_trial(ROW | {"key": "other"}, epochs=[{"epoch": np.int64(1), "val/mask_iou": np.float64(0.1)}])
    assert log.read_epochs("other").to_dict("records") == [{"epoch": 1, "val/mask_iou": 0.1}]
    log.write_latency("arm", {"latency_ms": np.float64(1.5), "warm": np.bool_(False)})
    assert log.read_latency().to_dict("records") == [{"arm_key": "arm", "latency_ms": 1.5, "warm": False}]


def test_not_a_number_stays_one_and_does_not_become_missing_text(log):
    log.write_trial(ROW | {"test/mask_iou": float("nan")})
    assert np.isnan(log.read_trial(ROW["key"])["test/mask_iou"])


def test_latency_rows_of_arms_with_different_columns_are_read_together(log):
    log.write_latency("b", {"latency_ms": 2.0})
    log.write_latency("a", {"latency_ms": 1.0, "device": "cpu"})
    log.write_latency("b", {"latency_ms": 3.0})
    assert log.read_latency()["latency_ms"].tolist() == [1.0, 3.0]


# --- a trial exists if and only if trial.parquet does ---------------------------------------------------------------


def test_an_unfinished_trial_is_invisible(log):
    write_whole(log)
    write_whole(log, key="running")
    (log.trials_dir / "running" / "trial.parquet").unlink()
    assert log.statuses() == {ROW["key"]: "complete"}


def test_a_retry_replaces_the_trial_and_the_consolidated_table_follows(log):
    log.write_trial(ROW | {"status": "failed", "error": "died", "attempt": 1})
    assert log.statuses() == {ROW["key"]: "failed"}
    write_whole(log, attempt=2)
    assert log.trials()[["status", "attempt"]].values.tolist() == [["complete", 2]]
    assert log.trials()["error"].isna().all()
    assert len(log.read_samples(ROW["key"])) == 2


def test_a_retry_that_fails_leaves_nothing_of_the_attempt_before(log):
    write_whole(log, **{"test/mask_iou": 0.9})
    log.write_trial(ROW | {"status": "failed", "error": "died", "attempt": 2}, config={"seed": 0})
    assert visible_files(log.trials_dir / ROW["key"]) == {"config.json", "trial.parquet"}
    assert log.read_samples(ROW["key"]).empty
    assert "test/mask_iou" not in log.trials().dropna(axis="columns").columns


def test_deleting_the_only_trial_leaves_an_empty_table(log):
    write_whole(log)
    log.trials()
    (log.trials_dir / ROW["key"] / "trial.parquet").unlink()
    assert log.trials().empty
    assert log.statuses() == {}


def test_trials_come_in_the_order_of_their_keys(log):
    for key in ("b", "c"):
        write_whole(log, key=key)
        log.trials()
    write_whole(log, key="a")
    assert log.trials()["key"].tolist() == ["a", "b", "c"]


def test_a_deleted_trial_leaves_the_consolidated_table(log):
    write_whole(log)
    write_whole(log, key="b")
    assert len(log.trials()) == 2
    (log.trials_dir / "b" / "trial.parquet").unlink()
    assert log.statuses() == {ROW["key"]: "complete"}


def test_deleting_the_consolidated_table_changes_nothing(log):
    for i in range(5):
        write_whole(log, key=f"k{i}", seed=i, **{f"test/metric_{i % 2}": float(i)})
    log.write_trial(ROW | {"key": "k5", "status": "failed", "error": "died"})
    log.trials()
    write_whole(log, key="k6", **{"env/new_column": "late"})
    grown = log.trials()  # six rows of the consolidated file, and one fresh
    (log.root / "consolidated.parquet").unlink()
    rebuilt = log.trials()
    pd.testing.assert_frame_equal(grown, rebuilt, check_like=True)
    pd.testing.assert_frame_equal(rebuilt, log.trials())


def test_reading_twice_reads_no_trial_file_again(log, monkeypatch):
    write_whole(log)
    first = log.trials()
    monkeypatch.setattr(pq, "ParquetFile", lambda path: pytest.fail(f"{path} read again"))
    pd.testing.assert_frame_equal(log.trials(), first)
    write_whole(log, key="b")
    with pytest.raises(pytest.fail.Exception, match=r"b/trial\.parquet read again"):
        log.trials()


def test_a_row_that_several_ask_for_is_read_once_and_anew_when_it_was_replaced(log, monkeypatch):
    write_whole(log)
    assert log.read_trial(ROW["key"]) == log.read_trial(ROW["key"])
    read, seen = foresight.runlog.read_whole, []
    monkeypatch.setattr("foresight.runlog.read_whole", lambda path: seen.append(path) or read(path))
    log.read_trial(ROW["key"])["attempt"] = 9  # whose own copy it is
    assert (log.read_trial(ROW["key"])["attempt"], seen) == (1, [])
    log.write_trial(ROW | {"attempt": 2})
    assert log.read_trial(ROW["key"])["attempt"] == 2
    assert len(seen) == 1


def test_a_run_log_that_may_not_be_written_can_be_read(log, monkeypatch):
    write_whole(log)
    monkeypatch.setattr("foresight.runlog.os.access", lambda path, mode: False)
    assert log.statuses() == {ROW["key"]: "complete"}
    assert not (log.root / "consolidated.parquet").exists()


def test_rows_written_by_hand_need_no_column_beyond_the_required(log):
    (log.trials_dir / "mine").mkdir(parents=True)
    names = ("key", "sweep", "arm", "seed", "status", "provenance")
    row = {name: ROW[name] for name in names} | {"key": "mine", "provenance": "imported", "test/mask_iou": 0.5}
    pd.DataFrame([row]).to_parquet(log.trials_dir / "mine" / "trial.parquet")
    write_whole(log)
    assert log.statuses() == {"mine": "complete", ROW["key"]: "complete"}


# --- what may not be stored ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mask_iou", "Test/mask_iou", "cost/watts", "test"])
def test_an_unknown_column_is_refused(log, name):
    with pytest.raises(ValueError, match=f"unknown columns .*{name}"):
        log.write_trial(ROW | {name: 1.0})
    assert not log.root.exists()


@pytest.mark.parametrize("prefix", OPEN_PREFIXES)
def test_an_open_column_is_accepted(prefix):
    check_row(ROW | {f"{prefix}anything": 1.0})


@pytest.mark.parametrize("name", ["key", "sweep", "arm", "seed", "status", "provenance"])
def test_a_row_without_a_required_column_is_refused(name):
    with pytest.raises(ValueError, match=name):
        check_row({column: value for column, value in ROW.items() if column != name})


@pytest.mark.parametrize("column", ["status", "provenance"])
def test_a_status_or_provenance_that_is_not_one_is_refused(column):
    with pytest.raises(ValueError, match=column):
        check_row(ROW | {column: "done"})


@pytest.mark.parametrize(
    "part",
    [
        {"config": {"path": Path("x")}},
        {"config": {"flag": np.bool_(True)}},
        {"config": {"lr": float("nan")}},
        {"epochs": [{"epoch": object()}]},
        {"samples": pd.DataFrame({"x": [object()]})},
        {"row": {"test/mask_iou": object()}},
        {"row": {"seed": "zero"}},
    ],
    ids=["path", "numpy bool", "nan", "epoch", "sample", "metric", "seed"],
)
def test_what_cannot_be_serialised_raises_before_anything_is_published(log, part):
    whole = {"config": {"seed": 0}, "epochs": EPOCHS, "samples": SAMPLES, "pictures": {"examples": b"png"}}
    row = ROW | part.pop("row", {})
    with pytest.raises((TypeError, ValueError)):
        log.write_trial(row, **whole | part)
    assert not log.root.exists()


@pytest.mark.parametrize("tree", [{"flag": np.bool_(True)}, {"x": float("inf")}])
def test_a_sweep_that_cannot_be_serialised_leaves_the_old_one(log, tree):
    log.write_sweep({"study": "study"})
    with pytest.raises((TypeError, ValueError)):
        log.write_sweep(tree)
    assert log.read_sweep() == {"study": "study"}


# --- the manifest ----------------------------------------------------------------------------------------------------


def manifest_rows(*keys: str, **columns) -> list[dict]:
    return [{"key": key, "arm": f"arm {key}", "seed": 0, **columns} for key in keys]


def test_planning_more_keeps_the_rows_of_before(log):
    log.write_manifest(manifest_rows("a", "b"))
    log.write_manifest(manifest_rows("b", "c", arm="another name", **{"config/new": 1.0}))
    manifest = log.read_manifest()
    assert manifest["key"].tolist() == ["a", "b", "c"]
    assert manifest["arm"].tolist() == ["arm a", "arm b", "another name"]
    assert manifest["config/new"].isna().tolist() == [True, True, False]


def test_planning_less_drops_no_row(log):
    log.write_manifest(manifest_rows("a", "b"))
    log.write_manifest(manifest_rows("a"))
    assert log.read_manifest()["key"].tolist() == ["a", "b"]


def test_planning_the_same_again_writes_nothing(log, monkeypatch):
    log.write_manifest(manifest_rows("a"))
    monkeypatch.setattr(os, "replace", lambda *a: pytest.fail("written again"))
    log.write_manifest(manifest_rows("a"))


def test_a_field_that_is_none_in_some_trials_can_be_stored_and_merged(log):
    configs = [TrialConfig(), TrialConfig().with_fields({"fusion.heads": 8})]
    for i, config in enumerate(configs):
        log.write_trial(ROW | {"key": f"k{i}"} | config_columns(config.flat()))
        log.trials()
        log.write_manifest([{"key": f"k{i}", **config_columns(config.flat())}])
    for table in (log.trials(), log.read_manifest()):
        heads = table.set_index("key")["config/fusion.heads"]
        assert np.isnan(heads["k0"])
        assert heads["k1"] == 8
