"""`python -m benchmarks.scale`: what a sweep costs per trial as it grows, with trials that do nothing.

Three systems run as many of them on two slots, each in a process of its own so that its memory can be told: this one, through
the whole launcher with its durable run log; plain Ray Tune as its documentation shows it; and Optuna's own loop, which starts no
process and writes nothing. This one also plans the study, and runs the command again when everything is done. Beside the seconds
on the clock stand those that the driver computed for: other programs on the machine move the one and hardly the other.
At the end it shows what a proposal of a search takes as finished trials grow (`benchmarks.ask_time`).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.empty_study import open_empty_study, run_empty_study

SLOTS = 2
TPE_MOST_TRIALS = 1000  # an ask of Optuna's TPE takes longer with every trial told


def plan(n_trials: int, scratch: Path) -> None:
    """Expands, keys and counts the study, as `--plan` does."""
    from foresight.tuning.plan_report import make_plan

    assert make_plan(open_empty_study(n_trials, scratch, SLOTS))["n_trials"] == n_trials


def run_ours(n_trials: int, scratch: Path) -> None:
    """The study through the launcher; run again, the command that finds everything done."""
    run_empty_study(open_empty_study(n_trials, scratch, SLOTS))


def run_tune(n_trials: int, scratch: Path) -> None:
    """Ray Tune as its documentation shows it: a class that steps once, its processes reused, Tune's own logging."""
    import ray
    from ray import tune

    class Nothing(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            pass

        def step(self) -> dict[str, Any]:
            return {"loss": 0.0, "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            pass

        def load_checkpoint(self, checkpoint: Any) -> None:
            pass

    ray.init(num_cpus=SLOTS, log_to_driver=False, include_dashboard=False)
    results = tune.Tuner(
        tune.with_resources(Nothing, {"cpu": 1}),
        param_space={"x": tune.grid_search(list(range(n_trials)))},
        tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=SLOTS),
        run_config=tune.RunConfig(storage_path=str(scratch / "tune"), verbose=0),
    ).fit()
    assert len(results) == n_trials and not results.errors
    ray.shutdown()


def run_optuna(n_trials: int, scratch: Path, sampler: str = "RandomSampler") -> None:
    """Optuna's own loop over eight parameters, in memory and in one process."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=0))
    study.optimize(lambda trial: sum(trial.suggest_float(f"x{i}", 0, 1) for i in range(8)), n_trials=n_trials)


def run_optuna_tpe(n_trials: int, scratch: Path) -> None:
    """The same with Optuna's default sampler."""
    run_optuna(n_trials, scratch, "TPESampler")


JOBS: dict[str, tuple[str, Callable[[int, Path], None]]] = {
    "plan": ("this system: plan", plan),
    "ours": ("this system: run, durable run log", run_ours),
    "again": ("this system: run again, all done", run_ours),
    "tune": ("plain Ray Tune, reuse_actors=True", run_tune),
    "optuna": ("Optuna study.optimize, random", run_optuna),
    "tpe": ("Optuna study.optimize, TPE", run_optuna_tpe),
}


def measure_scale(n_trials: int, scratch: Path) -> Iterator[dict[str, Any]]:
    """One row per job: trials, seconds on the clock from its start without imports, of the driver's work, and its memory."""
    for job, (title, _) in JOBS.items():
        if job == "tpe" and n_trials > TPE_MOST_TRIALS:
            continue
        started = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", "--job", job, "--trials", str(n_trials), "--scratch", str(scratch)],
            stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if ended.returncode:
            raise RuntimeError(f"{title}, {n_trials} trials, ended with code {ended.returncode}")
        measured = json.loads(ended.stdout.splitlines()[-1])
        yield {"title": title, "n_trials": n_trials, "command_s": time.perf_counter() - started, **measured}


def run_job(job: str, n_trials: int, scratch: Path) -> dict[str, float]:
    """Runs one job in this process. Seconds on the clock and of this process's work, and its peak memory in MB."""
    started, worked = time.perf_counter(), time.process_time()
    JOBS[job][1](n_trials, scratch)
    return {
        "wall_s": time.perf_counter() - started,
        "driver_s": time.process_time() - worked,
        "peak_mb": getrusage(RUSAGE_SELF).ru_maxrss / 1024,
    }


def main(
    trials: Annotated[list[int], typer.Option(min=10, help="How many trials; may be given several times.")] = [1000],  # noqa: B006
    job: Annotated[str | None, typer.Option(hidden=True)] = None,
    scratch: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measures each size and prints the tables."""
    if job is not None and scratch is not None:
        print(json.dumps(run_job(job, trials[0], scratch)))
        return
    console, rows = Console(width=140), []
    for n_trials in trials:
        with tempfile.TemporaryDirectory(prefix="foresight-scale-") as folder:
            rows += measure_scale(n_trials, Path(folder))
    console.print(show_rows(rows))
    for line in describe_growth(rows):
        console.print(line)
    from benchmarks.ask_time import measure_ask_times

    with tempfile.TemporaryDirectory(prefix="foresight-scale-") as folder:
        console.print(show_asks(measure_ask_times(Path(folder))))
    console.print(f"load average at the end: {' '.join(f'{load:.1f}' for load in os.getloadavg())}")


def show_rows(rows: list[dict[str, Any]]) -> Table:
    """A line for each system and size."""
    table = Table(title="Trials that do nothing, two at a time", title_justify="left")
    for heading in (
        "system", "trials", "command s", "of it running s", "driver's work s", "trials/s", "slot-s a trial", "driver MB",
    ):  # fmt: skip
        table.add_column(heading)
    for row in rows:
        seconds = [f"{row[name]:.1f}" for name in ("command_s", "wall_s", "driver_s")]
        rates = [f"{row['n_trials'] / row['wall_s']:.0f}", f"{slot_seconds(row):.4f}", f"{row['peak_mb']:.0f}"]
        table.add_row(row["title"], str(row["n_trials"]), *seconds, *rates)
    return table


def slot_seconds(row: dict[str, Any]) -> float:
    """What a trial takes of a slot that does nothing else."""
    return row["wall_s"] * SLOTS / row["n_trials"]


def describe_growth(rows: list[dict[str, Any]]) -> list[str]:
    """For each system that ran two sizes, how much more a trial costs at the largest than at the smallest; linear is 1."""
    lines = []
    for title in dict.fromkeys(row["title"] for row in rows):
        sizes = sorted((row for row in rows if row["title"] == title), key=lambda row: row["n_trials"])
        first, last = sizes[0], sizes[-1]
        if first["n_trials"] < last["n_trials"]:
            slots = slot_seconds(last) / slot_seconds(first)
            work = last["driver_s"] / last["n_trials"] / (first["driver_s"] / first["n_trials"])
            between = f"from {first['n_trials']} to {last['n_trials']} trials"
            lines.append(f"{title}, {between}: a trial takes {slots:.2f} x the slot-seconds, {work:.2f} x the work")
    return lines


def show_asks(rows: list[dict[str, float]]) -> Table:
    """Proposals by TPE, as finished trials grow."""
    table = Table(title="A proposal by TPE, the process's own work", title_justify="left")
    for heading in ("finished trials", "this system, ms", "Optuna alone, ms", "this system: resumed in s"):
        table.add_column(heading)
    for row in rows:
        table.add_row(f"{row['n']:.0f}", f"{row['ours_ms']:.1f}", f"{row['optuna_ms']:.1f}", f"{row['resume_s']:.1f}")
    return table


if __name__ == "__main__":
    typer.run(main)
