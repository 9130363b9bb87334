"""A process that dies between two writes, or a disk that is full, leaves what was there as it was."""

import errno
import itertools
import json
import os
from pathlib import Path

import pytest
from written_trial import FILES, ROW, write_whole

from foresight.errors import RunEndedError
from foresight.runlog import (
    RunLog,
)
from foresight.storage.local import atomic_write_bytes


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "runs" / "study")


class PowerCutError(BaseException):
    """Stands for the end of the process; tests/test_runlog_deaths.py really ends it."""


def die_at(monkeypatch: pytest.MonkeyPatch, function: str, nth: int) -> list[int]:
    """Makes the `nth` call (from 0) of a function of os raise instead of acting. Returns a list that counts calls."""
    genuine, calls = getattr(os, function), [0]

    def dying(*arguments, **keywords):
        calls[0] += 1
        if calls[0] == nth + 1:
            raise PowerCutError
        return genuine(*arguments, **keywords)

    monkeypatch.setattr(os, function, dying)
    return calls


def test_a_death_while_the_consolidated_table_is_written_loses_nothing(log, monkeypatch):
    write_whole(log)
    log.trials()
    write_whole(log, key="b")
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        die_at(patch, "replace", 0)
        log.trials()
    assert set(log.statuses()) == {ROW["key"], "b"}


def test_a_death_while_sweep_json_is_written_leaves_the_old_one(log, monkeypatch):
    log.write_sweep({"claim_hash": "a"})
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        die_at(patch, "replace", 0)
        log.write_sweep({"claim_hash": "b"})
    assert log.read_sweep() == {"claim_hash": "a"}
    assert json.loads((log.root / "sweep.json").read_text()) == {"claim_hash": "a"}


def test_what_a_dead_writer_left_is_no_latency(log):
    log.write_latency("arm", {"latency_ms": 1.0})
    whole = (log.root / "latency" / "arm.parquet").read_bytes()
    (log.root / "latency" / ".other.parquet.12ab.tmp").write_bytes(whole[:40])
    assert log.read_latency()["arm_key"].tolist() == ["arm"]


def test_an_atomic_write_is_flushed_before_it_is_renamed(tmp_path, monkeypatch):
    events = []
    genuine_fsync, genuine_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("fsync"), genuine_fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (events.append("replace"), genuine_replace(*names))[1])
    atomic_write_bytes(tmp_path / "file", b"content")
    assert events == ["fsync", "replace", "fsync"]  # the file, then the folder that names it
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_disk_without_room_for_a_derived_table_can_still_be_read(log, monkeypatch):
    write_whole(log)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_disk)
        assert set(log.statuses()) == {ROW["key"]}
    assert not (log.root / "consolidated.parquet").exists()
    assert set(log.statuses()) == {ROW["key"]}
    assert (log.root / "consolidated.parquet").exists()


def full_disk(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("function", ["open", "write", "fsync"])
def test_a_disk_that_is_full_at_any_write_leaves_the_old_trial_whole(log, monkeypatch, function):
    """Also the failed one that a retry would have replaced, and nothing that takes room."""
    write_whole(log, status="failed", error="out of memory")
    before = {path.name: path.read_bytes() for path in (log.trials_dir / ROW["key"]).iterdir()}
    for nth in range(len(FILES)):
        genuine, calls = getattr(os, function), itertools.count()
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            patch.setattr(os, function, lambda *a, g=genuine, c=calls, n=nth: full_disk() if next(c) == n else g(*a))
            write_whole(log, attempt=2)
        assert {path.name: path.read_bytes() for path in (log.trials_dir / ROW["key"]).iterdir()} == before
    write_whole(log, attempt=2)
    assert log.read_trial(ROW["key"])["attempt"] == 2


@pytest.mark.parametrize("function", ["open", "write", "fsync"])
def test_a_disk_that_is_full_leaves_the_old_declaration_and_says_so(log, monkeypatch, function):
    log.write_sweep({"study": "study"})
    with (
        monkeypatch.context() as patch,
        pytest.raises(RunEndedError, match=r"sweep\.json cannot be written .*No space"),
    ):
        patch.setattr(os, function, full_disk)
        log.write_sweep({"study": "study", "sensitivity": {}})
    assert log.read_sweep() == {"study": "study"}
    assert [path.name for path in log.root.iterdir()] == ["sweep.json"]
