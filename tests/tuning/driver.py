"""Runs a study's script as people do, in a process group of its own, and looks at what it leaves behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from foresight.runlog import RunLog

HERE = Path(__file__).parent
MARK = "FORESIGHT_TEST_STUDY"  # in the environment of the driver, and so of everything it starts


@dataclass(frozen=True)
class Ended:
    """How a command ended, and how long it took since it was started or was told to end."""

    code: int
    out: str
    err: str
    wall_s: float


class Study:
    """A study's script with a run directory of its own below `folder`."""

    def __init__(self, script: str, folder: Path, cache: Path | str):
        self.script, self.folder, self.cache = HERE / script, folder, cache
        self.log = RunLog(folder / "runs" / self.script.stem)
        folder.mkdir()

    def start(self, *flags: str, python: tuple[str, ...] = ()) -> "Running":
        command = [sys.executable, *python, self.script, "--scale", "tiny", "--runs", "runs", *flags]
        return Running(self, [str(part) for part in command])

    def run(self, *flags: str, python: tuple[str, ...] = ()) -> Ended:
        return self.start(*flags, python=python).wait()

    def processes(self) -> list[psutil.Process]:
        """Every living process that was started on behalf of this study, Ray's own included."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def left_behind(self) -> list[psutil.Process]:
        """The processes that do not end by themselves: Ray ends its own a moment after the command."""
        until = time.monotonic() + 120
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.2)
        return left

    def listens(self) -> set[str]:
        """The addresses that its processes listen at, and their children, which may hide whose they are."""
        found = set()
        for process in self.processes():
            try:
                for one in (process, *process.children(recursive=True)):
                    found |= {c.laddr.ip for c in one.net_connections("inet") if c.status == psutil.CONN_LISTEN}
            except psutil.Error:
                continue
        return {address.removeprefix("::ffff:") for address in found}

    def training(self) -> set[int]:
        """Process ids of Ray's workers that are in an epoch of a trial at this moment."""
        return self.at_work("Trainable.train")

    def at_work(self, title: str) -> set[int]:
        """Process ids of Ray's workers that are in a call of this name at this moment."""
        return {process.pid for process in self.processes() if title in _title(process)}

    def written(self) -> dict[str, int]:
        """Key to the time its trial.parquet was written."""
        return {path.parent.name: path.stat().st_mtime_ns for path in self.log.trials_dir.glob("*/trial.parquet")}

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


class Running:
    """A command that was started and not yet waited for."""

    def __init__(self, study: Study, command: list[str]):
        self.study = study
        # Files, not pipes: a process that outlives the driver would keep a pipe open.
        self.out, self.err = study.folder / "out.txt", study.folder / "err.txt"
        self.started = time.monotonic()
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                stdout=out,
                stderr=err,
                cwd=study.folder,
                # Ray's workers run at niceness 15, and what a test does beside them at 0 would take their time.
                env=os.environ
                | {"FORESIGHT_CACHE": str(study.cache), MARK: str(study.folder), "RAY_worker_niceness": "0"},
                start_new_session=True,
            )

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float = 600) -> None:
        """Returns as soon as `condition` holds; fails when the command ends before, or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{what}: did not happen\n{self.out.read_text()}\n{self.err.read_text()}")
            time.sleep(0.05)

    def interrupt(self, number: signal.Signals) -> Ended:
        """Sends Ctrl-C as a terminal does, to the whole group, or SIGTERM as a scheduler does, to the driver."""
        self.started = time.monotonic()
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.wait()

    def wait(self, timeout_s: float = 900) -> Ended:
        try:
            code = self.process.wait(timeout_s)
        finally:
            self.stop()
        return Ended(code, self.out.read_text(), self.err.read_text(), time.monotonic() - self.started)

    def stop(self) -> None:
        """Nothing of a test that failed may go on running."""
        if self.process.poll() is None:
            for process in self.study.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self.process.wait()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
