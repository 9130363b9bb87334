"""Slot-seconds that a trial costs beyond its own work: this system, and plain Ray Tune in the two ways people use it."""

import io
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.work import load_data, short_trial
from foresight.claim import Claim
from foresight.runlog import RunLog
from foresight.space import Arm, Trial
from foresight.tuning.execute import Runner
from foresight.tuning.ray_runtime import start_ray
from foresight.tuning.record import Planned
from foresight.tuning.sweep import Placement

SLOTS = 2


@dataclass(frozen=True)
class Overhead:
    """One system's run. `work_s` is the time inside `run_trial` of each trial; `startup_s` passes before the first begins."""

    system: str
    wall_s: float
    startup_s: float
    work_s: list[float]

    @property
    def overhead_s(self) -> float:
        """Slot-seconds a trial, start-up of the processes included."""
        return (self.wall_s * SLOTS - sum(self.work_s)) / len(self.work_s)

    @property
    def steady_overhead_s(self) -> float:
        """Slot-seconds a trial once the first trial has begun."""
        return ((self.wall_s - self.startup_s) * SLOTS - sum(self.work_s)) / len(self.work_s)


def measure_overhead(scratch: Path, n_trials: int, n_fresh: int) -> list[Overhead]:
    """Ours first. All three run the same `run_trial` on the same cached features, each on a Ray that has just started.

    Each system runs in a process of its own, so that none inherits another's settings.
    """
    cache = scratch / "cache"
    load_data(short_trial(0), cache)
    jobs = [
        (run_ours, (scratch, cache, n_trials)),
        (run_plain, ("plain Ray Tune, reuse_actors=True", scratch, cache, n_trials, True)),
        (run_plain, ("plain Ray Tune, function trainable", scratch, cache, n_fresh, False)),
    ]
    results = []
    for function, arguments in jobs:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            results.append(pool.apply(function, arguments))
    return results


def run_ours(scratch: Path, cache: Path, n_trials: int) -> Overhead:
    """The real runner, with durable logging: every trial leaves five flushed files."""
    log = RunLog(scratch / "runs" / "bench")
    placement = Placement(runs=scratch / "runs", slots=SLOTS, cache=cache)
    claim = Claim("benchmark", primary="mask_iou", margin=0.02, alpha=0.05, seeds=2)
    configs = [short_trial(seed) for seed in range(n_trials)]
    planned = [Planned(Trial(Arm("baseline", "", "", config), config), "bench", 1) for config in configs]
    ray = start_ray(SLOTS)
    runner = Runner(ray, log, placement, claim, Console(file=io.StringIO()))
    started = time.time()
    runner.run_trials(planned)
    wall_s = time.time() - started
    ray.shutdown()
    rows = log.trials()
    assert (rows["status"] == "complete").sum() == n_trials, rows["error"].dropna().tolist()
    files = [log.trials_dir / key / "trial.parquet" for key in rows["key"]]
    work_s = rows["cost/trial_s"].tolist()
    begun = min(file.stat().st_mtime - work for file, work in zip(files, work_s, strict=True))
    return Overhead("foresight, durable run log", wall_s, begun - started, work_s)


def run_plain(system: str, scratch: Path, cache: Path, n_trials: int, reuse: bool) -> Overhead:
    """Ray Tune as its documentation shows it: a function that trains and reports, with Tune's own logging.

    Data and LPIPS are kept by a process that is used again, as a careful user would do.
    """
    import ray
    from ray import tune

    def objective(config: dict[str, Any]) -> None:
        import torch

        from benchmarks.work import kept_data, kept_lpips
        from foresight.train.task import Context
        from foresight.train.trial import run_trial

        torch.set_num_threads(1)
        running = run_trial(short_trial(config["seed"]), kept_data(cache), Context("cpu", kept_lpips()))
        try:
            while True:
                tune.report({"epoch": next(running)["epoch"]})
        except StopIteration as stop:
            work_s = stop.value.columns["cost/trial_s"]
            tune.report({"work_s": work_s, "begun": time.time() - work_s, **stop.value.columns})

    ray.init(
        num_cpus=SLOTS, log_to_driver=False, include_dashboard=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[1])}},
    )  # fmt: skip
    started = time.time()
    results = tune.Tuner(
        tune.with_resources(objective, {"cpu": 1}),
        param_space={"seed": tune.grid_search(list(range(n_trials)))},
        tune_config=tune.TuneConfig(reuse_actors=reuse, max_concurrent_trials=SLOTS),
        run_config=tune.RunConfig(storage_path=str(scratch / f"tune-{reuse}"), verbose=0),
    ).fit()
    wall_s = time.time() - started
    ray.shutdown()
    assert not results.errors, results.errors
    rows = [result.metrics or {} for result in results]
    return Overhead(system, wall_s, min(row["begun"] for row in rows) - started, [row["work_s"] for row in rows])
