"""What a study has cost besides its trials: `side_costs.json` of its run log, by the kind of work.

The study whose command computes an entry of the feature cache pays for it; one that finds it there pays nothing.
"""

import json
import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import reduce

from foresight.errors import RequestError
from foresight.runlog import RunLog

NAME = "side_costs.json"
WORKS = {  # each in words
    "features": "computing features",
    "sensitivity": "the sensitivity check",
    "memory": "measuring memory",
    "latency": "measuring latency",
}
PAUSE_S = 10.0  # between two writes: what a killed command loses of its account


@dataclass(frozen=True)
class Held:
    """Seconds of GPUs that were held, and of processes on CPUs where there was no GPU."""

    gpu_s: float = 0.0
    cpu_s: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.gpu_s < math.inf and 0 <= self.cpu_s < math.inf):
            raise ValueError(f"{self} is no time")

    def __add__(self, other: "Held") -> "Held":
        return Held(self.gpu_s + other.gpu_s, self.cpu_s + other.cpu_s)


def read_side_costs(log: RunLog) -> dict[str, Held]:
    """What the commands of this run log took besides its trials, by WORKS; nothing without a record.

    Raises RequestError for a record that holds no such times.
    """
    path = log.root / NAME
    if not path.exists():
        return {}
    try:
        recorded = {work: Held(**held) for work, held in json.loads(path.read_text()).items()}
        if not recorded.keys() <= WORKS.keys():
            raise ValueError(f"a study has no {' '.join(recorded.keys() - WORKS.keys())}")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RequestError(
            f"{path} does not hold gpu_s and cpu_s of {', '.join(WORKS)}; restore it, or delete it: what this study has cost "
            "besides its trials is then not counted"
        ) from error
    return recorded


def sum_held(costs: Iterable[Held]) -> Held:
    return reduce(Held.__add__, costs, Held())


class SideCosts:
    """The account of one command, which goes on from the record."""

    def __init__(self, log: RunLog):
        self.log, self.written_at = log, time.monotonic()
        self.recorded = read_side_costs(log)
        self.is_written = True

    def add(self, work: str, process_s: float, gpus: float) -> None:
        """Adds seconds of processes that each held `gpus` for one of WORKS."""
        assert work in WORKS
        more = Held(gpu_s=process_s * gpus) if gpus else Held(cpu_s=process_s)
        self.recorded[work] = self.recorded.get(work, Held()) + more
        self.is_written = self.is_written and not process_s
        if time.monotonic() - self.written_at >= PAUSE_S:
            self.write()

    def write(self) -> None:
        self.written_at = time.monotonic()
        if not self.is_written:
            self.log.write(NAME, json.dumps({work: asdict(held) for work, held in self.recorded.items()}).encode())
            self.is_written = True
