"""Which faults strike when: rounds of them, each on one run directory, drawn from a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from chaos_faults import Fault
from chaos_moments import Moment, draw_moment


@dataclass
class Outcome:
    """What became of one fault."""

    fault: Fault
    moment: Moment
    hit: str = ""  # what it struck; empty: it came too late
    possible: bool = True
    broken: list[str] = field(default_factory=list)
    n_told: int = 0  # of `broken`, those that were printed


@dataclass(frozen=True)
class Setting:
    """What the faults of a round have in common."""

    script: str
    flags: tuple[str, ...]
    machine: str

    def __str__(self) -> str:
        return f"{' '.join((self.script, *self.flags))} on a {self.machine}"


def draw_rounds(faults: Sequence[Fault], n: int, chain: int, seed: int) -> list[list[Outcome]]:
    """`n` faults, each kind as often as the others, in rounds of at most `chain` that share a setting; in random order.

    The moments of a round are in their order, as what is done stays done.
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
            length = rng.randint((chain + 1) // 2, chain)
            rounds.append(sorted(waiting[:length], key=lambda outcome: outcome.moment.place))
            del waiting[:length]
    rng.shuffle(rounds)
    return rounds


def setting_of(fault: Fault) -> Setting:
    return Setting(fault.script, fault.flags, fault.machine)
