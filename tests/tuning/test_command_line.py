"""The command of a study, in this process: what `--plan` shows, and how data is chosen."""

import json
from dataclasses import replace

import pytest
from command_line import C2, PROBE, SWEEP
from typer.testing import CliRunner

from foresight.runlog import RunLog
from foresight.tuning.launch import build_app
from foresight.tuning.record import Planned

pytestmark = pytest.mark.usefixtures("nothing_starts")


def test_plan_shows_trials_coverage_parameters_and_cost_and_writes_nothing(command, tmp_path):
    result = command("--plan")
    assert result.exit_code == 0
    assert "6 trials = 3 arms x 2 seeds [0, 1] (one at a time): 6 pending" in result.stdout
    for text in (SWEEP.question, "fusion.layers", "fusion.queries", "0 of 2", "trained parameters", "estimate: about"):
        assert text in result.stdout
    assert result.stderr == ""
    assert not (tmp_path / "runs").exists()


def test_plan_as_json_is_json_alone_on_stdout(command):
    result = command("--plan", "--json", "--seeds", "3")
    assert result.exit_code == 0
    plan = json.loads(result.stdout)
    assert (plan["study"], plan["scale"], plan["n_arms"], plan["n_trials"]) == ("small_study", "tiny", 3, 9)
    assert plan["seeds"] == [0, 1, 2]
    assert plan["status"] == {"pending": 9}
    assert plan["features"]["n_cached"] == 0
    assert {arm["arm_key"] for arm in plan["arms"]} == {a.config.arm_key for a in SWEEP.space("tiny").arms()}
    assert 0 < plan["params_trained"]["least"] < plan["params_trained"]["most"]


def test_plan_counts_what_the_run_log_holds(command, tmp_path):
    log = RunLog(tmp_path / "runs" / "small_study")
    first, second, *_ = SWEEP.space("tiny").trials(2)
    for trial, status in ((first, "complete"), (second, "failed")):
        identity = Planned(trial, "small_study", attempt=1).identity()
        log.write_trial(identity | {"status": status, "cost/flops": 1e6, "cost/train_s": 2.0, "cost/trial_s": 3.0})
    plan = json.loads(command("--plan", "--json").stdout)
    assert plan["status"] == {"complete": 1, "failed": 1, "pending": 4}
    assert plan["factors"][0]["coverage"] == {"1": "1 of 4", "2": "0 of 2"}


def test_plan_shows_what_all_levels_set_and_counts_their_own_trials_only(command):
    result = command("--plan", sweep=PROBE)
    assert "at streams=vlm" in result.stdout
    plan = json.loads(command("--plan", "--json", "--seeds", "2", sweep=PROBE).stdout)
    factor = plan["factors"][-1]
    assert factor["instead"] == {"streams": "vlm"}
    assert factor["coverage"] == dict.fromkeys(factor["levels"], "0 of 2")


def test_plan_with_a_limit_shows_what_would_be_run(command):
    plan = json.loads(command("--plan", "--json", "--limit", "2").stdout)
    assert (plan["n_trials"], plan["n_whole"], plan["n_arms"], plan["seeds"]) == (2, 6, 2, [0])
    assert [trial["key"] for trial in plan["trials"]] == [t.key for t in SWEEP.space("tiny").trials(2)[:2]]
    assert plan["factors"][1]["coverage"] == {"16": "0 of 2"}
    whole = json.loads(command("--plan", "--json").stdout)
    assert 0 < plan["cost"]["training_slot_s"]["expected"] < whole["cost"]["training_slot_s"]["expected"]
    assert "the first 2 of 6 trials, of 2 arms x 1 seeds [0]" in command("--plan", "--limit", "2").stdout
    assert "6 trials = 3 arms x 2 seeds" in command("--plan", "--limit", "9").stdout


def test_brackets_in_names_are_shown_as_they_are(command, tmp_path, monkeypatch):
    asked = replace(SWEEP, question="Is [bold] a [red]colour[/red]?")
    assert "Is [bold] a [red]colour[/red]?" in command("--plan", sweep=asked).stdout
    monkeypatch.chdir(tmp_path)
    log = RunLog(tmp_path / "[red]runs" / "small_study")
    for trial in SWEEP.space("tiny").trials(2):
        identity = Planned(trial, "small_study", attempt=1).identity()
        log.write_trial(identity | {"status": "complete"})
        log.write_latency(trial.config.arm_key, {"arm": trial.arm.name, "latency_ms": 1.0})
    result = command(runs=tmp_path / "[red]runs")
    assert result.exit_code == 0, result.output
    assert "into [red]runs/small_study\n" in result.stdout
    assert "next: python -m analysis small_study --runs [red]runs\n" in result.stdout


@pytest.mark.parametrize(("scale", "label"), [("tiny", "10M / 100"), ("full", "10M")])
def test_plan_says_how_large_each_adapter_is_and_what_its_label_stands_for(command, scale, label):
    plan = json.loads(command("--plan", "--json", sweep=C2, scale=scale).stdout)
    (factor,) = plan["factors"]
    counted = {arm["arm"]: arm["params_trained"] for arm in plan["arms"]}
    assert list(factor["level_notes"]) == factor["levels"] == ["query", "bottleneck", "lora", "perceiver", "moe"]
    for level, note in factor["level_notes"].items():
        n_params = counted["baseline" if level == "query" else f"adapter.architecture={level}"]
        assert note.startswith(f"{label}: {n_params:,} at width ")


def test_without_a_scale_the_choice_is_told(tmp_path):
    result = CliRunner().invoke(build_app(SWEEP), ["--plan", "--runs", str(tmp_path / "runs")])
    assert "scale: tiny (0 GPUs here); choose with --scale tiny|full" in result.stdout


def test_plan_of_full_scale_needs_no_checkpoint(command):
    result = command("--plan", "--json", scale="full")
    assert result.exit_code == 0
    money = json.loads(result.stdout)["cost"]["money"]
    assert (money["currency"], money["is_assumed"]) == ("USD", True)
    assert 0 < money["low"] < money["expected"] < money["high"]


def test_a_question_is_what_help_shows():
    result = CliRunner().invoke(build_app(SWEEP), ["--help"])
    assert result.exit_code == 0
    assert SWEEP.question in result.stdout
