"""`--one KEY` of a trial that has a result: it runs, and the result stays. The trial itself is played."""

import bdb
import dataclasses

import pytest
import small_search
from rich.console import Console

from foresight.runlog import RunLog
from foresight.space import Arm, Trial
from foresight.tuning import one_trial
from foresight.tuning.record import Planned
from foresight.tuning.sweep import Placement


@pytest.fixture
def planned(monkeypatch) -> Planned:
    def record_trial(log, planned, data, context):
        yield {"epoch": 1.0}
        log.write_trial(planned.identity() | {"status": "complete", "val/loss": 0.1})

    monkeypatch.setattr(one_trial, "record_trial", record_trial)
    monkeypatch.setattr(one_trial, "missing_requests", lambda configs, store: [])
    monkeypatch.setattr(one_trial, "worker_context", lambda placement: None)
    monkeypatch.setattr("foresight.features.stage.stage", lambda config, store, device: None)
    config = small_search.space("tiny").baseline
    return Planned(Trial(Arm("p003", "proposal", "p003", config), config), "small_search", attempt=1)


def test_a_debugger_that_is_left_is_an_interrupt(tmp_path, planned, monkeypatch):
    def record_trial(log, planned, data, context):
        yield {"epoch": 1.0}
        raise bdb.BdbQuit

    monkeypatch.setattr(one_trial, "record_trial", record_trial)
    placement = Placement(tmp_path / "runs", 1, cache=tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        one_trial.run_here(planned, RunLog(tmp_path / "runs" / "small_search"), placement, Console(quiet=True))


@pytest.mark.parametrize(
    ("status", "after"), [("complete", 0.9), ("stopped", 0.9), ("failed", 0.1), (None, 0.1)], ids=str
)
def test_a_complete_or_stopped_trial_keeps_its_row(tmp_path, planned, status, after):
    log = RunLog(tmp_path / "runs" / "small_search")
    if status is not None:
        log.write_trial(planned.identity() | {"status": status, "val/loss": 0.9})
    placement = Placement(tmp_path / "runs", 1, cache=tmp_path / "cache")
    again = dataclasses.replace(planned, attempt=2)
    assert one_trial.run_here(again, log, placement, Console(quiet=True))["status"] == "complete"
    assert log.read_trial(planned.key)["val/loss"] == after
