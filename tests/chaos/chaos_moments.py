"""When a fault strikes: a phase of the study's life, and how far into it, as a share of what the undisturbed run took for it."""

import random
import time
from dataclasses import dataclass

from chaos_arena import Arena, Command
from chaos_room import started_processes, title_of

LOOK_S = 0.4  # between two looks at all processes: ten a second cost an eighth of a core
PHASES = ("start-up", "sensitivity", "features", "trials", "latency", "end")


@dataclass(frozen=True)
class Moment:
    """`features 0.31`: that share of the phase's time after it began."""

    phase: str
    share: float

    def __str__(self) -> str:
        return f"{self.phase} {self.share:.2f}"

    @property
    def place(self) -> tuple[int, float]:
        """By which moments are in order."""
        return PHASES.index(self.phase), self.share


def draw_moment(phases: tuple[str, ...], rng: random.Random) -> Moment:
    return Moment(rng.choice(phases), rng.random())


def phase_of(command: Command, arena: Arena) -> str:
    """The latest phase that there is evidence of: what was said, and what Ray's processes are at."""
    said = command.text()
    if "trials complete" in said or "proposals made:" in said:
        return "end"
    if "measuring the latency" in said:
        return "latency"
    titles = [title_of(process) for process in started_processes()]
    if any("Trainable" in title or "TrialActor" in title for title in titles):
        return "trials"
    if any("Extractor" in title for title in titles):
        return "features"
    return "sensitivity" if "checking that each" in said else "start-up"


class Clock:
    """Follows a command through its phases."""

    def __init__(self, command: Command, arena: Arena):
        self.command, self.arena = command, arena
        self.looked = time.monotonic()
        self.began = {PHASES[0]: self.looked}
        self.phase = PHASES[0]

    def look(self) -> str:
        """The phase it is in: never one before that of the last look."""
        if time.monotonic() - self.looked < LOOK_S:
            return self.phase
        phase, self.looked = phase_of(self.command, self.arena), time.monotonic()
        if PHASES.index(phase) > PHASES.index(self.phase):
            self.phase = phase
            self.began[phase] = self.looked
        return self.phase

    def has_come(self, moment: Moment, lengths: dict[str, float]) -> bool:
        """Whether the moment is here, or its phase over."""
        now, place = self.look(), PHASES.index(moment.phase)
        if PHASES.index(now) != place:
            return PHASES.index(now) > place
        return time.monotonic() - self.began[now] >= moment.share * lengths.get(now, 1.0)

    def lengths(self) -> dict[str, float]:
        """Seconds that each phase took, once the command has ended."""
        starts = list(self.began.items())
        ends = [start for _, start in starts[1:]] + [time.monotonic()]
        return {phase: end - start for (phase, start), end in zip(starts, ends, strict=True)}
