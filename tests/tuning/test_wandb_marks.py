"""What is marked as sent to W&B is not sent again, and what cannot be read is a refusal like any other."""

from pathlib import Path

import pytest

from foresight.runlog import RunLog
from foresight.tuning import wandb_mirror
from foresight.tuning.wandb_mirror import WandbMirror, send_all

ROW = {"sweep": "small", "arm": "a", "seed": 0, "status": "complete", "provenance": "trained"}


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """Keys of what W&B was given."""
    keys: list[str] = []

    def take(row: dict, epochs: list, folder: Path) -> bool:
        keys.append(row["key"])
        return False

    monkeypatch.setattr(wandb_mirror, "write_run", take)
    return keys


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    log = RunLog(tmp_path / "small")
    log.write_trial(ROW | {"key": "a-s0-00000000"})
    return log


def send(log: RunLog) -> str | None:
    return send_all(WandbMirror(log), lambda line: None)


def test_a_trial_is_sent_once_and_once_more_as_another_attempt(log, sent):
    assert (send(log), send(log)) == (None, None)
    assert sent == ["a-s0-00000000"]
    log.write_trial(ROW | {"key": "a-s0-00000000", "attempt": 2})
    assert (send(log), send(log)) == (None, None)
    assert sent == ["a-s0-00000000"] * 2


@pytest.mark.parametrize("marks", [("1", "2"), ("2", "1")])
def test_of_several_attempts_the_last_is_the_one_that_was_sent(log, sent, monkeypatch, marks):
    """A folder lists its files in any order."""
    log.write_trial(ROW | {"key": "a-s0-00000000", "attempt": 2})
    files = type(log.files.shared)
    monkeypatch.setattr(files, "listing", lambda *_: {f"a-s0-00000000.{attempt}": None for attempt in marks})
    assert send(log) is None
    assert sent == []


def test_a_damaged_mark_is_none_and_its_trial_is_sent_again(log, sent):
    log.files.write("wandb/sent/a-s0-00000000", b"rubbish")
    log.files.write("wandb/sent/a-s0-00000000.x", b"")
    assert (send(log), send(log)) == (None, None)
    assert sent == ["a-s0-00000000"]


def test_what_cannot_be_read_is_a_refusal_like_any_other(log, sent, monkeypatch):
    mirror = WandbMirror(log)
    monkeypatch.setattr(RunLog, "trials", lambda *given: 1 / 0)
    assert "ZeroDivisionError" in (send_all(mirror, lambda line: None) or "")
    assert sent == []
