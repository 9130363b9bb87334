"""`--plan` of a search: what it may propose, how far it is, and what the rest would cost. Starts nothing."""

import math
from bisect import bisect_left
from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from foresight.dimensions import Choice
from foresight.features.requests import needed_entries
from foresight.space import BASELINE, Arm, Trial
from foresight.tuning import preflight
from foresight.tuning.budget import NO_LIMIT, Budget
from foresight.tuning.estimate import Estimate, estimate_cost
from foresight.tuning.packing import packing_tree
from foresight.tuning.past_trials import read_complete
from foresight.tuning.plan_print import budget_lines, estimate_lines, packing_lines
from foresight.tuning.plan_report import budget_tree
from foresight.tuning.probe_speed import probe_arms
from foresight.tuning.search_record import planned_trials
from foresight.tuning.search_session import PARTS_OF_FEATURES, SearchSession
from foresight.tuning.within_budget import BudgetMeter, Need


def make_search_plan(
    session: SearchSession,
    budget: Budget = NO_LIMIT,
    probe: Console | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
) -> dict[str, Any]:
    """The plan as a plain tree (`--plan --json`). The cost takes every proposal for the baseline, and none as stopped.

    With a console to say so on, `probe` times the cheapest and the dearest of the baseline and what differs from it in one
    dimension, where the run log holds no trial. `limit` and `retry_failed` are as the run would have them.
    Raises RequestError for what cannot be probed.
    """
    from foresight.train.size import measure_size  # the only part of a plan that needs torch

    search, space, log = session.search, session.space, session.log
    trials, statuses = planned_trials(log), log.statuses()
    n_proposed = len({trial.arm.name for trial in trials})
    n_left = max(0, session.n_proposals - n_proposed) * search.seeds
    begun = preflight.pending_trials(trials, statuses, retry_failed)
    arm = Arm(BASELINE, "", "", space.baseline)
    size = measure_size(space.baseline)
    sizes = {BASELINE: size} | {trial.arm.name: measure_size(trial.config) for trial in begun}
    entries = needed_entries(space.combinations(*PARTS_OF_FEATURES))
    store = session.placement.store()
    pending = (begun + [Trial(arm, space.baseline)] * n_left)[:limit]
    probed = None
    if probe is not None and pending and not len(read_complete(log, space.baseline.scale)):
        others = [Arm(field, "", "", config) for field, config in space.neighbours()]
        probed = probe_arms([Trial(one, one.config) for one in (arm, *others)], session.placement, probe)
    cost = estimate_cost(pending, sizes, log, session.placement, probed)
    n_pending = len({trial.arm.name for trial in begun}) + n_left // search.seeds
    if limit is not None:
        n_pending = min(n_pending, math.ceil(len(pending) / search.seeds))
    return {
        "study": search.name,
        "question": search.question,
        "scale": space.baseline.scale,
        "data": space.baseline.data.model_dump(),
        **session.declared.how(),
        "dimensions": space.to_json(),
        "n_proposed": n_proposed,
        "status": dict(Counter(statuses.get(trial.key, "pending") for trial in trials)),
        "features": {"n_entries": len(entries), "n_cached": sum(store.has(key) for key in entries)},
        "baseline": size,
        "trials": [{"key": trial.key, "arm": trial.arm.name, "seed": trial.seed} for trial in trials],
        "slots": session.placement.slots,
        "packing": packing_tree(log, [space.baseline, *(c for _, c in space.neighbours())])
        if session.placement.pack
        else None,
        "cost": cost.as_json(budget.price),
        "budget": _describe_budget(session, cost, n_pending, budget),
    }


def _describe_budget(session: SearchSession, cost: Estimate, n: int, budget: Budget) -> dict[str, Any] | None:
    """The limits, what is spent of them, and for how many of the `n` proposals that are left they should last; or None.

    As the search itself asks before each proposal, all taken as equal.
    """
    if not budget.is_limited:
        return None
    meter = BudgetMeter(budget, [session.log], whole="proposal")
    whole = meter.need(cost)

    def lacks(first: int) -> bool:
        share = first / n
        return meter.lack(Need(whole.wall_s * share, whole.gpu_s * share), cost.gpus > 0) is not None

    return budget_tree(meter, n, bisect_left(range(1, n + 1), True, key=lacks))


def print_search_plan(plan: dict[str, Any], console: Console) -> None:
    """The plan for people."""
    console.print(Text.assemble((plan["study"], "bold"), f" at {plan['scale']} scale: {plan['question']}"))
    goals = ", ".join(f"{goal['name']} ({goal['direction']} is better)" for goal in plan["objectives"])
    each = f"at {plan['seeds']} seed{'s' * (plan['seeds'] > 1)}"
    console.print(
        f"{plan['n_proposed']} of {plan['proposals']} proposals made, each {each}; sampler "
        f"{plan['sampler']} by {goals}, on validation images; an exploration: no verdicts",
        soft_wrap=True,
    )
    if plan["rungs"]:
        told = ", ".join(map(str, plan["rungs"]))
        console.print(
            f"the first trial of a proposal may be stopped after epoch {told}; the others run only if it was not"
        )
    if plan["status"]:
        console.print("trials: " + ", ".join(f"{n} {name}" for name, n in sorted(plan["status"].items())))
    data = plan["data"]
    console.print(
        f"data {data['name']}: {data['n_train']} training, {data['n_val']} validation and {data['n_test']} test images"
    )
    table = Table("field", "values", "only where", title="What is proposed", title_justify="left")
    for dimension in plan["dimensions"]:
        when = "; ".join(f"{name} is {' or '.join(map(str, values))}" for name, values in dimension["when"].items())
        table.add_row(dimension["field"], _values(dimension), when)
    console.print(table)
    size, features = plan["baseline"], plan["features"]
    console.print(
        f"the baseline trains {size['params_trained']:,.0f} parameters, decoder apart ({size['params_decoder']:,.0f})"
    )
    console.print(f"features of the whole space: {features['n_cached']} of {features['n_entries']} entries cached")
    estimate = estimate_lines(plan, "at most about, if every proposal costs what the baseline does,")
    for line in (*packing_lines(plan["packing"]), *estimate, *budget_lines(plan, "proposal")):
        console.print(line, soft_wrap=True)


def _values(dimension: dict[str, Any]) -> str:
    if dimension["kind"] == Choice.__name__:
        return ", ".join(map(str, dimension["values"]))
    scale = (
        ", by its logarithm"
        if dimension["log"]
        else f", every {dimension['step']}"
        if dimension["step"] not in (None, 1)
        else ""
    )
    return f"{dimension['low']:g} to {dimension['high']:g}{scale}"
