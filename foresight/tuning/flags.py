"""What the flags mean that several commands share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from foresight.errors import RequestError
from foresight.tuning.ray_runtime import cluster_cpus, in_cluster
from foresight.tuning.sweep import Placement

DataName = Literal["shapes", "big_shapes", "scenes", "coco", "clips", "ssv2", "davis"]
CocoRoot = Annotated[Path | None, typer.Option(help="A folder in COCO's layout.")]
Wandb = Annotated[
    bool, typer.Option("--wandb", help="Send finished trials to W&B; WANDB_MODE=offline keeps them here.")
]
Ssv2Root = Annotated[Path | None, typer.Option(help="A folder in Something-Something v2's layout.")]
DavisRoot = Annotated[Path | None, typer.Option(help="A folder in DAVIS 2017's layout.")]
Workers = Annotated[int, typer.Option(min=1, max=8, help="Processes, or GPUs, that share a trial.")]


def check_flags(plan: bool, json: bool) -> None:
    """Raises RequestError for a flag that another one must go with."""
    if json and not plan:
        raise RequestError("--json belongs to --plan; add --plan or leave it out")


def check_looking_flags(until_decided: bool, budget_hours: float | None, limit: int | None, one: str | None) -> None:
    """Raises RequestError for flags that cannot go with --until-decided, or not without it."""
    if budget_hours is not None and not until_decided:
        raise RequestError("--budget-hours belongs to --until-decided; add --until-decided or leave it out")
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


def place(
    scale: str,
    n_gpus: float,
    runs: Path,
    roots: Mapping[str, Path | None],
    workers: int = 1,
    wandb: bool = False,
) -> Placement:
    """A slot for every GPU at full scale, otherwise for every core, or for so many of them as share a trial.

    `roots` by the data set's name. Raises RequestError for more workers than there are GPUs or cores.
    """
    on_gpus = scale == "full" and n_gpus > 0
    n_here = max(1, int(n_gpus)) if on_gpus else cluster_cpus()
    if workers > n_here:
        unit = "GPUs" if on_gpus else "CPU cores"
        raise RequestError(f"--workers {workers} needs as many {unit}, and here are {n_here}; give {n_here} or fewer")
    return Placement(
        runs=runs.absolute(),
        slots=n_here // workers,
        gpus=1.0 if on_gpus else 0.0,
        workers=workers,
        roots={name: root.absolute() for name, root in roots.items() if root is not None},
        wandb=wandb,
    )
