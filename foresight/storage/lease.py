"""The lease of a folder: one driver writes it at a time, on whatever storage it lies.

    .driver/<token>.json    who claims the folder; written once, by the driver
    .driver/<token>.beat    written anew every few seconds by the driver that holds it

It needs no lock and no atomic rename, so it is the same on a laptop, on NFS and on an object store. What it needs is that a
listing shows whatever was written before it began, as POSIX, S3 and GCS promise. A driver writes its claim first and looks
then: of two that start at once, at least one sees the other, so they never both find themselves alone. Of two that only
ask, the smaller token waits and the larger gives up.

The claim of a dead driver is removed by the next one: at once where its process number can be looked up, and from another
machine after the `lease_s` seconds without a beat that it declares; times are compared as the storage gave them, so clocks
need not agree. A driver that was only paused for so long finds its claim gone: it stops, and `Claim.check`, asked before
every write here and in the processes of its trials, refuses. Not excluded is a write that was checked before the pause and
lands after it, as no storage we use could tell it from a rightful one.
"""

import contextlib
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from foresight.errors import RequestError, RunEndedError
from foresight.storage.holder import Holder
from foresight.storage.local import Seen

FOLDER = ".driver"
BEAT_S = 10.0
LEASE_S = 120.0  # twelve beats: a storage that stutters for a minute costs nobody the lease
PARTING_S = 5.0  # that a driver which ends waits for its last sign of life
PAUSE_S = 0.2  # between two looks at those who are ahead


class Files(Protocol):
    """What a lease needs of a storage."""

    def write(self, name: str, content: bytes) -> object: ...
    def read(self, name: str) -> bytes: ...
    def exists(self, name: str) -> bool: ...
    def delete(self, name: str) -> None: ...
    def listing(self, folder: str) -> dict[str, Seen]: ...


class TakenOverError(KeyboardInterrupt):
    """Raised in the main thread of a driver that has lost its folder; no `except Exception` may go on."""


@dataclass(frozen=True)
class Claim:
    """A driver's right to write. It can travel to the processes of its trials."""

    files: Files
    token: str

    def check(self) -> None:
        """Raises RunEndedError when the claim is no longer there."""
        if not self.files.exists(f"{FOLDER}/{self.token}.json"):
            raise RunEndedError(_lost(self.files))


@dataclass(frozen=True)
class Standing:
    """A claim as others see it."""

    token: str
    holder: Holder
    sign_ns: int  # the last sign of its driver, by the clock of the storage
    holds: bool  # or only asks


@contextlib.contextmanager
def hold(files: Files, beat_s: float = BEAT_S, lease_s: float = LEASE_S) -> Iterator[Claim]:
    """Holds the folder for the block.

    Raises RequestError naming the driver that holds it, and RunEndedError when another one has taken it over meanwhile.
    """
    claim = take(files, lease_s)
    keeper = Keeper(claim, beat_s)
    try:
        with keeper:
            yield claim
    except KeyboardInterrupt as error:
        if keeper.lost:
            raise RunEndedError(_lost(files)) from error
        raise
    finally:
        with contextlib.suppress(OSError):  # a storage that is lost keeps the claim until another driver finds it dead
            end_claim(files, claim.token)


def take(files: Files, lease_s: float = LEASE_S) -> Claim:
    """Claims the folder for this process. Raises RequestError when another driver holds it, or asks for it at the same time."""
    claim = Claim(files, uuid.uuid4().hex)
    holder = Holder.this_process(lease_s)
    try:
        files.write(f"{FOLDER}/{claim.token}.json", holder.to_json())
    except OSError as error:
        raise RequestError(f"{files} cannot be claimed for writing ({error.strerror or error})") from error
    try:
        _await_turn(claim)
        _remove_stray_beats(files)
        files.write(f"{FOLDER}/{claim.token}.beat", b"")
    except BaseException:
        end_claim(files, claim.token)
        raise
    return claim


def read_claims(files: Files) -> dict[str, Standing]:
    """Every claim on the folder, by its token. Raises RequestError for one that cannot be read."""
    seen = files.listing(FOLDER)
    found = {}
    for name, claimed in seen.items():
        token, _, kind = name.partition(".")
        if kind == "json":
            with contextlib.suppress(FileNotFoundError):  # given up meanwhile
                try:
                    holder = Holder.from_json(files.read(f"{FOLDER}/{name}"))
                except ValueError as error:
                    raise RequestError(
                        f"the claim {FOLDER}/{name} in {files} cannot be read ({error}); delete it if no driver is running"
                    ) from error
                beat = seen.get(f"{token}.beat")
                found[token] = Standing(token, holder, (beat or claimed).mtime_ns, beat is not None)
    return found


