"""A room to break things in: of its own are the processes, the mounts and one small disk, and all of it goes with the suite.

Where the system lets us (root, or user namespaces), the suite starts itself again as the first process of a namespace: when
it ends, however it ends, the kernel ends everything that it started. Elsewhere it adopts what its children leave behind and
ends that itself, and there is no small disk to fill.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

INSIDE = "FORESIGHT_CHAOS_ROOM"  # in the environment of a suite that has been started again
NAMESPACE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
DISK_BYTES = 400 * 2**20  # a study wants 200 MiB free before it starts
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def enter_room() -> None:
    """Starts this command again in a namespace of its own where that is allowed, and does not return then."""
    system = ctypes.CDLL(None)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup it outlives its shell
        system.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # what starts the suite ends it, too
    system.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if INSIDE not in os.environ:
        for command in (NAMESPACE, (NAMESPACE[0], "--map-root-user", *NAMESPACE[1:])):
            if shutil.which(command[0]) and not subprocess.run([*command, "true"], capture_output=True).returncode:
                os.environ[INSIDE] = "yes"
                os.execvp(command[0], [*command, sys.executable, *sys.argv])


def mount_disk(folder: Path) -> bool:
    """A file system of DISK_BYTES at `folder`; False where we may not mount."""
    folder.mkdir()
    if INSIDE not in os.environ:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "chaos", str(folder)]
    return not subprocess.run(command, capture_output=True).returncode


def unmount_disk(folder: Path) -> None:
    """Lets go of a disk, also while somebody is still in it."""
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def started_processes() -> list[psutil.Process]:
    """Every living process that we started, or that was started by one of them."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
            elif process.ppid() == os.getpid() and process.pid not in _waited_for():
                os.waitpid(process.pid, os.WNOHANG)  # an orphan that we adopted
        except (psutil.Error, ChildProcessError):
            continue
    return found


def titled(what: str) -> list[psutil.Process]:
    """Those of the started processes whose command line holds `what`; Ray's workers say there what they are at."""
    return [process for process in started_processes() if what in title_of(process)]


def title_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def end_all(timeout_s: float = 60) -> None:
    """kill -9 for everything that was started, as a power cut does.

    Nothing waits for a process by its id here: that would take its exit code from the Popen which is to tell it.
    """
    until = time.monotonic() + timeout_s
    while (left := started_processes()) and time.monotonic() < until:
        for process in left:
            if process.is_running():
                process.kill()
        time.sleep(0.05)


OWN_CHILDREN: set[int] = set()  # those that a Popen waits for


def _waited_for() -> set[int]:
    return OWN_CHILDREN
