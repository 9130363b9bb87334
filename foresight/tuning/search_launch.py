"""`main_search`: what `python sweeps/<search>.py` does. Its flags are those of every study, with proposals in place of blocks."""

from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from foresight.errors import RequestError
from foresight.run_folder import open_study_log
from foresight.tuning import preflight
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
)
from foresight.tuning.plan_report import plan_json
from foresight.tuning.search import Search
from foresight.tuning.search_plan import make_search_plan, print_search_plan
from foresight.tuning.search_session import SearchSession
from foresight.tuning.session import DONE
from foresight.tuning.sweep import Placement, read_roots, resolve_baseline


def main_search(search: Search) -> None:
    """Runs a search's command line and exits with its code."""
    build_search_app(search)()


def build_search_app(search: Search) -> typer.Typer:
    """The search's command line."""

    def command(
        scale: Annotated[Scale | None, typer.Option(help="Default: full where there are GPUs, else tiny.")] = None,
        plan: Annotated[bool, typer.Option("--plan", help="Show what would run and what it would cost.")] = False,
        json: Annotated[bool, typer.Option("--json", help="With --plan: for machines.")] = False,
        probe: Annotated[
            bool, typer.Option("--probe", help="With --plan: time two arms for a moment, where no trial is on record.")
        ] = False,
        trials: Annotated[
            int | None,
            typer.Option(
                min=1,
                max=100_000,
                help=f"Configurations to propose, {search.proposals} by default, each run at {search.seeds} seeds.",
            ),
        ] = None,
        budget_hours: BudgetHours = None,
        budget_gpu_hours: BudgetGpuHours = None,
        budget_money: BudgetMoney = None,
        price: GpuPrice = None,
        limit: Annotated[int | None, typer.Option(min=1, help="Run at most N trials now.")] = None,
        one: Annotated[
            str | None, typer.Option(metavar="KEY", help="One proposed trial, in this process, without Ray.")
        ] = None,
        runs: Runs = "runs",
        warm_start: Annotated[
            list[str] | None,
            typer.Option(metavar="RUNS/STUDY", help="A run log whose finished trials are told and reused; repeatable."),
        ] = None,
        workers: Workers = 1,
        pack: Pack = False,
        retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again.")] = False,
        data: Annotated[DataName | None, typer.Option(help="Default: what the search is declared on.")] = None,
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
            asked = Asked(
                scale=scale, plan=plan, json=json, probe=probe, budget_hours=budget_hours, budget_gpu_hours=budget_gpu_hours,
                budget_money=budget_money, price=price, one=one, runs=runs, workers=workers, pack=pack, wandb=wandb,
                roots={"coco": coco_root, "ssv2": ssv2_root, "davis": davis_root}, amend=amend,
            )  # fmt: skip
            scale, placement, budget = begin(search, asked, console)
            session = open_search(search, scale, data, trials or search.proposals, placement, warm_start or [], console)
            session.check()
            if plan:
                made = make_search_plan(session, budget, console if probe else None, limit, retry_failed)
                if json:
                    print(plan_json(made))
                else:
                    print_search_plan(made, console)
                raise typer.Exit(DONE)
            if one is not None:
                raise typer.Exit(session.run_one(one))
            raise typer.Exit(session.run(retry_failed, budget, limit))

    command.__doc__ = search.question
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    return app


def open_search(
    search: Search,
    scale: str,
    data: str | None,
    n_proposals: int,
    placement: Placement,
    warm_start: list[str],
    console: Console,
) -> SearchSession:
    """The search on this machine's data. Raises RequestError for data, a space or objectives that cannot be used."""
    declared = search.space(scale)
    search.check(declared)
    space = replace(declared, baseline=resolve_baseline(declared.baseline, data, placement.roots))
    objectives = search.check(space)
    unread = set(placement.roots) - read_roots(space.baseline)
    if unread:
        name = min(unread)
        raise RequestError(f"'{search.name}' does not read --{name}-root here; add --data {name} or leave it out")
    preflight.check_budgets([space.baseline])
    log = placement.log(search.name)
    log.refresh()
    own = replace(placement, slots=1, alone=True, pack=0) if search.alone else placement
    sources = tuple(open_study_log(text) for text in warm_start)
    return SearchSession(search, space, objectives, n_proposals, log, own, sources, console)
