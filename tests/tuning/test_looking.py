"""`--until-decided` with trials that only pretend to run: which blocks, which arms, what is recorded and what resumes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import small_study
from driver import Study
from pretended import NAMES, SWEEP, Pretended, looks
from typer.testing import CliRunner, Result

from foresight.runlog import RunLog
from foresight.tuning import looking
from foresight.tuning.launch import build_app
from foresight.tuning.looking import describe_plan, possible_trials
from foresight.tuning.study import open_study
from foresight.tuning.sweep import Placement, Sweep


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Result]:
    def run(*flags: str, sweep: Sweep = SWEEP) -> Result:
        arguments = ["--scale", "tiny", "--runs", str(tmp_path / "runs"), *flags]
        return CliRunner().invoke(build_app(sweep), arguments)

    return run


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "runs" / "looked_study")


def test_whole_blocks_first_then_the_baseline_and_the_arms_still_undecided(pretended, command, log):
    result = command("--until-decided")
    assert result.exit_code == 0, result.output
    assert pretended.batches == [
        [(seed, arm) for seed in (0, 1) for arm in NAMES],
        [(2, "baseline"), (2, NAMES[2])],
        [(3, "baseline"), (3, NAMES[2])],
    ]
    assert looks(log) == {
        (1, NAMES[1]): "worse",
        (1, NAMES[2]): "undecided",
        (2, NAMES[2]): "undecided",
        (3, NAMES[2]): "undecided",
    }
    assert len(log.read_manifest()) == 10  # what was planned, and not what might have been
    assert "look 1 at 2 seeds, level 0.25: 1 worse, 1 undecided; 1 go on" in result.output
    assert "10 of 10 trials complete, 0 failed" in result.output


def test_it_ends_when_every_arm_is_decided(pretended, command, log):
    pretended.noise = {}
    assert command("--until-decided").exit_code == 0
    assert len(pretended.batches) == 1
    assert set(looks(log).values()) == {"worse", "non-inferior"}


def test_the_record_has_the_level_the_numbers_and_the_time_of_each_look(pretended, command, log):
    command("--until-decided")
    first, *_, last = log.read_looks()
    declared = SWEEP.claim.looks()
    assert (first["n_seeds"], first["alpha_at_look"], first["alpha_spent"]) == (2, declared[0].level, declared[0].spent)
    assert (last["n_looks"], last["n_seeds"], last["alpha_spent"], last["rule"]) == (3, 4, 0.4, "pocock")
    assert first["low"] < first["difference"] < first["high"] < 0
    assert first["time"].startswith("20")


@pytest.mark.parametrize("dies_at", [0, 2])
def test_killed_and_run_again_it_goes_on_with_the_same_looks(pretended, command, log, dies_at):
    pretended.dies_at = dies_at
    killed = command("--until-decided")
    assert killed.exit_code == 130
    before = log.read_looks()
    assert len(before) == (3 if dies_at else 0)
    pretended.dies_at = None
    assert command("--until-decided").exit_code == 0
    after = log.read_looks()
    assert after[: len(before)] == before
    run = [trial for batch in pretended.batches for trial in batch]
    assert len(log.read_manifest()) == len(set(run)) == 10
    assert len(after) == 4


def test_killed_between_the_trials_and_the_record_it_takes_that_look(pretended, command, log, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(looking, "record_look", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        assert command("--until-decided").exit_code == 130
    assert log.read_looks() == []
    command("--until-decided")
    assert (1, NAMES[1]) in looks(log)


def test_run_again_after_the_end_it_looks_at_nothing_new(pretended, command, log):
    command("--until-decided")
    before = (log.root / "looks.json").read_bytes()
    pretended.batches.clear()
    assert command("--until-decided").exit_code == 0
    assert not any(pretended.batches)
    assert (log.root / "looks.json").read_bytes() == before


def test_more_blocks_run_by_seeds_change_no_look(pretended, command, log):
    command("--until-decided", "--seeds", "3")
    before = log.read_looks()
    assert max(look for look, _ in looks(log)) == 2  # --seeds is the most to run: the third look needs 4
    pretended.mean[NAMES[1]] = 0.4
    assert command("--seeds", "4").exit_code == 0
    command("--until-decided")
    assert log.read_looks()[: len(before)] == before
    assert (2, NAMES[1]) not in looks(log)


@pytest.mark.parametrize("changes", [{"primary": "lpips"}, {"margin": 0.03}])
def test_once_a_look_is_recorded_its_metric_and_margin_are_not_amended(pretended, command, log, changes):
    command("--until-decided")
    before = log.read_sweep()
    result = command("--amend", "why", sweep=replace(SWEEP, claim=replace(SWEEP.claim, **changes)))
    assert result.exit_code == 2
    assert f"so the claim's {next(iter(changes))} cannot be amended any more" in result.stderr
    assert result.stderr.count("\n") == 1
    assert log.read_sweep() == before


def test_an_arm_whose_trial_failed_waits_for_a_retry_and_is_then_tested(pretended, command, log):
    pretended.fails = {(NAMES[1], 1)}
    result = command("--until-decided")
    assert result.exit_code == 1
    assert "1 without a complete trial at every seed" in result.output
    assert (1, NAMES[1]) not in looks(log)
    pretended.fails = set()
    assert command("--until-decided", "--retry-failed").exit_code == 0
    assert looks(log)[1, NAMES[1]] == "worse"


@pytest.mark.parametrize("instead", [{"provenance": "simulated"}, {"images": {}}])
def test_trials_that_analysis_compares_with_nothing_are_in_no_look(pretended, command, log, monkeypatch, instead):
    """Of one arm they are simulated beside trained ones, or do not say on which images they were scored."""
    write = Pretended._write

    def write_one_arm_otherwise(made, log, trial):
        write(replace(made, **instead) if trial.arm.name == NAMES[1] else made, log, trial)

    monkeypatch.setattr(Pretended, "_write", write_one_arm_otherwise)
    result = command("--until-decided")
    assert "1 without a complete trial at every seed" in result.output
    assert NAMES[1] not in {arm for _, arm in looks(log)}


def test_without_the_baseline_there_is_no_look_and_nothing_more_is_run(pretended, command, log):
    pretended.fails = {("baseline", 0)}
    result = command("--until-decided")
    assert result.exit_code == 1
    assert "nothing to test" in result.output
    assert len(pretended.batches) == 1
    assert looks(log) == {}


def test_a_budget_begins_no_block_that_would_end_after_it(pretended, command, log, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def takes_a_second_a_trial(n: int) -> None:
        now[0] += n

    pretended.wall_s = takes_a_second_a_trial
    result = command("--until-decided", "--budget-hours", str(7.5 / 3600))
    # blocks of 3, 3, then of 2, which would end at 8 s
    assert [len(batch) for batch in pretended.batches] == [3, 3]
    assert result.exit_code == 1, result.output
    said = "the budget ends before the next block: 0:06 of 0:08 are over and the next block should take 0:02"
    assert said in result.output
    assert "to look 2 at 3 seeds; 2 of 6 trials in 1 block are left" in result.output
    assert max(look for look, _ in looks(log)) == 1
    assert command("--until-decided", "--budget-hours", "1").exit_code == 0
    assert max(look for look, _ in looks(log)) == 3


def test_the_plan_shows_the_looks_and_the_most_trials(pretended, command, log):
    result = command("--plan", "--until-decided")
    assert "at most 12 trials, of 3 arms x 4 seeds [0, 1, 2, 3]" in result.output
    for line in ("look 1 of 3 at 2 seeds, level 0.25, 0.25 of alpha 0.4 spent (pocock)", "estimate: at most about"):
        assert line in result.output
    assert not log.root.exists()


def test_after_a_look_the_plan_leaves_out_what_its_verdicts_save(pretended, command, log, tmp_path):
    command("--until-decided", "--seeds", "2")
    study = open_study(SWEEP, "tiny", None, 4, Placement(runs=tmp_path / "runs", slots=1))
    left_out = {(t.seed, t.arm.name) for t in study.trials} - {(t.seed, t.arm.name) for t in possible_trials(study)}
    assert left_out == {(2, NAMES[1]), (3, NAMES[1])}
    assert [(look["n_tested"], look["n_going_on"]) for look in describe_plan(study)] == [(2, 1), (0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("flags", "sweep", "said"),
    [
        (("--until-decided",), small_study.SWEEP, "'small_study' has one look, at 2 seeds"),
        (("--until-decided", "--limit", "3"), SWEEP, "leave --limit or --until-decided out"),
        (("--until-decided", "--one", "x"), SWEEP, "leave --one or --until-decided out"),
        (("--until-decided", "--seeds", "1"), SWEEP, "the first look is at 2 seeds, and --seeds 1 ends"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(pretended, command, log, flags, sweep, said):
    result = command(*flags, sweep=sweep)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert pretended.batches == []


@pytest.mark.ray
@pytest.mark.timeout(3000)
def test_through_ray_the_looks_are_taken_and_found_again(tmp_path, feature_cache):
    study = Study("looked_study.py", tmp_path / "here", feature_cache)
    first = study.run("--until-decided")
    assert first.code == 0, first
    assert first.err == ""
    taken = study.log.read_looks()
    assert [(test["look"], test["arm"]) for test in taken] == [(k, arm) for k in (1, 2, 3) for arm in NAMES[1:]]
    rows = study.log.trials()
    assert len(rows) == 12
    assert set(rows["status"]) == {"complete"}
    again = study.run("--until-decided", python=("-X", "importtime"))
    assert again.code == 0
    assert study.log.read_looks() == taken
    imported = {line.rpartition("|")[2].strip() for line in again.err.splitlines()}
    assert "pandas" in imported  # so that the trace is one
    assert "ray" not in imported
