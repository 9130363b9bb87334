"""`main`: what `python sweeps/<study>.py` does. Flags say how to run, never what; how it ends is in `exit_codes`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.tuning.amend import amend_claim
from foresight.tuning.exit_codes import one_sentence
from foresight.tuning.flags import (
    CocoRoot,
    DataName,
    DavisRoot,
    Ssv2Root,
    Wandb,
    Workers,
    check_flags,
    check_looking_flags,
    check_placement,
    choose_scale,
    place,
)
from foresight.tuning.looking import most_seeds, possible_trials, run_until_decided
from foresight.tuning.plan_report import make_plan, plan_json, print_plan
from foresight.tuning.ray_runtime import cluster_gpus
from foresight.tuning.session import DONE
from foresight.tuning.study import check_roots, open_study, require_needs, run_needs
from foresight.tuning.sweep import Sweep


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
        seeds: Annotated[
            int | None,
            typer.Option(
                min=1, max=1000, help=f"Blocks to run, {sweep.seeds} by default; with --until-decided at most."
            ),
        ] = None,
        until_decided: Annotated[
            bool,
            typer.Option("--until-decided", help="Run and look, as the claim declares, until every arm is decided."),
        ] = False,
        budget_hours: Annotated[
            float | None, typer.Option(min=0.0, help="With --until-decided: begin no block that would end later.")
        ] = None,
        limit: Annotated[int | None, typer.Option(min=1, help="Only the first N trials of the plan.")] = None,
        one: Annotated[str | None, typer.Option(metavar="KEY", help="One trial, in this process, without Ray.")] = None,
        runs: Annotated[Path, typer.Option(help="Where run logs are kept.")] = Path("runs"),
        workers: Workers = 1,
        retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again.")] = False,
        data: Annotated[DataName | None, typer.Option(help="Default: what the study is declared on.")] = None,
        coco_root: CocoRoot = None,
        ssv2_root: Ssv2Root = None,
        davis_root: DavisRoot = None,
        wandb: Wandb = False,
        amend: Annotated[
            str | None, typer.Option(metavar="REASON", help="Record that the claim was changed, and run nothing.")
        ] = None,
    ) -> None:
        # Plain text: a bracket in a path or a question is no markup.
        console = Console(stderr=plan and json, highlight=False, markup=False)
        with one_sentence(console, Console(stderr=True, highlight=False), kept="every finished trial"):
            check_flags(plan, json)
            check_looking_flags(until_decided, budget_hours, limit, one)
            if amend is not None:
                if plan or one is not None:
                    raise RequestError("--amend runs and shows nothing else; leave out --plan and --one")
                amend_claim(sweep.name, sweep.claim, RunLog(runs.absolute() / sweep.name), amend, console)
                raise typer.Exit(DONE)
            n_gpus = cluster_gpus()
            if scale is None:
                scale = choose_scale(n_gpus, console)
            if not plan:
                check_placement(scale, n_gpus, workers, one)
            roots = {"coco": coco_root, "ssv2": ssv2_root, "davis": davis_root}
            placement = place(scale, n_gpus, runs, roots, workers, wandb)
            if until_decided:
                seeds = most_seeds(sweep, seeds)
            study = open_study(sweep, scale, data, seeds, placement)
            check_roots([study])
            if plan:
                possible = possible_trials(study) if until_decided else study.trials[:limit]
                made = make_plan(
                    replace(study, trials=possible), n_whole=len(study.trials), until_decided=until_decided
                )
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
            if code == DONE and until_decided:
                budget_s = None if budget_hours is None else 3600 * budget_hours
                raise typer.Exit(run_until_decided(study, console, retry_failed, budget_s))
            raise typer.Exit(code or study.session(console).run(study.trials[:limit], retry_failed))

    command.__doc__ = sweep.question
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    return app
