"""`--wandb`: while a sweep runs, a process beside it sends finished trials to W&B (`foresight.tuning.wandb_mirror`).

A process of its own, with the lowest claim on the processor: what W&B does, or fails to do, never reaches the driver. While
times are measured it stands still.
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
from foresight.tuning.wandb_mirror import SENT

PATIENCE_S = 120.0  # after the last trial, without one that was sent meanwhile
PARTING_S = 2.0  # where the sweep was interrupted
NICENESS = 19


class Mirror:
    """What a sweep knows of W&B: whether a process is to run beside it, and when that has to stand still."""

    def __init__(self, log: RunLog, wanted: bool, console: Console):
        self.log, self.wanted, self.console = log, wanted, console
        self.heard = time.monotonic()
        self.process: subprocess.Popen[str] | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Finished trials are sent during the block and after it, if that is wanted. Raises nothing of its own."""
        if not self.wanted:
            yield
            return
        self._start()
        try:
            yield
        except BaseException:
            self._end(PARTING_S)
            raise
        if not self._end(PATIENCE_S):
            again = f"python -m foresight.tuning.wandb_mirror {self.log.root}"
            self.console.print(f"what W&B did not take is sent by: {again}", soft_wrap=True)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is sent during the block: it measures times."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "foresight.tuning.wandb_mirror", str(self.log.root), "--follow"],
            stdin=subprocess.PIPE,  # closed when this process ends, however it ends
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
            start_new_session=True,  # Ctrl-C is the driver's
        )
        os.setpriority(os.PRIO_PROCESS, self.process.pid, NICENESS)
        self.listener = threading.Thread(target=self._pass_on, args=(self.process,), daemon=True)
        self.listener.start()

    def _pass_on(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.heard = time.monotonic()
            if not line.startswith(SENT):
                self.console.print(line.rstrip(), soft_wrap=True)

    def _end(self, patience_s: float) -> bool:
        """Waits as long as trials are being sent, or `patience_s` without one. Returns whether all of them were."""
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.close()
        self.heard = time.monotonic()
        try:
            while self.process.poll() is None and time.monotonic() - self.heard < patience_s:
                time.sleep(0.05)
        finally:
            self._signal(signal.SIGKILL)  # with what W&B has started
            code = self.process.wait()
            self.listener.join(PARTING_S)
        return code == 0

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
