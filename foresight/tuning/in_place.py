"""Waiting for a task that may have no place: where the last GPU machine of a cluster has gone, the driver says so and ends.

Trials have `foresight.tuning.waiting`; this is for what runs before and after them: the sensitivity check, latency, memory.
"""

import time
from typing import Any

from rich.console import Console

from foresight.errors import RunEndedError
from foresight.tuning.progress import clock
from foresight.tuning.ray_runtime import result_of
from foresight.tuning.sweep import PATIENCE_S, Placement

LOOK_S = 2.0  # between two looks at what machines there are


def result_in_place(ray: Any, task: Any, placement: Placement, console: Console) -> Any:
    """As `result_of`, of a task that takes `placement.gpus`; Ray itself waits for ever for what no machine has.

    Raises RunEndedError when no machine with so many GPUs is there for `placement.wait_s`.
    """
    since, has_said = time.monotonic(), False
    while placement.gpus and not ray.wait([task], timeout=LOOK_S)[0]:
        now = time.monotonic()
        if ray.cluster_resources().get("GPU", 0.0) >= placement.gpus:
            since, has_said = now, False
            continue
        text = f"no machine with {placement.gpus:g} GPU has been in the cluster for {clock(round(now - since))}"
        if now - since > placement.wait_s:
            raise RunEndedError(
                f"{text}; what is finished is kept, and the same command goes on once there are machines"
            )
        if now - since > PATIENCE_S and not has_said:
            has_said = True
            console.print(f"{text}; this command ends after {clock(round(placement.wait_s))}", soft_wrap=True)
    return result_of(ray, task)
