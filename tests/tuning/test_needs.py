"""A study that needs another: found in the run log, or run first; what it decides is decided once it is complete."""

import json
from dataclasses import replace
from pathlib import Path

import needing_study
import pytest
import safetensors.torch
import small_study
from driver import Ended, Study
from rich.console import Console
from typer.testing import CliRunner

from foresight.runlog import RunLog, config_columns
from foresight.tuning import study as study_module
from foresight.tuning.budget import NO_LIMIT
from foresight.tuning.launch import build_app
from foresight.tuning.study import open_study, run_needs
from foresight.tuning.sweep import Placement
from foresight.tuning.within_budget import BudgetMeter

UNLIMITED = BudgetMeter(NO_LIMIT, [])
NEEDED = small_study.SWEEP.space("tiny").trials(2)


def write(log: RunLog, trial, status: str = "complete", loss: float = 1.0) -> None:
    columns = config_columns(trial.config.flat()) | {"val/loss": loss, "attempt": 1}
    row = {"key": trial.key, "sweep": "small_study", "arm": trial.arm.name, "seed": trial.seed, "status": status}
    log.write_trial(row | {"provenance": "trained"} | columns)


@pytest.fixture
def placement(tmp_path) -> Placement:
    return Placement(runs=tmp_path / "runs", slots=1, cache=tmp_path / "cache")


@pytest.fixture
def needed_log(placement) -> RunLog:
    return RunLog(placement.runs / "small_study")


def opened(placement: Placement):
    return open_study(needing_study.SWEEP, "tiny", None, None, placement)


def command(tmp_path: Path, *flags: str):
    arguments = ["--scale", "tiny", "--runs", str(tmp_path / "runs"), *flags]
    return CliRunner().invoke(build_app(needing_study.SWEEP), arguments)


def test_until_the_needed_study_is_complete_the_levels_are_as_declared(placement, needed_log):
    for trial in NEEDED[:-1]:
        write(needed_log, trial, loss=1 / trial.config.fusion.layers)
    study = opened(placement)
    assert study.provisional
    assert [trial.key for trial in study.needs[0].unfinished(study.sweep)] == [NEEDED[-1].key]
    assert study.space == needing_study.space("tiny")


def test_a_complete_needed_study_decides(placement, needed_log):
    for trial in NEEDED:
        write(needed_log, trial, loss=1 / trial.config.fusion.layers)
    study = opened(placement)
    assert not study.provisional
    assert {trial.config.fusion.layers for trial in study.trials} == {2}


def test_trials_that_the_needed_study_does_not_plan_decide_nothing(placement, needed_log):
    for trial in NEEDED:
        write(needed_log, trial, loss=trial.config.fusion.layers)
    stranger = small_study.SWEEP.space("tiny").trials(3)[-2]
    assert stranger.config.fusion.layers == 2 and stranger.key not in {trial.key for trial in NEEDED}
    write(needed_log, stranger, loss=-100.0)
    assert {trial.config.fusion.layers for trial in opened(placement).trials} == {1}


def test_a_failed_needed_trial_ends_the_command_with_its_code_and_a_sentence(
    placement, needed_log, monkeypatch, capsys
):
    for trial in NEEDED:
        write(needed_log, trial, status="failed" if trial is NEEDED[0] else "complete")
    monkeypatch.setattr(study_module, "run_study", lambda session, trials, retry_failed, meter: 1)
    continuing = replace(needing_study.SWEEP, choose=None)
    assert run_needs(open_study(continuing, "tiny", None, None, placement), Console(), UNLIMITED) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "needing_study needs small_study, which is not complete; python sweeps/small_study.py --retry-failed" in said


def test_a_study_that_only_chooses_goes_on_without_a_failed_trial(placement, needed_log):
    for trial in NEEDED:
        loss = 1 / trial.config.fusion.layers
        write(needed_log, trial, status="failed" if trial is NEEDED[0] else "complete", loss=loss)
    study = opened(placement)
    assert not study.provisional
    assert run_needs(study, Console(), UNLIMITED) == 0
    assert {trial.config.fusion.layers for trial in study.trials} == {2}


def test_a_plan_shows_both_and_says_that_levels_may_change(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "cache"))
    shown = command(tmp_path, "--plan")
    assert shown.exit_code == 0, shown.output
    assert shown.output.index("small_study at tiny scale") < shown.output.index("needing_study at tiny scale")
    assert "it runs first, and what it decides may change the levels" in " ".join(shown.output.split())
    plan = json.loads(command(tmp_path, "--plan", "--json").stdout)
    assert (plan["study"], plan["provisional"], [need["study"] for need in plan["needs"]]) == (
        "needing_study", True, ["small_study"],
    )  # fmt: skip


def test_one_trial_alone_is_refused_before_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "cache"))
    refused = command(tmp_path, "--one", needing_study.SWEEP.space("tiny").trials(1)[0].key)
    assert refused.exit_code == 2
    assert "'needing_study' needs 'small_study', of which 6 of 6 trials are not complete" in refused.stderr


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, feature_cache: Path) -> tuple[Study, Ended, Ended]:
    """(the study, its first run with nothing there, the same again)"""
    study = Study("needing_study.py", tmp_path_factory.mktemp("needs") / "here", feature_cache)
    return study, study.run(), study.run()


@pytest.mark.ray
@pytest.mark.timeout(3000)
def test_what_is_needed_runs_first_and_only_once(story):
    study, first, again = story
    assert (first.code, again.code) == (0, 0), first.out + first.err + again.err
    assert first.out.index("needing_study needs small_study, which runs first") < first.out.index("needing_study, tiny")
    assert set(RunLog(study.log.root.parent / "small_study").statuses().values()) == {"complete"}
    assert "2 of 2 trials complete" in first.out
    assert "runs first" not in again.out
    assert "0 of 2 trials to run" in again.out


@pytest.mark.ray
@pytest.mark.timeout(3000)
def test_a_study_that_others_continue_keeps_its_trained_models(story):
    study = story[0]
    for key in study.log.statuses():
        weights = safetensors.torch.load_file(study.log.trials_dir / key / "weights.safetensors")
        assert "head.weight" in weights
        assert all(tensor.isfinite().all() for tensor in weights.values())
    needed = RunLog(study.log.root.parent / "small_study")
    assert not list(needed.trials_dir.glob("*/weights.safetensors"))
