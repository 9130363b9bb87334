"""`--one KEY`: a single trial in this process, without Ray, so that a breakpoint works."""

import bdb
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from foresight.features.requests import discard_corrupt, missing_requests
from foresight.runlog import RunLog
from foresight.side_costs import SideCosts
from foresight.tuning.context import worker_context
from foresight.tuning.record import Planned, record_trial
from foresight.tuning.sweep import Placement


def run_here(planned: Planned, log: RunLog, placement: Placement, console: Console) -> dict[str, Any]:
    """Runs one planned trial, says how it ended, and returns its row.

    A complete trial, or one that a scheduler has stopped, is run again without being recorded: debugging must not replace
    a result.
    """
    from foresight.features.extract import compute
    from foresight.features.stage import stage

    config, key = planned.trial.config, planned.key
    context = worker_context(placement)
    store, device = placement.store(), placement.device
    discard_corrupt([config], store)
    costs = SideCosts(log)
    for requests in missing_requests([config], store):
        for request in requests:
            console.print(f"computing {request.label} ...")
            began = time.monotonic()
            compute(request, store, placement.roots, device)
            costs.add("features", time.monotonic() - began, placement.gpus)
    costs.write()
    data = stage(config, store, device) if config.is_trained else None
    known = log.statuses().get(key)
    recorded = known in ("complete", "stopped")
    with tempfile.TemporaryDirectory(prefix="foresight-one-") as scratch:
        own = RunLog(Path(scratch)) if recorded else log
        try:
            for row in record_trial(own, planned, data, context):
                shown = "  ".join(f"{name} {value:.4g}" for name, value in row.items())
                console.print(shown, soft_wrap=True)
        except bdb.BdbQuit as error:  # `q` at a breakpoint
            raise KeyboardInterrupt from error
        ended = own.read_trial(key)
    tests = "  ".join(f"{name} {value:.4g}" for name, value in ended.items() if name.startswith("test/"))
    console.print(f"{ended['status']}  {ended['error'] or tests}", soft_wrap=True, markup=False)
    if recorded:
        console.print(f"not recorded: the run log already holds this trial {known}", soft_wrap=True)
    return ended