def end_claim(files: Files, token: str) -> None:
    """Removes a claim. It ends with its first file, so a process may die in between."""
    files.delete(f"{FOLDER}/{token}.json")
    files.delete(f"{FOLDER}/{token}.beat")


def _remove_stray_beats(files: Files) -> None:
    """What a driver wrote while its claim was being removed."""
    names = files.listing(FOLDER)
    for name in names:
        if name.endswith(".beat") and name.replace(".beat", ".json") not in names:
            files.delete(f"{FOLDER}/{name}")


def _await_turn(claim: Claim) -> None:
    """Returns when no other claim is left that lives. Raises RequestError for one that does."""
    began, waits_for = time.monotonic(), ""
    while True:
        standing = read_claims(claim.files)
        own = standing.pop(claim.token, None)
        if own is None:
            raise RequestError(f"the claim on {claim.files} was removed while it was made; start again")
        waited_s = time.monotonic() - began
        others = [other for other in standing.values() if not _is_dead(other, own, waited_s)]
        for other in standing.values():
            if other not in others:
                end_claim(claim.files, other.token)
        if not others:
            return
        for other in others:
            if _stays(other, own):
                raise RequestError(
                    f"{claim.files} is being written by another driver ({other.holder}); wait for it or stop it"
                )
            if other.holder.lives() is None and waits_for != other.token:
                waits_for = other.token
                left_s = other.holder.lease_s - (own.sign_ns - other.sign_ns) / 1e9
                print(
                    f"looking whether the other driver ({other.holder}) still lives: {max(left_s, 0):.0f} s at most",
                    file=sys.stderr,
                )
        time.sleep(PAUSE_S)


def _is_dead(other: Standing, own: Standing, waited_s: float) -> bool:
    lives = other.holder.lives()
    if lives is not None:
        return not lives
    return (own.sign_ns - other.sign_ns) / 1e9 + waited_s > other.holder.lease_s


def _stays(other: Standing, own: Standing) -> bool:
    """Whether there is nothing to wait for: the other holds the folder and lives, or is ahead of this one."""
    if not other.holds:
        return other.token < own.token
    return other.holder.lives() is True or other.sign_ns > own.sign_ns


def _lost(files: Files) -> str:
    holding = [str(standing.holder) for standing in read_claims(files).values()]
    by = f"another driver ({holding[-1]}) has taken over {files}" if holding else f"the claim on {files} was removed"
    return f"{by}, as nothing was heard of this one; it has stopped, and every finished trial is kept"


class Keeper:
    """Shows that a driver lives, and stops its main thread when the folder has been taken over."""

    def __init__(self, claim: Claim, beat_s: float):
        self.claim, self.beat_s = claim, beat_s
        self.lost = False
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True, name="lease")

    def __enter__(self) -> None:
        # A thread cannot raise in another one but by a signal; Ray and we use none of these for anything else.
        self.is_main = threading.current_thread() is threading.main_thread()
        self.before = signal.signal(signal.SIGUSR1, self._stop) if self.is_main else None
        self.thread.start()

    def __exit__(self, *exception: object) -> None:
        self.ended.set()
        self.thread.join(PARTING_S)  # a storage that does not answer may hold it for minutes
        if self.is_main:
            signal.signal(signal.SIGUSR1, self.before)

    def _stop(self, signum: int, frame: object) -> None:
        if not self.ended.is_set():
            raise TakenOverError

    def _beat(self) -> None:
        while not self.ended.wait(self.beat_s):
            # A storage that does not answer is no loss: whoever takes the folder over needs it as well. Nor is a machine that
            # has no thread or memory for the request at this moment: without a next beat the folder would be taken over.
            with contextlib.suppress(OSError, RuntimeError, MemoryError):
                there = self.claim.files.exists(f"{FOLDER}/{self.claim.token}.json")
                if self.ended.is_set():  # while the storage was asked
                    return
                if not there:
                    self.lost = True
                    if self.is_main:
                        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                    return
                self.claim.files.write(f"{FOLDER}/{self.claim.token}.beat", b"")
