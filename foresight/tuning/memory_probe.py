"""What a trial of an arm takes of a GPU's memory: its first epoch and its evaluation, in a process that has the GPU alone.

It is the trial itself, with one epoch, on all of its data, so whatever a trial takes is seen: staged features, LPIPS, a frozen
decoder, gradients and the optimiser's state, the largest batch of training and of evaluation. Nothing is recorded of it.
"""

from dataclasses import dataclass, replace
from typing import Any

from foresight.config import TrialConfig
from foresight.run_folder import bring_weights
from foresight.tuning.accelerator import MemoryReading
from foresight.tuning.context import worker_context
from foresight.tuning.out_of_memory import is_out_of_memory
from foresight.tuning.record import describe
from foresight.tuning.sweep import Placement
from foresight.tuning.timed import timed


@dataclass(frozen=True)
class Probed:
    """What the process held, and why that is not all that a trial takes, where it is not.

    An arm for which one GPU is too small takes the whole of it, and its trial will say so.
    """

    reading: MemoryReading
    failed: str = ""


@timed
def run_memory_probe(config: TrialConfig | None, placement: Placement) -> Probed:
    """Runs in a process of its own. None: the GPU, and what a process takes of it before it trains anything."""
    context = worker_context(placement)
    failed, is_too_small = "", False
    if config is not None:
        try:
            _run_shortly(config, placement, context)
        except Exception as error:  # said by the driver; the trial itself will fail alike, and its row says it
            is_too_small = is_out_of_memory(error)
            failed = "" if is_too_small else describe(error)
    reading = placement.accelerator.read()
    return Probed(replace(reading, peak_mb=reading.total_mb) if is_too_small else reading, failed)


def _run_shortly(config: TrialConfig, placement: Placement, context: Any) -> None:
    from foresight.features.stage import stage
    from foresight.train.trial import run_trial

    continued = config.continued()
    if continued is not None:
        bring_weights(placement.place_of_runs, continued.key)
    # Not of the bridge that an end-to-end trial continues: it is found by its own recipe.
    recipe = "head_train" if config.task == "end_to_end" else "train"
    short = config.with_fields({f"{recipe}.epochs": 1})
    for _ in run_trial(short, stage(short, placement.store(), placement.device), context):
        pass
