"""`--wandb`: while a sweep runs, a process beside it sends finished trials to W&B (`foresight.tuning.wandb_mirror`).

A process of its own, with the lowest claim on the processor: what W&B does, or fails to do, never reaches the driver.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import IO

from rich.console import Console

from foresight.redaction import redact
from foresight.runlog import RunLog
from foresight.tuning.ray_runtime import REPOSITORY
from foresight.tuning.sweep import Placement
from foresight.tuning.wandb_mirror import SENT

PATIENCE_S = 120.0  # after the last trial, without one that was sent meanwhile
PARTING_S = 2.0  # where the sweep was interrupted
NICENESS = 19
ENDINGS = (0, 1, 2)  # exit codes of `foresight.tuning.wandb_mirror`, each with its sentence
MOST_CHARACTERS = 300  # of what is told of its death


class Mirror:
    """Runs beside the trials of a sweep; after them where they are timed, as nothing of ours may run then."""

    def __init__(self, log: RunLog, placement: Placement, console: Console):
        self.log, self.placement, self.console = log, placement, console
        self.heard = time.monotonic()
        self.spoke = False  # its last line says how it ended
        self.refused = ""
        self.complaints: IO[bytes]  # what it writes as it dies

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Finished trials are sent during the block and after it, if that is wanted. Raises nothing of its own."""
        if not self.placement.wandb:
            yield
            return
        with tempfile.TemporaryFile() as self.complaints:
            yield from self._beside()

    def _beside(self) -> Iterator[None]:
        beside = None if self.placement.alone else self._start()
        try:
            yield
        except BaseException:
            if beside is not None:
                self._end(beside, PARTING_S)
            raise
        process = beside or self._start()
        why = self._end(process, PATIENCE_S) if process is not None else self.refused
        if why:
            again = f"python -m foresight.tuning.wandb_mirror {self.log}"
            self.console.print(redact(f"{why}; {again} sends what is not sent"), soft_wrap=True)

    def _start(self) -> "subprocess.Popen[str] | None":
        """None where this machine starts no further process: then `refused` says why."""
        command = [sys.executable, "-m", "foresight.tuning.wandb_mirror", str(self.log.root), "--follow"]
        try:
            process = subprocess.Popen(
                [*command, *(["--url", self.log.place.url] if self.log.place.url else [])],
                stdin=subprocess.PIPE,  # closed when this process ends, however it ends
                stdout=subprocess.PIPE,
                stderr=self.complaints,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
                start_new_session=True,  # Ctrl-C is the driver's
            )
        except OSError as error:
            self.refused = f"no process for W&B can be started here ({error.strerror or error})"
            return None
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        self.listener = threading.Thread(target=self._pass_on, args=(process,), daemon=True)
        self.listener.start()
        return process

    def _pass_on(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.heard = time.monotonic()
            if not line.startswith(SENT):
                self.spoke = True
                self.console.print(line.rstrip(), soft_wrap=True)

    def _end(self, process: "subprocess.Popen[str]", patience_s: float) -> str:
        """Waits as long as trials are being sent, or `patience_s` without one. Returns what went wrong, or nothing.

        What it could say itself, as that W&B takes nothing, it has said.
        """
        assert process.stdin is not None
        process.stdin.close()
        self.heard = time.monotonic()
        try:
            while process.poll() is None and time.monotonic() - self.heard < patience_s:
                time.sleep(0.05)
        finally:
            answered = process.poll() is not None
            if not answered:
                os.killpg(process.pid, signal.SIGKILL)  # with what W&B has started
            process.wait()
            self.listener.join(PARTING_S)
        if not answered:
            return "W&B did not answer"
        return (
            ""
            if process.returncode in ENDINGS and self.spoke
            else f"the process for W&B has died ({self._cause(process)})"
        )

    def _cause(self, process: "subprocess.Popen[str]") -> str:
        self.complaints.seek(0)
        lines = self.complaints.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1][:MOST_CHARACTERS] if said else f"it ended with {process.returncode} and said nothing"
