"""What became of a proposal, as the sampler is told. Starts without optuna."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Outcome:
    """What became of a proposal: means over its seeds, one an objective; a stopped one's value at the epoch it reached."""

    state: Literal["complete", "stopped", "failed"]
    values: tuple[float, ...] = ()
    epoch: int = 0
