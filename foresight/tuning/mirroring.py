"""`--wandb`: while a sweep runs, a process beside it sends finished trials to W&B (`foresight.tuning.wandb_mirror`).

A process of its own, with the lowest claim on the processor: what W&B does, or fails to do, never reaches the driver.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from rich.console import Console

from foresight.runlog import RunLog
from foresight.tuning.ray_runtime import REPOSITORY
from foresight.tuning.sweep import Placement
from foresight.tuning.wandb_mirror import SENT

PATIENCE_S = 120.0  # after the last trial, without one that was sent meanwhile
PARTING_S = 2.0  # where the sweep was interrupted
NICENESS = 19


class Mirror:
    """Runs beside the trials of a sweep; after them where they are timed, as nothing of ours may run then."""

    def __init__(self, log: RunLog, placement: Placement, console: Console):
        self.log, self.placement, self.console = log, placement, console
        self.heard = time.monotonic()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Finished trials are sent during the block and after it, if that is wanted. Raises nothing of its own."""
        if not self.placement.wandb:
            yield
            return
        process = None if self.placement.alone else self._start()
        try:
            yield
        except BaseException:
            if process is not None:
                self._end(process, PARTING_S)
            raise
        if not self._end(process or self._start(), PATIENCE_S):
            again = f"python -m foresight.tuning.wandb_mirror {self.log}"
            self.console.print(f"W&B did not answer; {again} sends what is not sent", soft_wrap=True)

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "foresight.tuning.wandb_mirror", str(self.log.root), "--follow"],
            stdin=subprocess.PIPE,  # closed when this process ends, however it ends
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
            start_new_session=True,  # Ctrl-C is the driver's
        )
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        self.listener = threading.Thread(target=self._pass_on, args=(process,), daemon=True)
        self.listener.start()
        return process

    def _pass_on(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.heard = time.monotonic()
            if not line.startswith(SENT):
                self.console.print(line.rstrip(), soft_wrap=True)

    def _end(self, process: "subprocess.Popen[str]", patience_s: float) -> bool:
        """Waits as long as trials are being sent, or `patience_s` without one. Returns whether it ended by itself."""
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
        return answered
