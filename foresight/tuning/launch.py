"""`main`: what `python sweeps/<study>.py` does. Flags say how to run, never what; how it ends is in `exit_codes`."""

from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from foresight.tuning.begin import Asked, Scale, begin
from foresight.tuning.exit_codes import one_sentence
from foresight.tuning.flags import (
    BudgetGpuHours,
    BudgetHours,
    BudgetMoney,
    CocoRoot,
    DataName,
    DavisRoot,
    GpuPrice,
    Pack,
    Runs,
    Ssv2Root,
    Wandb,
    Workers,
    check_looking_flags,
)
from foresight.tuning.looking import most_seeds, possible_trials, run_until_decided
from foresight.tuning.plan_print import print_plan
from foresight.tuning.plan_report import make_plan, plan_json
from foresight.tuning.session import DONE
from foresight.tuning.study import check_roots, open_study, require_needs, run_needs
from foresight.tuning.sweep import Sweep
from foresight.tuning.within_budget import BudgetMeter, run_study


def main(sweep: Sweep) -> None:
    """Runs a study's command line and exits with its code."""
    build_app(sweep)()


def build_app(sweep: Sweep) -> typer.Typer:
    """The study's command line."""

    def command(
        scale: Annotated[Scale | None, typer.Option(help="Default: full where there are GPUs, else tiny.")] = None,
        plan: Annotated[bool, typer.Option("--plan", help="Show what would run and what it would cost.")] = False,
        json: Annotated[bool, typer.Option("--json", help="With --plan: for machines.")] = False,
        probe: Annotated[
            bool, typer.Option("--probe", help="With --plan: time two arms for a moment, where no trial is on record.")
        ] = False,
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
        budget_hours: BudgetHours = None,
        budget_gpu_hours: BudgetGpuHours = None,
        budget_money: BudgetMoney = None,
        price: GpuPrice = None,
        limit: Annotated[int | None, typer.Option(min=1, help="Only the first N trials of the plan.")] = None,
        one: Annotated[str | None, typer.Option(metavar="KEY", help="One trial, in this process, without Ray.")] = None,
        runs: Runs = "runs",
        workers: Workers = 1,
        pack: Pack = False,
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
            check_looking_flags(until_decided, limit, one)
            asked = Asked(
                scale=scale, plan=plan, json=json, probe=probe, budget_hours=budget_hours, budget_gpu_hours=budget_gpu_hours,
                budget_money=budget_money, price=price, one=one, runs=runs, workers=workers, pack=pack, wandb=wandb,
                roots={"coco": coco_root, "ssv2": ssv2_root, "davis": davis_root}, amend=amend,
            )  # fmt: skip
            scale, placement, budget = begin(sweep, asked, console)
            if until_decided:
                seeds = most_seeds(sweep, seeds)
            study = open_study(sweep, scale, data, seeds, placement)
            check_roots([study])
            if plan:
                study.check_plan()
                possible = possible_trials(study) if until_decided else study.trials[:limit]
                shown = replace(study, trials=possible)
                made = make_plan(
                    shown, len(study.trials), until_decided, budget, console if probe else None, retry_failed
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
            meter = BudgetMeter(budget, study.logs())
            code = run_needs(study, console, meter)
            if code == DONE and study.provisional:  # now that it can be decided, the study as it will be run
                study = open_study(sweep, scale, data, seeds, placement)
                study.check()
            if code == DONE and until_decided:
                raise typer.Exit(run_until_decided(study, console, retry_failed, meter))
            raise typer.Exit(code or run_study(study.session(console), study.trials[:limit], retry_failed, meter))

    command.__doc__ = sweep.question
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    return app
