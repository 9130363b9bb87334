"""Whole commands of a search with Tune's part played: several objectives, times that are measured, trials that are shared."""

from dataclasses import replace

import pytest
import small_search
from played_runner import command, play

from foresight.dimensions import IntRange
from foresight.runlog import RunLog
from foresight.space import BASELINE

TIMED = replace(
    small_search.SEARCH,
    name="timed",
    objectives=("loss", "params_trained", "latency_ms"),
    sampler="nsga2",
    asha=None,
    seeds=1,
    proposals=20,
)


@pytest.fixture
def flags(tmp_path, monkeypatch) -> tuple[str, ...]:
    monkeypatch.setattr("foresight.tuning.flags.cluster_cpus", lambda: 2)
    return ("--runs", str(tmp_path / "runs"))


def costs(item) -> dict[str, float]:
    config = item.trial.config
    latency = {"cost/latency_ms": float(config.fusion.layers)} if item.timed else {}
    return {
        "val/loss": config.train.lr,
        "val/mask_iou": 0.5,
        "cost/params_trained": 100 * config.fusion.layers,
    } | latency


def test_a_search_by_time_runs_one_trial_at_a_time_measures_each_and_goes_on_as_it_was(flags, tmp_path, monkeypatch):
    whole = play(monkeypatch, tmp_path, costs)
    assert command(TIMED, *flags[:-1], str(tmp_path / "whole")).exit_code == 0
    runner = play(monkeypatch, tmp_path, costs, die_after=7)
    assert command(TIMED, *flags).exit_code == 130
    runner.die_after = None
    ended = command(TIMED, *flags)
    assert ended.exit_code == 0, ended.output
    assert (runner.placement.slots, runner.placement.alone) == (1, True)
    assert list(dict.fromkeys(runner.ran)) == whole.ran
    assert len(runner.ran) == len(whole.ran) + 1  # the one that was at work
    rows = RunLog(tmp_path / "runs" / "timed").trials()
    assert rows["cost/latency_ms"].notna().all() and (rows["status"] == "complete").all()
    assert runner.measured == []  # not a second time, when other things run


@pytest.mark.parametrize(("workers", "slots"), [(1, 2), (2, 1)])
def test_workers_share_each_trial_of_a_search(flags, tmp_path, monkeypatch, workers, slots):
    runner = play(monkeypatch, tmp_path, costs)
    ended = command(small_search.SEARCH, *flags, "--trials", "2", "--workers", str(workers))
    assert ended.exit_code == 0, ended.output
    assert (runner.placement.workers, runner.placement.slots) == (workers, slots)
    assert len(runner.measured) == 2  # beside the trials, as time is not what it goes by


def test_a_search_that_may_propose_a_batch_that_cannot_be_shared_is_refused(flags, tmp_path, monkeypatch):
    runner = play(monkeypatch, tmp_path, costs)
    space = small_search.space("tiny")
    batches = replace(space, dimensions=(*space.dimensions, IntRange("train.batch_size", 1, 8)))
    refused = command(replace(small_search.SEARCH, space=lambda scale: batches), *flags, "--workers", "2")
    assert refused.exit_code == 2
    assert "2 workers cannot share the trial" in refused.output
    assert runner.ran == []


def test_the_first_proposal_runs_first(flags, tmp_path, monkeypatch):
    runner = play(monkeypatch, tmp_path, costs)
    assert command(small_search.SEARCH, *flags, "--limit", "1").exit_code == 1  # its other seed is to come
    log = RunLog(tmp_path / "runs" / "small_search")
    assert log.trials()["arm"].tolist() == [BASELINE]
    assert runner.ran == log.trials()["key"].tolist()
