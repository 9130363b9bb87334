"""A search that starts from what other run logs hold: what its sampler is told, what it takes over, and what it says of both."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import small_search
from optuna.trial import TrialState
from played_runner import command, play
from played_search import SEARCH, SPACE, Played, complete, formula

from foresight.runlog import RunLog
from foresight.space import Arm, Trial
from foresight.split_log import write_split
from foresight.tuning.record import Planned
from foresight.tuning.recorded import Recorded, by_arm

TRADEOFF = replace(SEARCH, objectives=("mask_iou", "latency_ms"), sampler="nsga2", seeds=1)
INSIDE = SPACE.baseline.with_fields({"fusion.layers": 5, "train.lr": 0.003})
OUTSIDE = SPACE.baseline.with_fields({"train.epochs": 99, "fusion.layers": 2})


def elsewhere(*trials):
    """Finished trials of another run log: configs, each with what its row says."""
    return by_arm(
        [Recorded({"status": "complete", "val/mask_iou": formula(config)} | row, config) for config, row in trials]
    )


def states(proposals) -> list[TrialState]:
    return [trial.state for trial in proposals.study.study.trials]


def test_it_tells_what_lies_in_the_space_and_nothing_else():
    played = Played()
    proposals = played.open(4, elsewhere((INSIDE, {}), (INSIDE.at_seed(1), {}), (OUTSIDE, {})))
    assert (played.told.n, played.told.n_outside) == (1, 1)
    told = proposals.study.study.trials[0]
    assert told.value == pytest.approx(formula(INSIDE) + 0.005)
    assert told.params == SPACE.params(INSIDE)
    played.run(proposals)
    assert len(played.proposed()) == 4  # what was told counts as no proposal


def test_a_trial_that_another_run_log_holds_is_not_run():
    played = Played()
    own = SPACE.baseline.key
    row = complete(type("T", (), {"config": SPACE.baseline}))
    proposals = played.run(played.open(3, answer=lambda trial: row if trial.key == own else None))
    assert own not in played.ran
    assert states(proposals) == [TrialState.COMPLETE] * 3


@pytest.mark.parametrize("latency", [{}, {"cost/latency_ms": None}, {"cost/latency_ms": math.nan}])
def test_a_study_that_did_not_measure_an_objective_tells_nothing(latency):
    played = Played(search=TRADEOFF)
    proposals = played.open(4, elsewhere((INSIDE, latency), (SPACE.baseline, {"cost/latency_ms": 5.0})))
    assert states(proposals)[:1] == [TrialState.COMPLETE]
    assert played.told.describe() == (
        "the sampler was told of 1 of 2 configurations (1 complete); not of 1 without latency_ms"
    )


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_complete_trial_that_came_to_no_value_is_told_as_a_failure(value):
    diverged = elsewhere((INSIDE, {"val/mask_iou": value}), (INSIDE.at_seed(1), {}), (SPACE.baseline, {}))
    played = Played()
    proposals = played.open(4, diverged)
    assert sorted(states(proposals)[:2]) == [TrialState.COMPLETE, TrialState.FAIL]
    assert played.told.describe() == "the sampler was told of 2 of 2 configurations (1 complete, 1 failed)"


def test_where_no_trial_has_a_value_the_study_did_not_measure_it():
    played = Played()
    played.open(4, elsewhere((INSIDE, {"val/mask_iou": math.nan}), (SPACE.baseline, {"val/mask_iou": None})))
    assert played.told.describe() == "the sampler was told of 0 of 2 configurations; not of 2 without mask_iou"


def test_one_that_failed_at_a_seed_is_told_as_a_failure_and_a_stopped_one_as_stopped():
    stopped = {"status": "stopped", "train/epochs_run": 2, "val/mask_iou": 0.1}
    other = SPACE.baseline.with_fields({"fusion.layers": 7})
    known = elsewhere((INSIDE, {}), (INSIDE.at_seed(1), {"status": "failed"}), (other, stopped))
    played = Played()
    proposals = played.open(4, known)
    assert sorted(states(proposals)[:2]) == [TrialState.PRUNED, TrialState.FAIL]
    assert played.told.describe() == "the sampler was told of 2 of 2 configurations (1 failed, 1 stopped)"


def test_one_that_was_stopped_can_be_told_to_a_search_by_several_objectives():
    stopped = {"status": "stopped", "train/epochs_run": 2, "val/mask_iou": 0.1, "val/loss": 0.4}
    played = Played(
        search=replace(SEARCH, objectives=("mask_iou", "loss")), end=lambda t: complete(t) | {"val/loss": 0.3}
    )
    proposals = played.run(played.open(4, elsewhere((INSIDE, stopped))))
    assert states(proposals) == [TrialState.PRUNED] + [TrialState.COMPLETE] * 4


# --- a whole command, with Tune played -------------------------------------------------------------------------------

TIMED = replace(small_search.SEARCH, name="timed", objectives=("loss", "latency_ms"), asha=None, seeds=1)


def measured(item: Planned) -> dict[str, float]:
    return {"val/loss": item.trial.config.train.lr, **({"cost/latency_ms": 2.0} if item.timed else {})}


@pytest.fixture
def other(tmp_path: Path) -> RunLog:
    """A design's run log, whose trials have no latency: the baseline of the search at both of its seeds."""
    log = RunLog(tmp_path / "runs" / "design")
    log.write_sweep({"study": "design", "scale": "tiny"})
    for seed in (0, 1):
        config = small_search.space("tiny").baseline.at_seed(seed)
        planned = Planned(Trial(Arm("baseline", "", "", config), config), "design", attempt=1)
        log.write_trial(planned.identity() | {"status": "complete", "val/loss": 0.5})
    write_split(log, ["a"])
    return log


