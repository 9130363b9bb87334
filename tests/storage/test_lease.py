"""One driver at a time, by processes that really compete, die, pause and come back."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from foresight.errors import RequestError, RunEndedError
from foresight.storage import lease
from foresight.storage.holder import Holder
from foresight.storage.lease import FOLDER, LEASE_S, hold, read_claims, take
from foresight.storage.local import LocalFiles

PROCESSES = Path(__file__).parent / "lease_processes.py"
FOREIGN = Holder("node7", 17, "another machine", "0", "2026-11-20 08:00:00 UTC", LEASE_S)


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path / "study")


@contextlib.contextmanager
def started(role: str, files: LocalFiles, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, PROCESSES, role, files.root, *arguments]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def write_claim(
    files: LocalFiles, holder: Holder, age_s: float = 0.0, holds: bool = True, token: str = "f" * 32
) -> str:
    """A claim whose last sign was `age_s` seconds ago."""
    for kind in ("json", "beat") if holds else ("json",):
        files.write(f"{FOLDER}/{token}.{kind}", holder.to_json() if kind == "json" else b"")
        os.utime(files.root / FOLDER / f"{token}.{kind}", (time.time() - age_s,) * 2)
    return token


def test_who_holds_is_named_with_host_process_and_time(files):
    with hold(files), pytest.raises(RequestError) as caught, hold(files):
        pytest.fail("two at once")
    own = Holder.this_process(LEASE_S)
    assert f"(host {own.host}, pid {os.getpid()}, since 2" in str(caught.value)
    assert read_claims(files) == {}


def test_the_claim_of_a_killed_process_is_taken_over_at_once(files):
    with started("keep", files, LEASE_S, "here") as driver:
        assert line(driver) == "held"
        with pytest.raises(RequestError, match=f"pid {driver.pid}"), hold(files):
            pytest.fail("two at once")
        driver.kill()
        while psutil.Process(driver.pid).status() != psutil.STATUS_ZOMBIE:  # not waited for: it keeps its number
            time.sleep(0.01)
        with hold(files):
            assert [claim.holder.pid for claim in read_claims(files).values()] == [os.getpid()]


def test_a_later_process_of_the_same_number_is_not_taken_for_the_driver(files):
    write_claim(files, replace(Holder.this_process(LEASE_S), started="1"))
    with hold(files):
        pass


def test_a_machine_that_gave_no_sign_for_its_lease_is_taken_for_dead(files):
    write_claim(files, FOREIGN, age_s=LEASE_S + 5)
    with hold(files):
        assert len(read_claims(files)) == 1


def test_what_is_left_of_a_foreign_lease_is_waited_for_and_said(files, capsys):
    write_claim(files, FOREIGN, age_s=LEASE_S - 2)
    began = time.monotonic()
    with hold(files):
        assert time.monotonic() - began > 1.5
    assert "(host node7, pid 17, since 2026-11-20 08:00:00 UTC) still lives: 2 s at most" in capsys.readouterr().err


def test_a_driver_that_lives_elsewhere_refuses_by_its_next_beat(files):
    with started("keep", files, LEASE_S, "elsewhere") as driver:
        assert line(driver) == "held"
        with pytest.raises(RequestError, match=f"pid {driver.pid}"), hold(files):
            pytest.fail("two at once")


@pytest.mark.parametrize("token", ["0" * 32, "f" * 32])
def test_of_two_that_ask_at_once_the_smaller_token_waits_and_the_larger_gives_up(files, token):
    living = Holder.this_process(LEASE_S)  # both are this process, which lives
    write_claim(files, living, holds=False, token=token)
    if token == "0" * 32:
        with pytest.raises(RequestError, match="is being written by another driver"), hold(files):
            pytest.fail("it was ahead")
        assert list(read_claims(files)) == [token]
        return
    gone = subprocess.Popen(["sh", "-c", f"sleep 0.5; rm {files.root}/{FOLDER}/{token}.json"])
    with hold(files):
        assert token not in read_claims(files)
    gone.wait()


def test_a_paused_driver_that_was_replaced_notices_and_writes_no_more(files):
    with started("keep", files, 1.0, "elsewhere") as driver:
        assert line(driver) == "held"
        driver.send_signal(signal.SIGSTOP)
        with hold(files):
            before = int(files.read("written"))
            driver.send_signal(signal.SIGCONT)
            said = line(driver)
            assert int(files.read("written")) <= before + 1  # one may have been under way when it was paused
        assert driver.wait(10) == 0
    assert said.startswith("RunEndedError: another driver (host ")
    assert f"pid {os.getpid()}" in said
    assert str(files) in said


def test_the_main_thread_is_stopped_wherever_it_waits(files):
    with pytest.raises(RunEndedError, match="nothing was heard of this one"), hold(files, beat_s=0.05) as claim:
        files.delete(f"{FOLDER}/{claim.token}.json")
        time.sleep(30)
        pytest.fail("it was not told")


def test_what_holds_no_claim_any_more_may_not_write(files):
    claim = take(files)
    claim.check()
    files.delete(f"{FOLDER}/{claim.token}.json")
    with pytest.raises(RunEndedError, match="was removed"):
        claim.check()


@pytest.mark.parametrize(
    "error", [OSError("no answer"), RuntimeError("can't start new thread"), MemoryError()], ids=repr
)
def test_a_beat_that_cannot_be_given_costs_nobody_the_lease(files, monkeypatch, error):
    asked, beats = threading.Event(), threading.Event()

    def exists(*_: object) -> bool:
        asked.set()
        raise error

    with hold(files, beat_s=0.01) as claim:
        with monkeypatch.context() as patch:
            patch.setattr(LocalFiles, "exists", exists)
            assert asked.wait(10)
        write = LocalFiles.write
        monkeypatch.setattr(LocalFiles, "write", lambda *arguments: beats.set() or write(*arguments))
        assert beats.wait(10)
        claim.check()


def test_a_storage_that_hangs_does_not_hold_a_driver_that_ends(files, monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr(lease, "PARTING_S", 0.1)
    claim = take(files)
    keeper = lease.Keeper(claim, beat_s=0.01)
    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "exists", lambda *_: answers.wait(60) and False)
        began = time.monotonic()
        with keeper:
            time.sleep(0.2)
        assert time.monotonic() - began < 10
        answers.set()  # what it says now, that the claim is gone, is nothing to anybody
        keeper.thread.join(10)
    assert not keeper.lost


def test_an_interrupt_is_still_one(files):
    with pytest.raises(KeyboardInterrupt), hold(files):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)
    assert read_claims(files) == {}


def test_a_driver_may_be_killed_at_any_line_and_the_next_one_gets_in(files):
    with started("die_everywhere", files) as driver:
        assert int(line(driver)) > 100


def test_of_many_that_compete_never_two_are_in(files):
    with contextlib.ExitStack() as stack:
        drivers = [stack.enter_context(started("compete", files, 2.0)) for _ in range(4)]
        entered = [int(line(driver)) for driver in drivers]
        assert [driver.wait() for driver in drivers] == [0] * 4
    assert sum(entered) > 4
    assert read_claims(files) == {}


def test_a_full_disk_is_said_before_anything_is_claimed(files, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(RequestError, match="cannot be claimed for writing"), hold(files):
        pytest.fail("it was not written")
    assert list((files.root / FOLDER).iterdir()) == []


def test_a_claim_that_is_damaged_is_named(files):
    files.write(f"{FOLDER}/aa.json", b"{")
    with pytest.raises(RequestError, match=r"the claim \.driver/aa\.json in .* cannot be read"), hold(files):
        pytest.fail("it may be somebody's")
