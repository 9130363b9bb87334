"""The process beside a sweep: it may say nothing, die, or hang; the sweep ends as it would without it."""

import io
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from foresight.runlog import RunLog
from foresight.tuning import mirroring
from foresight.tuning.mirroring import Mirror
from foresight.tuning.sweep import Placement

SENDS_TWO = "import sys; print('W&B: hello'); print('sent a'); sys.stdin.read(); print('W&B: bye', flush=True)"
HANGS = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
DIES = "raise SystemExit(3)"
RAISES = "import os; raise OSError('no space left for ' + os.environ['WANDB_API_KEY'])"
IS_KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
ENDS_WITHOUT_A_WORD = "raise SystemExit(1)"


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def placement(tmp_path: Path) -> Placement:
    return Placement(tmp_path, slots=1, wandb=True)


def play(monkeypatch, code: str) -> list[subprocess.Popen]:
    """Runs `code` in the mirror's place. Returns the list that the processes will be in."""
    started, popen = [], subprocess.Popen

    def start(command: list[str], **given) -> subprocess.Popen:
        assert command[1:3] == ["-m", "foresight.tuning.wandb_mirror"]
        started.append(popen([sys.executable, "-c", code], **given))
        return started[-1]

    monkeypatch.setattr(mirroring.subprocess, "Popen", start)
    return started


def mirror(tmp_path: Path, placement: Placement, said: io.StringIO) -> Mirror:
    return Mirror(RunLog(tmp_path / "small"), placement, Console(file=said, width=200, highlight=False))


def test_without_the_flag_there_is_no_process(monkeypatch, tmp_path, placement, said):
    started = play(monkeypatch, DIES)
    with mirror(tmp_path, replace(placement, wandb=False), said).running():
        pass
    assert started == []


def test_what_it_says_is_passed_on_and_progress_is_not(monkeypatch, tmp_path, placement, said):
    (process,) = play_one(monkeypatch, SENDS_TWO, tmp_path, placement, said)
    assert said.getvalue() == "W&B: hello\nW&B: bye\n"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (DIES, "it ended with 3 and said nothing"),
        (RAISES, "OSError: no space left for [WANDB_API_KEY]"),
        (IS_KILLED, "it ended with -9 and said nothing"),
        (ENDS_WITHOUT_A_WORD, "it ended with 1 and said nothing"),
    ],
)
def test_one_that_dies_is_told_and_is_nothing_to_the_sweep(monkeypatch, tmp_path, placement, said, code, cause):
    monkeypatch.setenv("WANDB_API_KEY", "5ec4e7" * 7)
    play_one(monkeypatch, code, tmp_path, placement, said)
    again = f"python -m foresight.tuning.wandb_mirror {tmp_path / 'small'} sends what is not sent"
    assert said.getvalue() == f"the process for W&B has died ({cause}); {again}\n"


def test_a_machine_that_starts_no_further_process_goes_on_with_the_sweep(monkeypatch, tmp_path, placement, said):
    def refuse(*given: object, **others: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(mirroring.subprocess, "Popen", refuse)
    with mirror(tmp_path, placement, said).running():
        pass
    assert said.getvalue().startswith(
        "no process for W&B can be started here (Resource temporarily unavailable); python"
    )


def test_the_mirror_of_a_study_in_a_store_is_told_of_the_store(monkeypatch, tmp_path, placement, said):
    commands, popen = [], subprocess.Popen

    def start(command: list[str], **given) -> subprocess.Popen:
        commands.append(command)
        return popen([sys.executable, "-c", SENDS_TWO], **given)

    monkeypatch.setattr(mirroring.subprocess, "Popen", start)
    url = "s3://bucket/small?endpoint_override=127.0.0.1:1&scheme=http&region=x"
    with Mirror(RunLog(tmp_path / "small", url), placement, Console(file=said)).running():
        pass
    assert commands[0][-2:] == ["--url", url]


@pytest.mark.timeout(120)
def test_one_that_hangs_is_waited_for_a_while_and_ended_with_its_children(monkeypatch, tmp_path, placement, said):
    monkeypatch.setattr(mirroring, "PATIENCE_S", 1.0)
    started = play(monkeypatch, HANGS)
    children: list[psutil.Process] = []
    with mirror(tmp_path, placement, said).running():
        until = time.monotonic() + 60
        while not children and time.monotonic() < until:
            time.sleep(0.05)  # it has the lowest priority
            children = psutil.Process(started[0].pid).children()
    assert children
    assert "W&B did not answer; python -m foresight.tuning.wandb_mirror" in said.getvalue()
    _, left = psutil.wait_procs(children, timeout=10)
    assert left == []


def test_an_interrupt_waits_no_longer_than_a_moment_and_goes_through(monkeypatch, tmp_path, placement, said):
    monkeypatch.setattr(mirroring, "PARTING_S", 0.2)
    started = play(monkeypatch, HANGS)
    with pytest.raises(KeyboardInterrupt), mirror(tmp_path, placement, said).running():
        raise KeyboardInterrupt
    assert started[0].returncode is not None
    assert said.getvalue() == ""


def test_it_has_the_lowest_claim_on_the_processor(monkeypatch, tmp_path, placement, said):
    started = play(monkeypatch, SENDS_TWO)
    with mirror(tmp_path, placement, said).running():
        assert os.getpriority(os.PRIO_PROCESS, started[0].pid) == 19


def test_where_trials_are_timed_it_runs_after_them(monkeypatch, tmp_path, placement, said):
    started = play(monkeypatch, SENDS_TWO)
    with mirror(tmp_path, replace(placement, alone=True), said).running():
        assert started == []
    assert len(started) == 1
    assert said.getvalue() == "W&B: hello\nW&B: bye\n"


def play_one(monkeypatch, code: str, tmp_path: Path, placement: Placement, said: io.StringIO) -> list[subprocess.Popen]:
    started = play(monkeypatch, code)
    with mirror(tmp_path, placement, said).running():
        pass
    return started
