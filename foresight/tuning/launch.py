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
from foresight.tuning.plan_report import make_plan, plan_json, print_plan
from foresight.tuning.ray_runtime import cluster_gpus
from foresight.tuning.session import DONE
from foresight.tuning.study import check_roots, open_study, require_needs, run_needs
from foresight.tuning.sweep import Placement, Sweep

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
        data: Annotated[
            Literal["shapes", "scenes", "coco", "clips", "ssv2", "davis"] | None,
            typer.Option(help="Default: what the study is declared on."),
        ] = None,
        coco_root: Annotated[Path | None, typer.Option(help="A folder in COCO's layout.")] = None,
        ssv2_root: Annotated[Path | None, typer.Option(help="A folder in Something-Something v2's layout.")] = None,
        davis_root: Annotated[Path | None, typer.Option(help="A folder in DAVIS 2017's layout.")] = None,
    ) -> None:
        console, errors = Console(stderr=plan and json, highlight=False), Console(stderr=True, highlight=False)
        try:
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
                roots={
                    name: root.absolute()
                    for name, root in (("coco", coco_root), ("ssv2", ssv2_root), ("davis", davis_root))
                    if root is not None
                },
            )
            study = open_study(sweep, scale, data, seeds, placement)
            check_roots(study)
            if plan:
                made = make_plan(study)
                if json:
                    print(plan_json(made))
                else:
                    print_plan(made, console)
                raise typer.Exit(DONE)
            study.check()
            if one is not None:
                require_needs(study)
                raise typer.Exit(study.session(console).run_one(one))
            code = run_needs(study, console)
            if code == DONE and study.provisional:  # now that it can be decided, the study as it will be run
                study = open_study(sweep, scale, data, seeds, placement)
                study.check()
            raise typer.Exit(code or study.session(console).run(study.trials[:limit], retry_failed))
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
