"""What computing features has cost a study: `feature_costs.json` of its run log.

The study whose command computes an entry of the feature cache pays for it; one that finds it there pays nothing.
"""

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from foresight.errors import RequestError
from foresight.runlog import RunLog

NAME = "feature_costs.json"
PAUSE_S = 10.0  # between two writes: what a killed command loses of its account


@dataclass(frozen=True)
class FeatureTime:
    """Seconds of GPUs that computing features held, and of processes on CPUs where there was no GPU."""

    gpu_s: float = 0.0
    cpu_s: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.gpu_s < math.inf and 0 <= self.cpu_s < math.inf):
            raise ValueError(f"{self} is no time")


def read_feature_time(folder: Path) -> FeatureTime:
    """What the commands of the run log at `folder` took to compute features; nothing without a record.

    Raises RequestError for a record that holds no such times.
    """
    path = folder / NAME
    if not path.exists():
        return FeatureTime()
    try:
        return FeatureTime(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(
            f"{path} holds no gpu_s and cpu_s; restore it, or delete it: what this study's features have cost is then not counted"
        ) from error


class FeatureCosts:
    """The account of one command, which goes on from the record."""

    def __init__(self, log: RunLog):
        self.log, self.written_at = log, time.monotonic()
        self.time = self.written = read_feature_time(log.root)

    def add(self, process_s: float, gpus: float) -> None:
        """Adds seconds of processes that each held `gpus`."""
        gpu_s, cpu_s = (process_s * gpus, 0.0) if gpus else (0.0, process_s)
        self.time = FeatureTime(self.time.gpu_s + gpu_s, self.time.cpu_s + cpu_s)
        if time.monotonic() - self.written_at >= PAUSE_S:
            self.write()

    def write(self) -> None:
        self.written_at = time.monotonic()
        if self.time != self.written:
            self.log.write(NAME, json.dumps(asdict(self.time)).encode())
            self.written = self.time
