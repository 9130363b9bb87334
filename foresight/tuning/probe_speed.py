"""`--plan --probe`: how long a trial takes, from a moment of two arms in one process. Nothing is recorded.

The cheapest and the dearest arm are trained for two epochs on few images, of which the second is timed, and evaluated on a few
more; a trial that trains nothing is run whole. Features go to a folder that is deleted. The trials of a sweep may run beside
each other and are then slower than the probe.
"""

import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console

from foresight.config import TrialConfig
from foresight.errors import RequestError, RunEndedError
from foresight.features.keys import entries_of
from foresight.features.requests import missing_requests
from foresight.features.store import ArrayStore
from foresight.space import Arm, Trial
from foresight.tuning import preflight
from foresight.tuning.context import worker_context
from foresight.tuning.past_trials import compute_work
from foresight.tuning.ray_runtime import in_cluster, result_of, running_ray
from foresight.tuning.record import describe
from foresight.tuning.sweep import Placement
from foresight.tuning.within_budget import measure_sizes

if TYPE_CHECKING:
    from foresight.train.task import TrialResult

TRAINING_IMAGES = TEST_IMAGES = 64  # at most, of a probe


def probe_arms(pending: Sequence[Trial], placement: Placement, console: Console) -> pd.DataFrame:
    """arm, task, work and seconds that a whole trial of two arms should take.

    Raises RequestError for trials that start from another study's model or whose encoders are not here, RunEndedError for
    an arm that cannot be trained.
    """
    arms = {trial.arm.name: trial.arm for trial in pending}
    sizes = measure_sizes(pending, placement.cache)
    flops = {name: sizes[name]["flops"] for name in arms}
    by_cost = sorted(arms, key=lambda name: (compute_work(arms[name].config, flops[name]), flops[name]))
    chosen = [arms[name] for name in dict.fromkeys((by_cost[0], by_cost[-1]))]
    for arm in chosen:
        if arm.config.continued() is not None:
            raise RequestError(
                f"'{arm.name}' starts from a model that was trained on the whole data, so it cannot be probed on a part of it; "
                "leave --probe out"
            )
    preflight.check_checkpoints(arm.config for arm in chosen)
    preflight.check_decoders(arm.config for arm in chosen)
    console.print(f"probing how fast {' and '.join(arm.name for arm in chosen)} train; nothing is recorded ...")
    rows = []
    for arm in chosen:
        seconds = _time_where_trials_run(arm, placement)
        work = compute_work(arm.config, flops[arm.name])
        rows.append({"arm": arm.name, "task": arm.config.task, "work": work, "seconds": seconds})
    return pd.DataFrame(rows)


def _time_where_trials_run(arm: Arm, placement: Placement) -> float:
    """In this process, or in a cluster in a task: the machine that drives may have no GPU, or another one."""
    if not in_cluster():
        return _time_arm(arm, placement)
    with running_ray(placement.cores) as ray:
        task = ray.remote(num_cpus=1, num_gpus=placement.gpus, max_retries=0)(_time_arm)
        return float(result_of(ray, task.remote(arm, placement)))


def _time_arm(arm: Arm, placement: Placement) -> float:
    with tempfile.TemporaryDirectory(prefix="foresight-probe-") as scratch:
        try:
            return _time_trial(arm.config, replace(placement, cache=Path(scratch)), placement.store())
        except RequestError:
            raise
        except Exception as error:
            raise RunEndedError(f"the probe of '{arm.name}' failed: {describe(error)}") from error


def _time_trial(config: TrialConfig, placement: Placement, cache: ArrayStore) -> float:
    """Seconds that a whole trial of `config` should take."""
    from foresight.features.extract import compute
    from foresight.features.stage import stage
    from foresight.train.trial import run_trial

    context = worker_context(placement)
    if not config.is_trained:
        return _run(run_trial(config, None, context))[0]
    short = _shorten(config)
    store = placement.store()
    _borrow_decoder(short, cache, store)
    for requests in missing_requests([short], store):
        for request in requests:
            compute(request, store, placement.roots, placement.device)
    trial_s, epoch_s, train_s, evaluate_s = _run(run_trial(short, stage(short, store, placement.device), context))
    epochs_s = config.recipe.epochs * epoch_s * config.data.n_train / short.data.n_train
    return trial_s - train_s - evaluate_s + epochs_s + evaluate_s * config.data.n_test / short.data.n_test


def _shorten(config: TrialConfig) -> TrialConfig:
    data = config.data
    n_train = min(data.n_train, max(1, TRAINING_IMAGES // data.n_frames))
    counts = {
        "data.n_train": n_train,
        "data.n_val": max(1, round(data.n_val * n_train / data.n_train)),  # validation is part of an epoch
        "data.n_test": min(data.n_test, max(1, TEST_IMAGES // data.n_frames)),
    }
    return config.with_fields({**counts, "train.epochs": 2})


def _borrow_decoder(config: TrialConfig, cache: ArrayStore, store: ArrayStore) -> None:
    """The toy decoder, which takes a minute to pretrain, is read where it lies, if it does."""
    entry = entries_of(config).get("ltx")
    if entry is not None and cache.has(entry[0]):
        store.root.mkdir(parents=True, exist_ok=True)
        (store.root / entry[0]).symlink_to(cache.root / entry[0], target_is_directory=True)


def _run(trial: "Generator[dict[str, float], None, TrialResult]") -> tuple[float, float, float, float]:
    """Seconds of the whole trial, of its last epoch, of all its epochs, and of what follows them."""
    ends = [0.0]
    while True:
        began = time.perf_counter()
        try:
            ends.append(next(trial)["wall_s"])
        except StopIteration as end:
            after_s = time.perf_counter() - began
            trial_s = float(end.value.columns["cost/trial_s"])
            return trial_s, ends[-1] - ends[max(0, len(ends) - 2)], ends[-1], after_s
