"""Runs a study's script as people do, in a process group of its own, and looks at what it leaves behind."""

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


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str
    wall_s: float


class Study:
    """A study's script with a run directory and a feature cache of its own below `folder`."""

    def __init__(self, script: str, folder: Path):
        self.script, self.folder = HERE / script, folder
        self.log = RunLog(folder / "runs" / self.script.stem)
        self.cache = folder / "cache"

    def start(self, *flags: str) -> "Running":
        return Running(self, flags)

    def run(self, *flags: str) -> Ended:
        return self.start(*flags).wait()

    def processes(self) -> list[psutil.Process]:
        """Every living process that was started on behalf of this study, Ray's own included."""
        return [p for p in psutil.process_iter() if self._is_ours(p)]

    def actors(self) -> set[int]:
        """Process ids of Ray's workers that hold a TrialActor."""
        return {p.pid for p in self.processes() if "TrialActor" in " ".join(_cmdline(p))}

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            environment = process.environ()
            return environment.get("FORESIGHT_CACHE") == str(self.cache) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


class Running:
    """A command that was started and not yet waited for."""

    def __init__(self, study: Study, flags: tuple[str, ...]):
        self.study = study
        self.started = time.monotonic()
        command = [sys.executable, study.script, "--scale", "tiny", "--runs", study.log.root.parent, *flags]
        # Files, not pipes: a process that outlives the driver would keep a pipe open.
        study.folder.mkdir(parents=True, exist_ok=True)
        self.out, self.err = study.folder / "out.txt", study.folder / "err.txt"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdout=out,
                stderr=err,
                cwd=study.folder,
                env=os.environ | {"FORESIGHT_CACHE": str(study.cache)},
                start_new_session=True,
            )

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float = 90) -> None:
        """Returns as soon as `condition` holds; fails when the command ends before, or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{what} did not happen\n{self.out.read_text()}\n{self.err.read_text()}")
            time.sleep(0.01)

    def interrupt(self, number: signal.Signals) -> Ended:
        """Sends Ctrl-C as a terminal does, to the whole group, or SIGTERM as a scheduler does, to the driver."""
        self.started = time.monotonic()
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.wait()

    def wait(self, timeout_s: float = 120) -> Ended:
        try:
            code = self.process.wait(timeout_s)
        finally:
            self.stop()
        return Ended(code, self.out.read_text(), self.err.read_text(), time.monotonic() - self.started)

    def stop(self) -> None:
        """Nothing of a test that failed may go on running."""
        if self.process.poll() is None:
            for process in self.study.processes():
                process.kill()
            self.process.wait()


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
