"""`--plan --probe`: two arms are timed for real, nothing is recorded, and trials on record make it unnecessary."""

import contextlib
import json
from types import SimpleNamespace

import pytest
import small_study
from ray import exceptions
from rich.console import Console
from typer.testing import CliRunner

from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.space import Arm, Trial
from foresight.tuning import probe_speed
from foresight.tuning.launch import build_app
from foresight.tuning.past_trials import compute_work
from foresight.tuning.probe_speed import TRAINING_IMAGES, probe_arms
from foresight.tuning.record import Planned
from foresight.tuning.sweep import Placement
from foresight.tuning.within_budget import measure_sizes
from search_spaces import p2_end_to_end, p2_latency

SWEEP = small_study.SWEEP


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("foresight.tuning.begin.cluster_gpus", lambda: 0.0)

    def run(*flags: str):
        arguments = ["--scale", "tiny", "--runs", str(tmp_path / "runs"), "--plan", "--json", *flags]
        return CliRunner().invoke(build_app(SWEEP), arguments)

    return run


@pytest.mark.timeout(300)
def test_it_times_the_cheapest_and_the_dearest_arm_and_records_nothing(plan, tmp_path):
    result = plan("--probe")
    assert result.exit_code == 0, result.output
    cost = json.loads(result.stdout)["cost"]
    assert cost["basis"] == "by a short probe of the cheapest and the dearest arm, one at a time"
    assert 0 < cost["training_slot_s"]["low"] < cost["training_slot_s"]["expected"] < cost["training_slot_s"]["high"]
    trials = SWEEP.space("tiny").trials(1)
    sizes = measure_sizes(trials, tmp_path / "sizes")
    by_cost = sorted(trials, key=lambda trial: compute_work(trial.config, sizes[trial.arm.name]["flops"]))
    assert f"how fast {by_cost[0].arm.name} and {by_cost[-1].arm.name} train; nothing is recorded" in result.stderr
    assert not (tmp_path / "runs").exists()
    # What was counted of the models is kept for the next plan; features there are none.
    assert {path.name.partition("-")[0] for path in (tmp_path / "cache").iterdir()} == {"sizes"}


def test_where_trials_are_on_record_nothing_is_probed(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(probe_speed, "_time_trial", lambda *a: pytest.fail("it was probed"))
    trial = SWEEP.space("tiny").trials(1)[0]
    row = Planned(trial, SWEEP.name, attempt=1).identity() | {"status": "complete", "cost/trial_s": 3.0}
    RunLog(tmp_path / "runs" / SWEEP.name).write_trial(row | {"cost/flops": 1e6, "train/epochs_run": 2})
    cost = json.loads(plan("--probe").stdout)["cost"]
    assert "as in 1 finished trials of this run log" in cost["basis"]


@pytest.mark.timeout(300)
def test_a_long_trial_is_a_multiple_of_what_was_timed(tmp_path, monkeypatch):
    """By hand: 1 s to build, epochs of 2 s over 64 of 128 images, 3 s to evaluate 8 images."""
    monkeypatch.setattr(probe_speed, "_run", lambda trial: (1 + 4 + 3, 2.0, 4.0, 3.0))
    config = SWEEP.space("tiny").baseline.with_fields({"data.n_train": 2 * TRAINING_IMAGES, "train.epochs": 5})
    trial = Trial(Arm("baseline", "", "", config), config)
    found = probe_arms([trial], Placement(runs=tmp_path, slots=1, cache=tmp_path), Console(quiet=True))
    assert found["seconds"].tolist() == [1 + 5 * 2 * 2 + 3]


@pytest.mark.timeout(300)
def test_a_trial_that_trains_nothing_is_run_whole(tmp_path):
    baseline = p2_latency.space("tiny").baseline.with_fields({"timing.n_warmup": 1, "timing.n_repeats": 4})
    arms = [Arm(name, "", "", baseline) for name in ("baseline", "other")]
    trials = [Trial(arm, arm.config) for arm in arms]
    found = probe_arms(trials, Placement(runs=tmp_path, slots=1, cache=tmp_path), Console(quiet=True))
    assert found["work"].tolist() == [1.0, 1.0]
    assert (found["seconds"] > 0).all()


def test_what_starts_from_another_model_is_refused(tmp_path):
    baseline = p2_end_to_end.space("tiny").baseline
    trial = Trial(Arm("baseline", "", "", baseline), baseline)
    with pytest.raises(RequestError, match="so it cannot be probed on a part of it; leave --probe out"):
        probe_arms([trial], Placement(runs=tmp_path, slots=1, cache=tmp_path), Console(quiet=True))


def test_in_a_cluster_the_probe_runs_where_trials_do(tmp_path, monkeypatch):
    asked = []

    def remote(**options):
        asked.append(options)
        return lambda function: SimpleNamespace(remote=lambda *given: lambda: function(*given))

    cluster = SimpleNamespace(exceptions=exceptions, remote=remote, get=lambda task: task())
    monkeypatch.setattr(probe_speed, "in_cluster", lambda: True)
    monkeypatch.setattr(probe_speed, "running_ray", lambda cores: contextlib.nullcontext(cluster))
    monkeypatch.setattr(probe_speed, "_time_trial", lambda config, placement, cache: 3.0)
    trial = SWEEP.space("tiny").trials(1)[0]
    placement = Placement(runs=tmp_path, slots=1, cache=tmp_path, gpus=1.0, workers=8)
    assert probe_arms([trial], placement, Console(quiet=True))["seconds"].tolist() == [3.0]
    assert [options["num_gpus"] for options in asked] == [1.0]


def test_a_probe_that_fails_says_which_arm(plan, monkeypatch):
    def fails(*a: object) -> float:
        raise MemoryError("no room")

    monkeypatch.setattr(probe_speed, "_time_trial", fails)
    result = plan("--probe")
    assert result.exit_code == 1
    assert "the probe of '" in result.stderr
    assert "MemoryError: no room" in result.stderr