def test_a_search_that_weighs_latency_runs_what_a_design_has_run_without(other, tmp_path, monkeypatch):
    runner = play(monkeypatch, tmp_path, measured)
    ended = command(TIMED, "--runs", str(tmp_path / "runs"), "--trials", "3", "--warm-start", str(other.root))
    assert ended.exit_code == 0, ended.output
    assert "told of 0 of 1 configurations; not of 1 without latency_ms" in ended.output
    assert small_search.space("tiny").baseline.key in runner.ran
    assert "3 complete" in ended.output


def test_a_baseline_that_was_taken_over_without_latency_runs_at_last(other, tmp_path, monkeypatch):
    runner = play(monkeypatch, tmp_path, measured)
    flags = ("--runs", str(tmp_path / "runs"), "--trials", "3")
    assert command(TIMED, *flags).exit_code == 0
    log, key = RunLog(tmp_path / "runs" / "timed"), small_search.space("tiny").baseline.key
    row = log.read_trial(key) | {"cost/latency_ms": None, "env/adopted_from": "design"}
    log.write_trial(row)  # as an earlier version left it
    runner.ran.clear()
    ended = command(TIMED, *flags)
    assert ended.exit_code == 0, ended.output
    assert "1 trials that were taken over from other studies lack what this search goes by" in ended.output
    assert runner.ran == [key]
    assert (log.read_trial(key)["cost/latency_ms"], log.read_trial(key)["attempt"]) == (2.0, 2)


def test_what_measures_all_that_a_search_goes_by_is_taken_over(other, tmp_path, monkeypatch):
    runner = play(monkeypatch, tmp_path, measured)
    plain = replace(small_search.SEARCH, asha=None)
    ended = command(plain, "--runs", str(tmp_path / "runs"), "--trials", "3", "--warm-start", str(other.root))
    assert ended.exit_code == 0, ended.output
    assert "told of 1 of 1 configurations (1 complete)" in ended.output
    assert len(runner.ran) == 4  # two proposals at two seeds: the baseline is known
    adopted = RunLog(tmp_path / "runs" / "small_search").trials().dropna(subset="env/adopted_from")
    assert adopted["arm"].tolist() == ["baseline", "baseline"]


def test_a_run_log_given_twice_is_told_once(other, tmp_path, monkeypatch):
    play(monkeypatch, tmp_path, measured)
    twice = ("--warm-start", str(other.root), "--warm-start", str(other.root))
    ended = command(small_search.SEARCH, "--runs", str(tmp_path / "runs"), "--trials", "2", *twice)
    assert ended.exit_code == 0, ended.output
    assert "told of 0 of 0 configurations" in ended.output


def test_the_search_s_own_run_log_is_no_warm_start(tmp_path, monkeypatch):
    play(monkeypatch, tmp_path, measured)
    flags = ("--runs", str(tmp_path / "runs"), "--trials", "2")
    assert command(small_search.SEARCH, *flags).exit_code == 0
    refused = command(small_search.SEARCH, *flags, "--warm-start", str(tmp_path / "runs" / "small_search"))
    assert refused.exit_code == 2
    assert "is this search's own run log" in refused.output


@pytest.mark.parametrize(("content", "sentence"), [('{"study": ', "cannot be read"), (None, "holds no study")])
def test_a_damaged_run_log_is_no_warm_start(other, tmp_path, content, sentence):
    (other.root / "sweep.json").unlink()
    if content is not None:
        (other.root / "sweep.json").write_text(content)
    refused = command(small_search.SEARCH, "--runs", str(tmp_path / "runs"), "--warm-start", str(other.root))
    assert (refused.exit_code, sentence in refused.output) == (2, True), refused.output
