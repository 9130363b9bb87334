"""What a running trial keeps with the run log until it has its row: `runs/<study>/.running/`.

    <key>/checkpoint.safetensors  where its training stands: a process that takes its place goes on from there
    <key>/rows.json               the epochs that its workers have behind them, for the trial's own process
    <key>/environment.json        what its row says of the machine
    <key>/allowed.json            the epoch up to which a scheduler has let it go on
    <key>/starts.json             how often its workers were started
    <key>/end.json                its workers are told to end
    waiting/<key>.json            since when it has waited for workers, and for which; gone once it has them

Every machine of a cluster sees it, in an object store as well. It is no record: whatever of it is missing or of a dead run
costs time, never a number.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from foresight.runlog import RunLog
from foresight.tuning.ray_runtime import REPOSITORY

if TYPE_CHECKING:
    from foresight.config import TrialConfig
    from foresight.train.checkpoint import Checkpoint
    from foresight.train.task import Context

FOLDER = ".running"
CHECKPOINT = "checkpoint.safetensors"
OF_AN_ATTEMPT = ("rows.json", "environment.json", "allowed.json", "starts.json", "end.json")


@dataclass(frozen=True)
class Waiting:
    """A trial that has no worker yet, or none any more."""

    key: str
    since: float  # seconds since 1970, by the clock of the trial's own machine
    wanted: str


class TrialScratch:
    """The scratch of one trial."""

    def __init__(self, log: RunLog, key: str):
        self.key, self.files, self.claim = key, log.files.shared, log.claim
        self.waiting = f"{FOLDER}/waiting/{key}.json"

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
        name = self._name(CHECKPOINT)

        def read() -> bytes | None:
            return self.files.read(name) if self.files.exists(name) else None

        def write(content: bytes) -> None:
            self.files.write(name, content)

        return Checkpoint(read, write, identity, every_s)

    def begin(self, wanted: str) -> None:
        """A new attempt of the trial: its workers have not been started yet."""
        for name in OF_AN_ATTEMPT:
            self.files.delete(self._name(name))
        self.wait_for(wanted)

    def wait_for(self, wanted: str) -> None:
        """The trial has no workers, or not all of them."""
        self.files.write(self.waiting, json.dumps({"since": time.time(), "wanted": wanted}).encode())

    @property
    def is_waiting(self) -> bool:
        return self.files.exists(self.waiting)

    def count_start(self) -> int:
        """The trial has its workers; how often it has been given them, this time included."""
        n_starts = int(self._read("starts.json") or 0) + 1
        self._write("starts.json", n_starts)
        self.stop_waiting()
        return n_starts

    def stop_waiting(self) -> None:
        self.files.delete(self.waiting)

    def write_rows(self, rows: Iterable[Mapping[str, float]]) -> None:
        self._write("rows.json", list(rows))

    def read_rows(self) -> list[dict[str, float]]:
        return self._read("rows.json") or []

    def write_environment(self, columns: Mapping[str, Any]) -> None:
        self._write("environment.json", dict(columns))

    def read_environment(self) -> dict[str, Any]:
        return self._read("environment.json") or {}

    def allow(self, epoch: float) -> None:
        self._write("allowed.json", epoch)

    def allowed_epoch(self) -> float:
        return float(self._read("allowed.json") or 0.0)

    def tell_to_end(self) -> None:
        self._write("end.json", True)

    def is_told_to_end(self) -> bool:
        return self.files.exists(self._name("end.json"))

    def remove_checkpoint(self) -> None:
        """The trial has its row, or will never be gone on with; all that is left of one without workers."""
        self.files.delete(self._name(CHECKPOINT))
        self._tidy()

    def remove(self) -> None:
        """As `remove_checkpoint`, of a trial on several workers."""
        self.remove_checkpoint()
        for name in (*map(self._name, OF_AN_ATTEMPT), self.waiting):
            self.files.delete(name)
        self._tidy()

    def _tidy(self) -> None:
        """A process may have died while it wrote gigabytes."""
        self.files.tidy(f"{FOLDER}/{self.key}")

    def _name(self, name: str) -> str:
        return f"{FOLDER}/{self.key}/{name}"

    def _write(self, name: str, content: Any) -> None:
        """Raises RunEndedError where another driver has taken over the run log: it would end that one's workers."""
        if self.claim is not None:
            self.claim.check()
        self.files.write(self._name(name), json.dumps(content).encode())

    def _read(self, name: str) -> Any:
        try:
            return json.loads(self.files.read(self._name(name)))
        except FileNotFoundError:
            return None


def waiting_trials(log: RunLog) -> list[Waiting]:
    """The trials that wait for workers, longest first."""
    files, found = log.files.shared, []
    for name in files.listing(f"{FOLDER}/waiting"):
        try:
            content = json.loads(files.read(f"{FOLDER}/waiting/{name}"))
        except FileNotFoundError:  # it has got its workers meanwhile
            continue
        found.append(Waiting(name.removesuffix(".json"), **content))
    return sorted(found, key=lambda waiting: waiting.since)


def forget_finished(log: RunLog) -> None:
    """Removes the scratch of trials that have ended well: their processes died between the row and the cleaning up.

    For a driver before it starts any: of those that wait for workers none is left, either.
    """
    for name in log.files.shared.listing(f"{FOLDER}/waiting"):
        log.files.shared.delete(f"{FOLDER}/waiting/{name}")
    ended = {key for key, status in log.statuses().items() if status != "failed"}  # a failed one may go on from there
    for key in ended.intersection(log.files.shared.folders(FOLDER)):
        TrialScratch(log, key).remove()


@cache
def code_hash() -> str:
    """A hash over the source of `foresight`: two halves of a training must be of one code."""
    digest = sha256()
    for path in sorted((REPOSITORY / "foresight").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
