"""What the tests of the lease start as processes of their own: `python lease_processes.py ROLE FOLDER ...`."""

import itertools
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from foresight.errors import RequestError, RunEndedError
from foresight.storage import holder, lease, local
from foresight.storage.local import LocalFiles

BEAT_S = 0.1


def keep(folder: str, lease_s: str, elsewhere: str) -> None:
    """Holds the folder and writes into it as fast as it can, until it may not; says why."""
    if elsewhere == "elsewhere":  # as seen from here: another machine, whose processes nobody else can look up
        holder.this_machine = lambda: "elsewhere"
    files = LocalFiles(Path(folder))
    try:
        with lease.hold(files, BEAT_S, float(lease_s)) as claim:
            files.write("written", b"0")
            print("held", flush=True)
            for n in itertools.count(1):
                claim.check()
                files.write("written", str(n).encode())
    except (RunEndedError, RequestError) as error:
        print(f"{type(error).__name__}: {error}", flush=True)


def compete(folder: str, seconds: str) -> None:
    """Takes the folder as often as it can get it, twice at least; whoever is in says so, and complains of company."""
    files, inside, n = LocalFiles(Path(folder)), Path(folder) / "inside", 0
    ends = time.monotonic() + float(seconds)
    while time.monotonic() < ends or n < 2:
        try:
            with lease.hold(files):
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails where somebody else is in
                time.sleep(0.002)
                inside.unlink()
                n += 1
        except RequestError:
            time.sleep(0.001)
    print(n, flush=True)


def die_everywhere(folder: str) -> None:
    """Kills a driver at each line of taking, renewing and giving back in turn; each time the next one must get in.

    Prints after how many lines nothing was left to die at.
    """
    codes = {Path(module.__file__ or "").name for module in (holder, lease, local)}
    os.fsync = lambda descriptor: None  # a process dies here, not the machine
    n = 0
    while True:
        child = os.fork()
        if child == 0:
            _die_at(n, codes)
            with lease.hold(LocalFiles(Path(folder)), 0.02) as claim:
                beat = Path(folder) / lease.FOLDER / f"{claim.token}.beat"
                before = beat.stat().st_mtime_ns
                while beat.stat().st_mtime_ns == before:
                    time.sleep(0.001)
            sys.settrace(None)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        with lease.hold(LocalFiles(Path(folder))):
            pass
        for name in os.listdir(Path(folder) / lease.FOLDER):
            assert name.endswith(".tmp"), name  # what was being written is nothing to anybody
            (Path(folder) / lease.FOLDER / name).unlink()
        if status == 0:
            print(n, flush=True)
            return
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        n += 1


def _die_at(nth: int, files: set[str]) -> None:
    import threading

    counted = [0]

    def trace(frame, event, argument):
        if Path(frame.f_code.co_filename).name not in files:
            return None
        if event == "line":
            counted[0] += 1
            if counted[0] > nth:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    threading.settrace(trace)
    sys.settrace(trace)


ROLES = {"keep": keep, "compete": compete, "die_everywhere": die_everywhere}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
