"""What a fault finds: a command that runs, its arena and machine, and what was wrong about it so far."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos_arena import Arena, Command
from chaos_machines import Laptop


@dataclass
class Scene:
    """A command that is to be struck. A fault may put another one in its place, which goes on in its stead."""

    arena: Arena
    machine: Laptop
    rng: random.Random
    command: Command
    watch: Callable[[Command], None]  # waits for a command's end, looking at the run log meanwhile
    broken: list[str] = field(default_factory=list)

    def expect(self, holds: bool, sentence: str) -> None:
        if not holds:
            self.broken.append(sentence)
