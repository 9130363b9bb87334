"""Which process holds something, so that others can name it, and those of its machine can tell whether it still runs."""

import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

SINCE = "%Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True)
class Holder:
    """A process. Its number means nothing on another machine, nor once another process has got it."""

    host: str
    pid: int
    machine: str  # where its number is valid: see `this_machine`
    started: str  # tells it from a later process of the same number
    since: str  # when it began to hold, in UTC
    lease_s: float  # after so long without a sign of it, other machines take it for dead

    @classmethod
    def this_process(cls, lease_s: float) -> "Holder":
        now = datetime.now(UTC).strftime(SINCE)
        pid = os.getpid()
        return cls(socket.gethostname(), pid, this_machine(), _start_of(pid), now, lease_s)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Holder":
        """Raises ValueError for what is none."""
        try:
            holder = cls(**json.loads(text))
            datetime.strptime(holder.since, SINCE)
            return holder
        except TypeError as error:
            raise ValueError(str(error)) from error

    @property
    def began(self) -> datetime:
        return datetime.strptime(self.since, SINCE).replace(tzinfo=UTC)

    def lives(self) -> bool | None:
        """Whether the process runs; None where only another machine can tell."""
        if self.machine != this_machine():
            return None
        try:
            ended = psutil.Process(self.pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
            return not ended and _start_of(self.pid) == self.started
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            return False

    def __str__(self) -> str:
        return f"host {self.host}, pid {self.pid}, since {self.since}"


def this_machine() -> str:
    """Within which process numbers are one set: host name, boot, and on Linux the namespace of a container."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [socket.gethostname(), boot.read_text().strip() if boot.exists() else f"{psutil.boot_time():.0f}"]
    return " ".join([*parts, str(namespace.readlink())] if namespace.is_symlink() else parts)


def _start_of(pid: int) -> str:
    """When a process began. On Linux in ticks since boot, which setting the clock does not change."""
    if not Path("/proc/stat").exists():
        return f"{psutil.Process(pid).create_time():.0f}"
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
