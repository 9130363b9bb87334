"""A round of the chaos suite: faults one after the other on one run directory, then the same command until it ends well."""

import random
import time
from dataclasses import dataclass, field
from functools import partial

from chaos_arena import Arena, Command
from chaos_draw import Outcome
from chaos_invariants import Ledger, Truth, faults_at_the_end, faults_now
from chaos_machines import Laptop, wait_for
from chaos_moments import Clock
from chaos_room import started_processes
from chaos_scene import Scene

LIMIT_S = 1200.0  # a command that has not ended by then hangs
PAUSE_S = 0.1
MOST_COMMANDS = 3  # after the last fault: one that is refused while a dead head's driver still lives, one that runs


@dataclass
class Running:
    """A command that runs, and what has struck it so far."""

    command: Command
    clock: Clock
    lengths: dict[str, float]  # seconds of each phase, for as much as was left to do of it
    began: float = field(default_factory=time.monotonic)
    struck: list[Outcome] = field(default_factory=list)

    @property
    def codes(self) -> set[int]:
        """With which it may end."""
        last = self.struck[-1].fault
        return {code for one in self.struck for code in one.fault.codes} if last.goes_on else set(last.codes)


class Round:
    """One run directory that is struck and goes on."""

    def __init__(
        self, arena: Arena, machine: Laptop, undisturbed: Arena, lengths: dict[str, float], rng: random.Random
    ):
        self.arena, self.machine, self.rng = arena, machine, rng
        self.other, self.lengths = undisturbed, lengths
        self.running: Running | None = None
        self.ledger = Ledger(arena.log)
        self.ledger.look()

    def strike(self, outcome: Outcome) -> None:
        """Runs the command, strikes when the moment has come, and looks at what is left once the command has ended."""
        fault = outcome.fault
        if fault.needs_disk and not self.arena.has_disk:
            outcome.possible = False
            return
        if self.running is not None and self.running.command.code is not None:
            self._judge(self.running)
        if self.running is None:
            self.running = self._follow(self.machine.start())
        running = self.running
        scene = Scene(self.arena, self.machine, self.rng, running.command, self.watch)
        has_come = False
        while running.command.code is None and not outcome.hit:
            self.ledger.look()
            has_come = has_come or running.clock.has_come(outcome.moment, running.lengths)
            if has_come:
                outcome.hit = fault.strike(scene) or ""
            assert time.monotonic() - running.began < LIMIT_S, f"hangs:\n{running.command.text()}"
            time.sleep(PAUSE_S)
        if scene.command is not running.command:
            running = self.running = self._follow(scene.command)
        if outcome.hit:
            running.struck.append(outcome)
        if not outcome.hit or not fault.goes_on:
            self._judge(running)
        if outcome.hit and fault.after is not None:
            fault.after(scene)
            self.ledger.look_at_files()
        outcome.broken += [*scene.broken, *self._news()]

    def _follow(self, command: Command) -> Running:
        left = {phase: 1.0 - ours / theirs for phase, (ours, theirs) in _progress(self.arena, self.other).items()}
        lengths = {phase: length * left.get(phase, 1.0) for phase, length in self.lengths.items()}
        return Running(command, Clock(command, self.arena), lengths)

    def _judge(self, running: Running) -> None:
        """Waits for a command's end and says what is wrong then, of the last fault that struck it."""
        command, self.running = running.command, None
        self.watch(command)
        self.ledger.look_at_files()
        if running.struck:
            broken = [*self._news(), *faults_now(self.arena.log)]
            if command.code not in running.codes:
                broken.append(f"the struck command ended with {command.code}\n{command.text()}")
            if "Traceback" in command.text():
                broken.append(f"the struck command is at a loss\n{command.text()}")
            running.struck[-1].broken += broken

    def _news(self) -> list[str]:
        """What the run log's ledger has found since the last time."""
        found, self.ledger.broken = self.ledger.broken, []
        return found

    def finish(self, truth: Truth) -> list[str]:
        """The same command until it ends well, once more when there is nothing to do, and what is wrong then."""
        broken = []
        if self.running is not None:
            self._judge(self.running)
        for _ in range(MOST_COMMANDS):
            command = self.machine.start()
            self.watch(command)
            if command.code != 2 or "another driver" not in command.text():
                break
            wait_for(partial(_has_gone, command), "the driver that is in the way ends")
        if command.code != 0:
            return [f"the last command ended with {command.code}\n{command.text()}"]
        again = self.machine.start()
        self.watch(again)
        if again.code != 0:
            broken.append(f"with nothing to do the command ended with {again.code}\n{again.text()}")
        self.ledger.look_at_files()
        broken += [*self._news(), *faults_at_the_end(self.arena.log, self.other.log)]
        return broken + truth.compare(self.arena.log, self.arena.cache)

    def watch(self, command: Command) -> None:
        """Returns when the command has ended, and looks at the run log all the while."""
        until = time.monotonic() + LIMIT_S
        while command.code is None:
            self.ledger.look()
            assert time.monotonic() < until, f"the command hangs:\n{command.text()}"
            time.sleep(PAUSE_S)


def _progress(arena: Arena, other: Arena) -> dict[str, tuple[int, int]]:
    """Phase -> how many of its files there are, here and in the undisturbed run."""
    files = {
        "features": lambda one: one.cache.glob("*/meta.json"),
        "trials": lambda one: one.log.trials_dir.glob("*/trial.parquet"),
        "latency": lambda one: (one.log.root / "latency").glob("*.parquet"),
    }
    return {phase: (len(list(find(arena))), len(list(find(other)))) for phase, find in files.items()}


def _has_gone(refused: Command) -> bool:
    """Whether the driver that a refused command names runs no more."""
    named = refused.text().rpartition("pid ")[2].split(",")[0]
    return all(str(process.pid) != named for process in started_processes())
