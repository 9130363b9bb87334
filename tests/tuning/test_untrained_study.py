"""A study that trains nothing, by its command: what it plans, and one trial of it in this process."""

import json

import pytest
from typer.testing import CliRunner

from foresight.claim import Claim
from foresight.config import DataConfig, FusionConfig, TimingConfig, TrialConfig
from foresight.runlog import RunLog
from foresight.space import Factor, SearchSpace
from foresight.tuning.launch import build_app
from foresight.tuning.record import Planned
from foresight.tuning.sweep import Sweep

CLAIM = Claim("A batch of two adds no overhead.", "latency_overhead", margin=0.05, alpha=0.05, seeds=2)


def space(scale: str) -> SearchSpace:
    baseline = TrialConfig(
        task="latency",
        data=DataConfig(image_px=56),
        fusion=FusionConfig(layers=1, queries=16),
        timing=TimingConfig(n_warmup=1, n_repeats=4),
    )
    return SearchSpace(baseline, (Factor("batch size", "timing.batch_size", (1, 2)),))


SWEEP = Sweep("untrained_study", "Does a batch matter?", space, CLAIM, seeds=2, alone=True)


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("foresight.tuning.begin.cluster_gpus", lambda: 0.0)
    return lambda *flags: CliRunner().invoke(build_app(SWEEP), ["--runs", str(tmp_path / "runs"), *flags])


def test_the_plan_has_no_data_and_a_cost_by_the_trial(command):
    plan = json.loads(command("--plan", "--json", "--scale", "tiny").stdout)
    assert (plan["is_trained"], plan["slots"], plan["features"]["n_entries"]) == (False, 1, 0)
    assert plan["cost"]["measuring_slot_s"]["expected"] == plan["cost"]["wall_s"]["expected"] == 4 * 2.0
    assert plan["cost"]["basis"] == "2 s a trial assumed, known to a factor of 5"
    shown = command("--plan", "--scale", "tiny").stdout
    assert "these trials train nothing and read no data set" in shown
    assert "training, " not in shown


def test_a_stopped_trial_that_is_looked_into_stays_what_it_is(command, tmp_path):
    trial, log = space("tiny").trials(2)[1], RunLog(tmp_path / "runs" / "untrained_study")
    log.write_trial(Planned(trial, "untrained_study", 1).identity() | {"status": "stopped"})
    ended = command("--one", trial.key, "--scale", "tiny")
    assert ended.exit_code == 0, ended.output
    assert "not recorded: the run log already holds this trial stopped" in ended.stdout
    assert log.statuses() == {trial.key: "stopped"}


def test_one_trial_is_a_row_without_epochs_and_the_next_plan_knows_how_long_it_took(command, tmp_path):
    trial = space("tiny").trials(2)[1]
    ended = command("--one", trial.key, "--scale", "tiny")
    assert ended.exit_code == 0, ended.output
    assert "test/latency_overhead" in ended.stdout
    log = RunLog(tmp_path / "runs" / "untrained_study")
    row = log.read_trial(trial.key)
    assert (row["status"], row["arm"], row["config/timing.batch_size"]) == ("complete", "timing.batch_size=2", 2)
    assert {path.name for path in (log.trials_dir / trial.key).iterdir()} == {
        "config.json", "samples.parquet", "trial.parquet"
    }  # fmt: skip
    assert len(log.read_samples(trial.key)) == 4
    assert not (tmp_path / "cache").exists() or not any((tmp_path / "cache").rglob("*.json"))
    cost = json.loads(command("--plan", "--json", "--scale", "tiny").stdout)["cost"]
    assert cost["measuring_slot_s"]["expected"] == pytest.approx(3 * row["cost/trial_s"])
    assert "as in 1 finished trials of this run log" in cost["basis"]


def test_data_cannot_be_chosen_where_none_is_read(command):
    refused = command("--data", "scenes", "--scale", "tiny")
    assert refused.exit_code == 2
    assert "task 'latency' does not read 'data.name'" in refused.stderr
