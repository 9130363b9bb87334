"""Work that runs in Ray tasks around the trials: the sensitivity check, and latency."""

import socket
from datetime import UTC, datetime

from foresight.features.keys import entries_of
from foresight.features.requests import missing_requests
from foresight.run_folder import bring_weights
from foresight.runlog import RunLog
from foresight.space import Arm
from foresight.tuning.context import worker_context
from foresight.tuning.sweep import Placement
from foresight.tuning.timed import timed


@timed
def run_sensitivity(arms: list[Arm], placement: Placement) -> dict[str, float]:
    """Arm name to the largest change of an output against the baseline. Raises InertFactorError."""
    import torch

    from foresight.features.extract import compute
    from foresight.train.sensitivity import check_sensitivity, probe_config

    torch.set_num_threads(1)
    store = placement.store()
    probes = {arm.name: probe_config(arm.config) for arm in arms}
    for continued in filter(None, (config.continued() for config in probes.values())):
        bring_weights(placement.place_of_runs, continued.key)
    for stage in missing_requests(probes.values(), store):
        for request in stage:
            compute(request, store, placement.roots, placement.device)
    return check_sensitivity(probes, store, worker_context(placement))


@timed
def run_latency(arms: list[Arm], placement: Placement, log: RunLog) -> int:
    """Measures arms one after the other, with nothing else running, and writes a row for each. Returns their number.

    The latency is that of the whole pipeline at batch 1: both encoders (the VLM up to the layer that is read), fusion
    and decoder. Weights do not matter to it, so the bridges are freshly built.
    """
    import torch

    from foresight.train.latency import Pipeline

    torch.set_num_threads(1)
    pipeline = Pipeline(placement.device)
    # What these rows share: milliseconds of another hour or machine cannot be compared with them.
    occasion = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "host": socket.gethostname()}
    store = placement.store()
    for arm in arms:
        if "ltx" in entries_of(arm.config):
            store.load(entries_of(arm.config)["ltx"][0])  # the pipeline reads its files from this machine
        log.write_latency(arm.config.arm_key, {"arm": arm.name, **pipeline.measure(arm.config), **occasion})
    return len(arms)
