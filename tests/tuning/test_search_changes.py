"""A search whose script or data changes between two commands: what goes on, what is refused, and what is put on record."""

from dataclasses import replace
from pathlib import Path

import pytest
import small_search
from played_runner import PlayedRunner, command, play

from foresight.dimensions import FloatRange
from foresight.runlog import RunLog
from foresight.tuning.search import Search
from foresight.tuning.status import read_status

SEARCH = replace(small_search.SEARCH, asha=None)
SPACE = small_search.space("tiny")


def over(space) -> Search:
    return replace(SEARCH, space=lambda scale: space)


@pytest.fixture
def runner(monkeypatch, tmp_path) -> type[PlayedRunner]:
    return play(monkeypatch, tmp_path, lambda item: {"val/loss": item.trial.config.train.lr, "val/mask_iou": 0.5})


@pytest.fixture
def flags(tmp_path: Path) -> tuple[str, ...]:
    return ("--runs", str(tmp_path / "runs"), "--trials", "4")


@pytest.fixture
def log(runner, flags, tmp_path) -> RunLog:
    """A search that has run to its end."""
    ended = command(SEARCH, *flags)
    assert ended.exit_code == 0, ended.output
    return RunLog(tmp_path / "runs" / "small_search")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            over(replace(SPACE, baseline=SPACE.baseline.with_fields({"train.epochs": 5}))),
            "was searched with a baseline with train.epochs 3, and now it is 5",
        ),
        (
            over(replace(SPACE, baseline=SPACE.baseline.at_seed(7))),
            "was searched with a baseline with seed 0, and now it is 7",
        ),
        (
            replace(SEARCH, objectives=("mask_iou",)),
            "the objectives loss (lower is better), and now they are mask_iou (higher is better)",
        ),
        (
            replace(SEARCH, objectives=("loss", "params_trained")),
            "loss (lower is better), params_trained (lower is better)",
        ),
        (replace(SEARCH, seeds=1), "was searched with 2 seeds a proposal, and now they are 1"),
    ],
)
@pytest.mark.parametrize("how", [(), ("--plan",)])
def test_another_search_is_refused_before_anything_is_written(log, flags, changed, sentence, how):
    before = (log.root / "sweep.json").read_bytes()
    refused = command(changed, *flags, *how)
    assert refused.exit_code == 2, refused.output
    assert sentence in refused.output
    assert (log.root / "sweep.json").read_bytes() == before


def test_a_run_log_of_another_version_is_refused_before_anything_is_written(log, flags):
    manifest = log.read_manifest()
    manifest["config/train.lr"] = 0.123
    manifest.to_parquet(log.root / "manifest.parquet")
    before = (log.root / "sweep.json").read_bytes()
    refused = command(SEARCH, *flags)
    assert refused.exit_code == 2
    assert "another version of the config" in refused.output
    assert (log.root / "sweep.json").read_bytes() == before


def test_the_same_search_again_is_no_change(log, flags):
    assert command(SEARCH, *flags, "--trials", "5").exit_code == 0
    assert log.read_sweep()["space_changes"] == []


def test_another_sampler_goes_on_and_stays_on_record(log, flags):
    assert log.read_sweep()["space_changes"] == []
    assert command(replace(SEARCH, sampler="random", seed=3), *flags).exit_code == 0
    (change,) = log.read_sweep()["space_changes"]
    assert change["added"] == ["sampler random", "sampler seed 3"]
    assert change["removed"] == ["sampler tpe", "sampler seed 0"]


def test_a_narrowed_space_ends_well_although_a_proposal_outside_had_begun(runner, flags, tmp_path):
    runner.die_after = 4
    assert command(SEARCH, *flags).exit_code == 130
    log, begun = RunLog(tmp_path / "runs" / "small_search"), runner.ran[-1]
    assert begun not in log.statuses()
    runner.die_after = None
    rate = SPACE.baseline.train.lr
    narrow = (*SPACE.dimensions[:-1], FloatRange("train.lr", 0.999 * rate, 1.001 * rate, log=True))
    ended = command(over(replace(SPACE, dimensions=narrow)), *flags)
    assert ended.exit_code == 0, ended.output
    assert "1 of their trials had begun, and end first" in ended.output
    assert "2 outside the space" in ended.output
    assert set(log.read_manifest()["key"]) == set(log.statuses())
    assert read_status(log, 0.0).left == 0
    again = command(over(replace(SPACE, dimensions=narrow)), *flags)
    assert again.exit_code == 0
    assert "at most 0 trials to run" in again.output
