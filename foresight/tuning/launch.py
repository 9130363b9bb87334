"""`main`: what `python sweeps/<study>.py` does. Flags say how to run, never what.

Exit codes: 0 done, 1 some trials failed, 2 the request is wrong (nothing started), 130 interrupted.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError
from rich.console import Console

from foresight.config import explain
from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.tuning import preflight
from foresight.tuning.plan_report import make_plan, plan_json, print_plan
from foresight.tuning.ray_runtime import cluster_gpus
from foresight.tuning.session import DONE, Session
from foresight.tuning.sweep import Placement, Sweep, plan_trials, resolve_space

WRONG_REQUEST, INTERRUPTED = 2, 130


def main(sweep: Sweep) -> None:
    """Runs a study's command line and exits with its code."""
    build_app(sweep)()


def build_app(sweep: Sweep) -> typer.Typer:
    """The study's command line."""

    def command(
        scale: Annotated[
            Literal["tiny", "full"] | None, typer.Option(help="Default: full where there are GPUs, else tiny.")
        ] = None,
        plan: Annotated[bool, typer.Option("--plan", help="Show what would run and what it would cost.")] = False,
        json: Annotated[bool, typer.Option("--json", help="With --plan: for machines.")] = False,
        seeds: Annotated[int, typer.Option(min=1, max=1000, help="Blocks to run.")] = sweep.seeds,
        limit: Annotated[int | None, typer.Option(min=1, help="Only the first N trials of the plan.")] = None,
        one: Annotated[str | None, typer.Option(metavar="KEY", help="One trial, in this process, without Ray.")] = None,
        runs: Annotated[Path, typer.Option(help="Where run logs are kept.")] = Path("runs"),
        retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again.")] = False,
        data: Annotated[Literal["shapes", "coco"], typer.Option(help="What is trained and measured on.")] = "shapes",
        coco_root: Annotated[Path | None, typer.Option(help="A folder in COCO's layout, with --data coco.")] = None,
    ) -> None:
        console, errors = Console(stderr=plan and json, highlight=False), Console(stderr=True, highlight=False)
        try:
            if coco_root is not None and data != "coco":
                raise RequestError("--coco-root is read only with --data coco; add it or leave the folder out")
            if json and not plan:
                raise RequestError("--json belongs to --plan; add --plan or leave it out")
            n_gpus = cluster_gpus()
            if scale is None:
                scale = "full" if n_gpus else "tiny"
                console.print(f"scale: {scale} ({n_gpus:.0f} GPUs here); choose with --scale tiny|full", soft_wrap=True)
            placement = Placement(
                runs=runs.absolute(),
                slots=max(1, int(n_gpus)) if scale == "full" and n_gpus else os.cpu_count() or 1,
                gpus=1.0 if scale == "full" and n_gpus else 0.0,
                coco_root=coco_root.absolute() if coco_root else None,
            )
            space = resolve_space(sweep, scale, data, placement.coco_root)
            trials = plan_trials(sweep, space, seeds)
            log = RunLog(placement.runs / sweep.name)
            preflight.check_readable(log)
            if plan:
                made = make_plan(sweep, space, trials, log, placement)
                if json:
                    print(plan_json(made))
                else:
                    print_plan(made, console)
                raise typer.Exit(DONE)
            preflight.check_disk(log.root, 0, "the run log")
            preflight.check_ownership(log, sweep, space.baseline)
            preflight.check_budgets(trial.config for trial in trials)
            session = Session(sweep, space, trials, log, placement, console)
            raise typer.Exit(session.run_one(one) if one is not None else session.run(trials[:limit], retry_failed))
        except ValidationError as error:
            errors.print(f"error: {explain(error)}", style="red", soft_wrap=True, markup=False)
            raise typer.Exit(WRONG_REQUEST) from error
        except RequestError as error:
            errors.print(f"error: {error}", style="red", soft_wrap=True, markup=False)
            raise typer.Exit(WRONG_REQUEST) from error
        except KeyboardInterrupt as error:
            console.print(
                "interrupted; every finished trial is kept, and the same command goes on here", soft_wrap=True
            )
            raise typer.Exit(INTERRUPTED) from error

    command.__doc__ = sweep.question
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    return app
