"""A round of the chaos suite: faults one after the other on one run directory, then the same command until it ends well."""

import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from chaos_arena import Arena, Command
from chaos_faults import Fault, Scene
from chaos_invariants import Ledger, Truth, faults_at_the_end, faults_now
from chaos_machines import MACHINES, Laptop, wait_for
from chaos_moments import Clock, Moment, draw_moment
from chaos_room import end_all, started_processes
from rich.console import Console

LIMIT_S = 1200.0  # a command that has not ended by then hangs
PAUSE_S = 0.1
MOST_COMMANDS = 3  # after the last fault: one that is refused while a dead head's driver still lives, one that runs


@dataclass
class Outcome:
    """What became of one fault."""

    fault: Fault
    moment: Moment
    hit: str = ""  # what it struck; empty: it came too late
    possible: bool = True
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """What the faults of a round have in common."""

    script: str
    flags: tuple[str, ...]
    machine: str


def draw_rounds(faults: Sequence[Fault], n: int, chain: int, seed: int) -> list[list[Outcome]]:
    """`n` faults, each kind as often as the others, in rounds of at most `chain` that share a setting; in random order.

    The moments of a round are in their order, as what is done stays done, and a fault that lets the study end is its last.
    """
    rng = random.Random(f"rounds {seed}")
    by_setting: dict[Setting, list[Outcome]] = {}
    deck: list[Fault] = []
    for _ in range(n):
        deck = deck or rng.sample(faults, len(faults))
        fault = deck.pop()
        by_setting.setdefault(setting_of(fault), []).append(Outcome(fault, draw_moment(fault.phases, rng)))
    rounds = []
    for waiting in by_setting.values():
        while waiting:
            length, taken = rng.randint(1, chain), [waiting.pop(0)]
            for outcome in list(waiting):
                together = sorted([*taken, outcome], key=lambda one: one.moment.place)
                if len(taken) < length and not any(one.fault.goes_on for one in together[:-1]):
                    taken = together
                    waiting.remove(outcome)
            rounds.append(taken)
    rng.shuffle(rounds)
    return rounds


def setting_of(fault: Fault) -> Setting:
    return Setting(fault.script, fault.flags, fault.machine)


