"""A campaign of the chaos suite: rounds of one seed, held against undisturbed runs, and told as they are played."""

import random
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from chaos_arena import Arena
from chaos_draw import Outcome, Setting, setting_of
from chaos_invariants import Truth, faults_at_the_end
from chaos_machines import MACHINES
from chaos_moments import Clock
from chaos_room import end_all
from chaos_round import PAUSE_S, Round
from rich.console import Console


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
        began = time.monotonic()
        with Arena(setting.script, setting.flags) as arena:
            past = arena.copy_past(other, [outcome.moment.phase for outcome in outcomes], rng)
            self.console.print(f"round {number}: {setting}, {past}")
            machine = MACHINES[setting.machine](arena)
            player = Round(arena, machine, other, lengths, rng)
            try:
                machine.begin()
                for outcome in outcomes:
                    player.strike(outcome)
                    self._tell(outcome, outcomes)
                outcomes[-1].broken += player.finish(truth)
            except AssertionError as error:
                outcomes[-1].broken.append(str(error))
            self._tell_broken(outcomes)
            if any(outcome.broken for outcome in outcomes):
                self._keep(arena, number)
        self.console.print(f"  {time.monotonic() - began:.0f} s")

    def _undisturbed(self, setting: Setting) -> tuple[Arena, dict[str, float], Truth]:
        known = setting.script, setting.flags
        if known not in self.undisturbed:
            self.console.print(f"{' '.join((setting.script, *setting.flags))}: the undisturbed run")
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

    def _tell(self, outcome: Outcome, of_round: list[Outcome]) -> None:
        hit = outcome.hit or ("too late" if outcome.possible else "not possible here: no disk may be mounted")
        self.console.print(f"  {outcome.fault.name} at {outcome.moment}: {hit}")
        self._tell_broken(of_round)

    def _tell_broken(self, outcomes: list[Outcome]) -> None:
        """What was found since the last time. It may be of a fault before the last one, whose command went on."""
        for outcome in outcomes:
            for sentence in outcome.broken[outcome.n_told :]:
                self.console.print(f"  DID NOT HOLD after {outcome.fault.name}: {sentence}", style="red")
            outcome.n_told = len(outcome.broken)

    def _keep(self, arena: Arena, number: int) -> None:
        kept = Path(tempfile.gettempdir()) / f"foresight-chaos-{self.seed}-{number}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(arena.log.root.parent, kept / "runs", dirs_exist_ok=True)
        for said in arena.root.glob("said-*.txt"):
            shutil.copy2(said, kept)
        self.console.print(f"  kept in {kept}; again with --seed {self.seed} --round {number} and the same flags")
