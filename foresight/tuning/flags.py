"""What the flags mean that several commands share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from foresight.errors import RequestError
from foresight.features.store import default_place
from foresight.storage.objects import open_place
from foresight.tuning.budget import Budget
from foresight.tuning.gpu_share import MOST_PARTS
from foresight.tuning.ray_runtime import cluster_cpus, in_cluster
from foresight.tuning.sweep import Placement

DataName = Literal["shapes", "big_shapes", "scenes", "coco", "clips", "ssv2", "davis"]
CocoRoot = Annotated[Path | None, typer.Option(help="A folder in COCO's layout.")]
Runs = Annotated[str, typer.Option(help="Where run logs are: a folder, s3://bucket/prefix or gs://bucket/prefix.")]
Wandb = Annotated[
    bool, typer.Option("--wandb", help="Send finished trials to W&B; WANDB_MODE=offline keeps them here.")
]
Ssv2Root = Annotated[Path | None, typer.Option(help="A folder in Something-Something v2's layout.")]
BudgetHours = Annotated[
    float | None, typer.Option(help="Time of this command; no block of seeds is begun that would end later.")
]
BudgetGpuHours = Annotated[
    float | None, typer.Option(help="GPU-hours of all trials of the run log (slot-hours where there is no GPU).")
]
BudgetMoney = Annotated[str | None, typer.Option(help="As --budget-gpu-hours, in money: '50 USD'. Needs --price.")]
GpuPrice = Annotated[str | None, typer.Option("--price", help="Of a GPU-hour: '2.10 USD'.")]
DavisRoot = Annotated[Path | None, typer.Option(help="A folder in DAVIS 2017's layout.")]
Workers = Annotated[int, typer.Option(min=1, max=8, help="Processes, or GPUs, that share a trial.")]
Pack = Annotated[bool, typer.Option("--pack", help="Trials share GPUs, by the memory that they were measured to need.")]


def check_flags(plan: bool, json: bool) -> None:
    """Raises RequestError for a flag that another one must go with."""
    if json and not plan:
        raise RequestError("--json belongs to --plan; add --plan or leave it out")


def check_plan_flags(
    plan: bool, probe: bool, price: str | None, budget: Budget, one: str | None, is_asked: bool
) -> None:
    """Raises RequestError for a probe or a price that nothing asks for, or a budget for one trial (`is_asked` by a flag)."""
    if probe and not plan:
        raise RequestError("--probe belongs to --plan; add --plan or leave it out")
    if price is not None and not plan and budget.money is None:
        raise RequestError("--price belongs to --plan or --budget-money; add one of them or leave it out")
    if one is not None and plan:
        raise RequestError("--plan shows the plan, and --one runs one trial of it; leave one of them out")
    if one is not None and is_asked:
        raise RequestError("--one runs one trial, whatever it takes; leave it or the budget out")


def check_looking_flags(until_decided: bool, limit: int | None, one: str | None) -> None:
    """Raises RequestError for flags that cannot go with --until-decided."""
    if until_decided and (limit is not None or one is not None):
        flag = "--limit" if limit is not None else "--one"
        raise RequestError(f"--until-decided runs whole blocks up to each look; leave {flag} or --until-decided out")


def choose_scale(n_gpus: float, console: Console) -> Literal["tiny", "full"]:
    """The scale where none was asked for, and says so."""
    scale: Literal["tiny", "full"] = "full" if n_gpus else "tiny"
    console.print(f"scale: {scale} ({n_gpus:.0f} GPUs here); choose with --scale tiny|full", soft_wrap=True)
    return scale


def check_placement(scale: str, n_gpus: float, workers: int, one: str | None) -> None:
    """Raises RequestError for trials that cannot run as they were asked to, before any is started."""
    if scale == "full" and not n_gpus and in_cluster():
        raise RequestError(
            "this cluster has no GPU, and on CPUs --scale full would take years; put 'python -m "
            "foresight.tuning.with_gpus N' before the command to wait for N, or choose --scale tiny"
        )
    if one is not None and workers > 1:
        raise RequestError("--one runs a trial in this process alone; leave out --one or --workers")


def check_pack(name: str, scale: str, has_gpus: float, workers: int, one: str | None, alone: bool) -> None:
    """Raises RequestError where trials cannot share GPUs. `has_gpus` is 0 where there are none, but for a plan."""
    if workers > 1:
        raise RequestError(
            f"--pack lets trials share a GPU and --workers {workers} gives a trial {workers} of them; leave one of the two out"
        )
    if one is not None:
        raise RequestError("--one runs one trial in this process, with a GPU of its own; leave out --one or --pack")
    if alone:
        raise RequestError(f"'{name}' measures time, so nothing may run beside its trials; leave --pack out")
    if scale != "full" or not has_gpus:
        where = "there is none here" if scale == "full" else f"trials at {scale} scale run on CPUs"
        raise RequestError(f"--pack lets trials share GPUs, and {where}; leave it out")


def say_idle(placement: Placement, n_gpus: float, console: Console) -> None:
    """Says how many GPUs or cores no trial can use, as too few are left for the workers of another one."""
    unit, n_here = ("GPUs", int(n_gpus)) if placement.gpus else ("CPU cores", cluster_cpus())
    idle = n_here - placement.processes
    if placement.workers > 1 and idle > 0:
        console.print(
            f"--workers {placement.workers}: {placement.slots} at a time leave {idle} of {n_here} {unit} idle",
            soft_wrap=True,
        )


def place(
    scale: str,
    n_gpus: float,
    runs: str,
    roots: Mapping[str, Path | None],
    workers: int = 1,
    wandb: bool = False,
    pack: bool = False,
) -> Placement:
    """A slot for every GPU at full scale, otherwise for every core, or for so many of them as share a trial.

    With `pack` there may be MOST_PARTS trials on a GPU, if there is a core for each.
    `roots` by the data set's name. Raises RequestError for more workers than there are GPUs or cores, and for a place of
    run logs or of features that is not known or cannot be used.
    """
    on_gpus = scale == "full" and n_gpus > 0
    n_here = max(1, int(n_gpus)) if on_gpus else cluster_cpus()
    if workers > n_here:
        unit = "GPUs" if on_gpus else "CPU cores"
        raise RequestError(f"--workers {workers} needs as many {unit}, and here are {n_here}; give {n_here} or fewer")
    place_of_runs, place_of_features = open_place(runs), open_place(str(default_place()))
    return Placement(
        runs=place_of_runs.path,
        runs_url=place_of_runs.url,
        cache=place_of_features.path,
        cache_url=place_of_features.url,
        slots=n_here // workers,
        gpus=1.0 if on_gpus else 0.0,
        workers=workers,
        roots={name: root.absolute() for name, root in roots.items() if root is not None},
        wandb=wandb,
        pack=max(n_here, min(MOST_PARTS * n_here, cluster_cpus())) if pack else 0,
    )
