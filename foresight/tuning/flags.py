"""What the flags mean that several commands share."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from foresight.errors import RequestError
from foresight.tuning.sweep import Placement

DataName = Literal["shapes", "big_shapes", "scenes", "coco", "clips", "ssv2", "davis"]
CocoRoot = Annotated[Path | None, typer.Option(help="A folder in COCO's layout.")]
Wandb = Annotated[
    bool, typer.Option("--wandb", help="Send finished trials to W&B; WANDB_MODE=offline keeps them here.")
]
Ssv2Root = Annotated[Path | None, typer.Option(help="A folder in Something-Something v2's layout.")]
DavisRoot = Annotated[Path | None, typer.Option(help="A folder in DAVIS 2017's layout.")]


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


def place(scale: str, n_gpus: float, runs: Path, roots: Mapping[str, Path | None], wandb: bool = False) -> Placement:
    """As many slots as there are GPUs at full scale, otherwise as there are cores. `roots` by the data set's name."""
    on_gpus = scale == "full" and n_gpus > 0
    return Placement(
        runs=runs.absolute(),
        slots=max(1, int(n_gpus)) if on_gpus else os.cpu_count() or 1,
        gpus=1.0 if on_gpus else 0.0,
        roots={name: root.absolute() for name, root in roots.items() if root is not None},
        wandb=wandb,
    )