class Campaign:
    """All rounds of one seed, and the undisturbed runs that they are held against: one for each script and its flags."""

    def __init__(self, seed: int, console: Console):
        self.seed, self.console = seed, console
        self.stack = ExitStack()
        self.undisturbed: dict[tuple[str, tuple[str, ...]], tuple[Arena, dict[str, float], Truth]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def play(self, number: int, outcomes: list[Outcome]) -> None:
        """One round. Something that did not hold is told with how to repeat it, and the round's files are kept."""
        setting, rng = setting_of(outcomes[0].fault), random.Random(f"{self.seed} {number}")
        other, lengths, truth = self._undisturbed(setting)
        with Arena(setting.script, setting.flags) as arena:
            past = arena.copy_past(other, outcomes[0].moment.phase, rng)
            self.console.print(f"round {number}: {setting.script} on a {setting.machine}, {past}")
            machine = MACHINES[setting.machine](arena)
            player = Round(arena, machine, other, lengths, rng)
            try:
                machine.begin()
                for outcome in outcomes:
                    player.strike(outcome)
                    self._tell(outcome)
                last = outcomes[-1]
                n_told = len(last.broken)
                last.broken += player.finish(truth)
                self._tell_broken(last.broken[n_told:])
            except AssertionError as error:
                outcomes[-1].broken.append(str(error))
                self._tell_broken([str(error)])
            if any(outcome.broken for outcome in outcomes):
                self._keep(arena, number)

    def _undisturbed(self, setting: Setting) -> tuple[Arena, dict[str, float], Truth]:
        known = setting.script, setting.flags
        if known not in self.undisturbed:
            self.console.print(f"{setting.script}: the undisturbed run")
            arena = self.stack.enter_context(Arena(*known))
            command = arena.start()
            clock, truth = Clock(command, arena), Truth()
            while command.code is None:
                clock.look()
                time.sleep(PAUSE_S)
            assert command.code == 0, f"the undisturbed run ended with {command.code}\n{command.text()}"
            broken = faults_at_the_end(arena.log, arena.log)
            assert not broken, broken
            truth.compare(arena.log, arena.cache)
            self.undisturbed[known] = arena, clock.lengths(), truth
            spent = ", ".join(f"{phase} {length:.0f} s" for phase, length in clock.lengths().items())
            self.console.print(f"  {len(truth.trials)} trials: {spent}")
            end_all()
        return self.undisturbed[known]

    def _tell(self, outcome: Outcome) -> None:
        hit = outcome.hit or ("too late" if outcome.possible else "not possible here: no disk may be mounted")
        self.console.print(f"  {outcome.fault.name} at {outcome.moment}: {hit}")
        self._tell_broken(outcome.broken)

    def _tell_broken(self, broken: list[str]) -> None:
        for sentence in broken:
            self.console.print(f"  DID NOT HOLD: {sentence}", style="red")

    def _keep(self, arena: Arena, number: int) -> None:
        kept = Path(tempfile.gettempdir()) / f"foresight-chaos-{self.seed}-{number}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(arena.log.root.parent, kept / "runs", dirs_exist_ok=True)
        for said in arena.root.glob("said-*.txt"):
            shutil.copy2(said, kept)
        self.console.print(f"  kept in {kept}; again with --seed {self.seed} --round {number} and the same flags")


class Round:
    """One run directory that is struck and goes on."""

    def __init__(
        self, arena: Arena, machine: Laptop, undisturbed: Arena, lengths: dict[str, float], rng: random.Random
    ):
        self.arena, self.machine, self.rng = arena, machine, rng
        self.other, self.lengths = undisturbed, lengths
        self.ledger = Ledger(arena.log)
        self.ledger.look()

    def strike(self, outcome: Outcome) -> None:
        """Runs the command, strikes when the moment has come, and looks at what is left."""
        fault = outcome.fault
        if fault.needs_disk and not self.arena.has_disk:
            outcome.possible = False
            return
        command = self.machine.start()
        scene = Scene(self.arena, self.machine, self.rng, command, self.watch)
        clock, has_come, lengths = Clock(command, self.arena), False, self.lengths_left()
        began = time.monotonic()
        while command.code is None and not outcome.hit:
            self.ledger.look()
            has_come = has_come or clock.has_come(outcome.moment, lengths)
            if has_come:
                outcome.hit = fault.strike(scene) or ""
            assert time.monotonic() - began < LIMIT_S, f"hangs before it was struck:\n{command.text()}"
            time.sleep(PAUSE_S)
        self.watch(command)
        if outcome.hit:
            scene.expect(command.code in fault.codes, f"the struck command ended with {command.code}\n{command.text()}")
            scene.expect("Traceback" not in command.text(), f"the struck command is at a loss\n{command.text()}")
            if fault.after is not None:
                fault.after(scene)
        self.ledger.look_at_files()
        outcome.broken += [*scene.broken, *faults_now(self.arena.log), *self.ledger.broken]
        self.ledger.broken = []

    def lengths_left(self) -> dict[str, float]:
        """Seconds of each phase, for as much as is left to do of it."""
        left = {phase: 1.0 - ours / theirs for phase, (ours, theirs) in _progress(self.arena, self.other).items()}
        return {phase: length * left.get(phase, 1.0) for phase, length in self.lengths.items()}

    def finish(self, truth: Truth) -> list[str]:
        """The same command until it ends well, once more when there is nothing to do, and what is wrong then."""
        broken = []
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
        broken += [*self.ledger.broken, *faults_at_the_end(self.arena.log, self.other.log)]
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
