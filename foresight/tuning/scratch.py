"""What a running trial keeps in the study's folder until it has its row: `runs/<study>/.running/<key>/`.

    checkpoint.safetensors  where its training stands: a process that takes its place goes on from there
    rows.json               the epochs that its workers have behind them, for the trial's own process
    environment.json        what its row says of the machine
    allowed                 the epoch up to which a scheduler has let it go on
    waiting.json            since when it has waited for workers, and for which; gone once it has them
    starts                  how often its workers were started
    end                     its workers are told to end

Every machine of a cluster sees it. It is no record: whatever of it is missing or of a dead run costs time, never a number.
"""

import json
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from foresight.runlog import RunLog
from foresight.storage.local import atomic_write_bytes
from foresight.tuning.ray_runtime import REPOSITORY

if TYPE_CHECKING:
    from foresight.config import TrialConfig
    from foresight.train.checkpoint import Checkpoint
    from foresight.train.task import Context

FOLDER = ".running"


@dataclass(frozen=True)
class Waiting:
    """A trial that has no worker yet, or none any more."""

    key: str
    since: float  # seconds since 1970, by the clock of the trial's own machine
    wanted: str


class TrialScratch:
    """The scratch folder of one trial."""

    def __init__(self, log: RunLog, key: str):
        self.key, self.folder = key, log.root / FOLDER / key

    def checkpoint(self, config: "TrialConfig", context: "Context", n_workers: int, every_s: float) -> "Checkpoint":
        """Where the training is kept at most every `every_s` seconds; only the same trial, code and machinery takes it up."""
        import torch

        from foresight.train.checkpoint import Checkpoint

        identity = {
            "key": config.key,
            "code": code_hash(),
            "torch": torch.__version__,
            "device": context.device,
            "lpips": context.lpips.trunk if context.lpips is not None else None,
            "workers": n_workers,
        }
        path = self.folder / "checkpoint.safetensors"
        return Checkpoint(
            lambda: path.read_bytes() if path.exists() else None,
            lambda content: atomic_write_bytes(path, content),
            identity,
            every_s,
        )

    def begin(self, wanted: str) -> None:
        """A new attempt of the trial: its workers have not been started yet."""
        for name in ("rows.json", "environment.json", "allowed", "starts", "end"):
            (self.folder / name).unlink(missing_ok=True)
        self.wait_for(wanted)

    def wait_for(self, wanted: str) -> None:
        self._write("waiting.json", {"since": time.time(), "wanted": wanted})

    @property
    def is_waiting(self) -> bool:
        return (self.folder / "waiting.json").exists()

    def count_start(self) -> int:
        """The trial has its workers; how often it has been given them, this time included."""
        n_starts = int(self._read("starts") or 0) + 1
        self._write("starts", n_starts)
        (self.folder / "waiting.json").unlink(missing_ok=True)
        return n_starts

    def write_rows(self, rows: Iterable[Mapping[str, float]]) -> None:
        self._write("rows.json", list(rows))

    def read_rows(self) -> list[dict[str, float]]:
        return self._read("rows.json") or []

    def write_environment(self, columns: Mapping[str, Any]) -> None:
        self._write("environment.json", dict(columns))

    def read_environment(self) -> dict[str, Any]:
        return self._read("environment.json") or {}

    def allow(self, epoch: float) -> None:
        self._write("allowed", epoch)

    def allowed_epoch(self) -> float:
        return float(self._read("allowed") or 0.0)

    def tell_to_end(self) -> None:
        self._write("end", True)

    def is_told_to_end(self) -> bool:
        return (self.folder / "end").exists()

    def remove(self) -> None:
        """The trial has its row, or will never be gone on with."""
        shutil.rmtree(self.folder, ignore_errors=True)  # of what cannot be removed nothing depends

    def _write(self, name: str, content: Any) -> None:
        atomic_write_bytes(self.folder / name, json.dumps(content).encode())

    def _read(self, name: str) -> Any:
        path = self.folder / name
        return json.loads(path.read_bytes()) if path.exists() else None


def waiting_trials(log: RunLog) -> list[Waiting]:
    """The trials that wait for workers, longest first."""
    found = []
    for path in (log.root / FOLDER).glob("*/waiting.json"):
        try:
            found.append(Waiting(path.parent.name, **json.loads(path.read_bytes())))
        except FileNotFoundError:  # it has got its workers meanwhile
            continue
    return sorted(found, key=lambda waiting: waiting.since)


def remove_all(log: RunLog) -> None:
    """Everything that trials of this run of the sweep have left: at its end all have their rows."""
    shutil.rmtree(log.root / FOLDER, ignore_errors=True)


@cache
def code_hash() -> str:
    """A hash over the source of `foresight`: two halves of a training must be of one code."""
    digest = sha256()
    for path in sorted((REPOSITORY / "foresight").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
