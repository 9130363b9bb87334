"""What the flags mean that several commands share."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from foresight.errors import RequestError
from foresight.features.store import default_place
from foresight.storage.objects import open_place
from foresight.tuning.budget import Budget
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


def place(scale: str, n_gpus: float, runs: str, roots: Mapping[str, Path | None], wandb: bool = False) -> Placement:
    """As many slots as there are GPUs at full scale, otherwise as there are cores. `roots` by the data set's name.

    Raises RequestError for a place of run logs or of features that is not known or cannot be used.
    """
    on_gpus = scale == "full" and n_gpus > 0
    place_of_runs, place_of_features = open_place(runs), open_place(str(default_place()))
    return Placement(
        runs=place_of_runs.path,
        runs_url=place_of_runs.url,
        cache=place_of_features.path,
        cache_url=place_of_features.url,
        slots=max(1, int(n_gpus)) if on_gpus else os.cpu_count() or 1,
        gpus=1.0 if on_gpus else 0.0,
        roots={name: root.absolute() for name, root in roots.items() if root is not None},
        wandb=wandb,
    )
