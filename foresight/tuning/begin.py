"""What the command lines of a study and of a search are asked alike: checked, and turned into where and within what to run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer
from rich.console import Console

from foresight.errors import RequestError
from foresight.run_folder import open_log
from foresight.storage.objects import open_place
from foresight.tuning.amend import amend_claim
from foresight.tuning.budget import Budget, choose_budget
from foresight.tuning.flags import (
    check_flags,
    check_pack,
    check_placement,
    check_plan_flags,
    choose_scale,
    place,
    say_idle,
)
from foresight.tuning.ray_runtime import cluster_gpus
from foresight.tuning.search import Search
from foresight.tuning.session import DONE
from foresight.tuning.sweep import Placement, Sweep

Scale = Literal["tiny", "full"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The flags that both have, by their names; `roots` by the data set's name."""

    scale: Scale | None
    plan: bool
    json: bool
    probe: bool
    budget_hours: float | None
    budget_gpu_hours: float | None
    budget_money: str | None
    price: str | None
    one: str | None
    runs: str
    workers: int
    pack: bool
    wandb: bool
    roots: Mapping[str, Path | None]
    amend: str | None


def begin(declared: Sweep | Search, asked: Asked, console: Console) -> tuple[Scale, Placement, Budget]:
    """The scale, where trials run, and the budget.

    With --amend the claim's change is recorded and the command ends here. Raises RequestError for flags that make no sense,
    alone, together or on this machine.
    """
    check_flags(asked.plan, asked.json)
    limits = (asked.budget_hours, asked.budget_gpu_hours, asked.budget_money)
    budget = choose_budget(declared.budget, *limits, asked.price)
    is_limited_by_flag = any(limit is not None for limit in limits)
    check_plan_flags(asked.plan, asked.probe, asked.price, budget, asked.one, is_limited_by_flag)
    if asked.amend is not None:
        if asked.plan or asked.one is not None:
            raise RequestError("--amend runs and shows nothing else; leave out --plan and --one")
        log = open_log(open_place(asked.runs).below(declared.name))
        amend_claim(declared.name, declared.claim, log, asked.amend, console)
        raise typer.Exit(DONE)
    n_gpus = cluster_gpus()
    scale = asked.scale or choose_scale(n_gpus, console)
    if not asked.plan:
        check_placement(scale, n_gpus, asked.workers, asked.one)
    if asked.pack:
        check_pack(declared.name, scale, n_gpus or asked.plan, asked.workers, asked.one, declared.alone)
    placement = place(scale, n_gpus, asked.runs, asked.roots, asked.workers, asked.wandb, asked.pack)
    say_idle(placement, n_gpus, console)
    return scale, placement, budget
