"""The faults. A new kind is a function and a line of FAULTS."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from chaos_damage import change_claim, change_code, cut_power, fill_disk, free_disk, start_second
from chaos_deaths import (
    kill_cache_writer,
    kill_driver,
    kill_measurement,
    kill_over_workers,
    kill_raylet,
    kill_train_worker,
    kill_trial,
    lose_node,
    restart_head,
)
from chaos_scene import Scene


@dataclass(frozen=True)
class Fault:
    """`strike` says what it hit, or None while there is nothing to hit; `after` follows the end of the struck command."""

    name: str
    strike: Callable[[Scene], str | None]
    phases: tuple[str, ...]
    machine: str = "laptop"
    script: str = "chaos_study.py"
    flags: tuple[str, ...] = ()
    codes: tuple[int, ...] = (0, 1)  # with which the struck command may end
    after: Callable[[Scene], None] | None = None
    needs_disk: bool = False
    goes_on: bool = False  # the struck command goes on, and can be struck again


ANY = ("start-up", "sensitivity", "features", "trials", "latency", "end")
WORKING = ("sensitivity", "features", "trials", "latency")
TRIALS = ("trials",)
KILLED = (-signal.SIGKILL,)
KILLED_IN_A_SHELL = (*KILLED, 128 + signal.SIGKILL)  # a head runs a job's command in one
SHARED = ("--workers", "2")  # a trial's work is done by two processes of Ray Train

FAULTS = (
    Fault("driver", kill_driver, ANY, codes=KILLED),
    Fault("trial process", kill_trial, TRIALS, goes_on=True),
    Fault("cache writer", kill_cache_writer, ("sensitivity", "features"), goes_on=True),
    Fault("measuring process", kill_measurement, ("latency",)),
    Fault("power cut, torn writes", cut_power, ANY, codes=(*KILLED, 0)),  # 0: cut just after its end
    Fault("full disk", fill_disk, ANY, codes=(0, 1, 2), after=free_disk, needs_disk=True),
    Fault("two drivers", start_second, ANY, codes=(0,), goes_on=True),
    Fault("claim changed", kill_driver, WORKING, codes=KILLED, after=change_claim),
    Fault("code changed", kill_driver, WORKING, codes=KILLED, after=change_code),
    Fault("Train worker", kill_train_worker, TRIALS, flags=SHARED, goes_on=True),
    Fault("process over Train workers", kill_over_workers, TRIALS, flags=SHARED, goes_on=True),
    Fault("driver over Train workers", kill_driver, TRIALS, flags=SHARED, codes=KILLED),
    Fault("raylet of a node", kill_raylet, ("features", "trials", "latency"), machine="cluster", goes_on=True),
    Fault("node lost for good", lose_node, WORKING, machine="cluster", goes_on=True),
    Fault("raylet under Train workers", kill_raylet, TRIALS, machine="cluster", flags=SHARED, goes_on=True),
    Fault("head under a job", restart_head, WORKING, machine="job", codes=(-9, 1, 2, 0)),
    Fault("driver of a job", kill_driver, ANY, machine="job", codes=KILLED_IN_A_SHELL),
    Fault("driver of a search", kill_driver, ANY, script="chaos_search.py", codes=KILLED),
    Fault("trial process of a search", kill_trial, TRIALS, script="chaos_search.py", goes_on=True),
)
