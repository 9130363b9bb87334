"""`--plan`: what a sweep would run, what it would cost, and how much of it is done. Starts nothing."""

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from rich.console import Console

from foresight.features.requests import needed_entries
from foresight.space import Factor, Trial
from foresight.tuning import preflight
from foresight.tuning.budget import NO_LIMIT, Budget, count_gpu_s, hours_of
from foresight.tuning.estimate import estimate_cost
from foresight.tuning.level_notes import level_notes
from foresight.tuning.looking import describe_plan
from foresight.tuning.packing import packing_tree
from foresight.tuning.past_trials import read_complete
from foresight.tuning.planned_power import plan_power
from foresight.tuning.probe_speed import probe_arms
from foresight.tuning.study import Study
from foresight.tuning.within_budget import BudgetMeter, blocks, measure_sizes


def make_plan(
    study: Study,
    n_whole: int | None = None,
    until_decided: bool = False,
    budget: Budget = NO_LIMIT,
    probe: Console | None = None,
    retry_failed: bool = False,
) -> dict[str, Any]:
    """The plan as a plain tree (`--plan --json`). `n_whole`: how many trials the study has, where it holds the first alone.

    With `until_decided` it holds every trial that may be run, and how many are is for the looks to decide. With a console to
    say so on, `probe` times two arms where the run log holds no trial. With `retry_failed` failed trials are to run again.

    Raises RequestError for an adapter budget that cannot be met, or trials that cannot be probed.
    """
    sweep, space, trials, log, placement = study.sweep, study.space, study.trials, study.log, study.placement
    statuses = log.statuses()
    arms = {trial.arm.name: trial.arm.config for trial in trials}
    flat = {name: config.flat() for name, config in arms.items()}
    sizes = measure_sizes(trials, placement.cache)
    entries = needed_entries(arms.values())
    store = placement.store()
    trained = [size["params_trained"] for size in sizes.values()]
    pending = preflight.pending_trials(trials, statuses, retry_failed)
    probed = None
    if probe is not None and pending and not len(read_complete(log, space.baseline.scale)):
        probed = probe_arms(pending, placement, probe)
    return {
        "study": sweep.name,
        "needs": [make_plan(need, probe=probe, retry_failed=retry_failed) for need in study.needs],
        "provisional": study.provisional,
        "question": sweep.question,
        "scale": space.baseline.scale,
        "data": space.baseline.data.model_dump(),
        "is_trained": space.baseline.is_trained,
        "design": space.design,
        "n_arms": len(arms),
        "seeds": sorted({trial.seed for trial in trials}),
        "n_trials": len(trials),
        "n_whole": n_whole or len(trials),
        "looks": describe_plan(study),
        "until_decided": until_decided,
        "status": dict(Counter(statuses.get(trial.key, "pending") for trial in trials)),
        "factors": [
            {
                "name": factor.name,
                "field": factor.field,
                "instead": dict(factor.instead),
                "levels": [str(level) for level in factor.levels],
                "level_notes": level_notes(factor, space.baseline),
                "coverage": _coverage(factor, trials, flat, statuses),
            }
            for factor in space.factors
        ],
        "features": {"n_entries": len(entries), "n_cached": sum(store.has(key) for key in entries)},
        "params_trained": {"least": min(trained), "most": max(trained)},
        "params_decoder": max(size["params_decoder"] for size in sizes.values()),
        "arms": [{"arm": name, "arm_key": config.arm_key, **sizes[name]} for name, config in arms.items()],
        "trials": [{"key": trial.key, "arm": trial.arm.name, "seed": trial.seed} for trial in trials],
        "slots": placement.slots,
        "workers": placement.workers,
        "packing": packing_tree(log, arms.values()) if placement.pack else None,
        "cost": estimate_cost(pending, sizes, log, placement, probed).as_json(budget.price),
        "budget": _describe_budget(study, pending, budget),
        "power": plan_power(study),
    }


def _describe_budget(study: Study, pending: list[Trial], budget: Budget) -> dict[str, Any] | None:
    """The limits, what is spent of them, and for how many of the blocks they should last; None without any."""
    if not budget.is_limited:
        return None
    meter = BudgetMeter(budget, study.logs())
    return budget_tree(meter, len(list(blocks(pending))), meter.count_blocks(pending, study.log, study.placement))


def budget_tree(meter: BudgetMeter, n: int, n_that_fit: int) -> dict[str, Any]:
    """A budget as `--plan --json` has it. `n`: how many blocks, or proposals of a search, are left."""
    budget = meter.budget
    return {
        "hours": budget.hours,
        "gpu_hours": budget.gpu_hours,
        "money": budget.money and asdict(budget.money),
        "spent_gpu_hours": hours_of(count_gpu_s(meter.logs)),
        f"n_{meter.whole}s": n,
        f"n_{meter.whole}s_that_fit": n_that_fit,
    }


def plan_json(plan: dict[str, Any]) -> str:
    """The plan for machines."""
    return json.dumps(plan, indent=2, allow_nan=False)


def _coverage(
    factor: Factor, trials: list[Trial], flat: dict[str, dict[str, Any]], statuses: dict[str, str]
) -> dict[str, str]:
    """`{'concat': '3 of 5'}`: complete and planned trials of each level. `flat` are the fields of each arm."""
    planned: Counter[str] = Counter()
    complete: Counter[str] = Counter()
    for trial in trials:
        config = flat[trial.arm.name]
        if all(config[name] == value for name, value in factor.instead.items()):
            level = str(config[factor.field])
            planned[level] += 1
            complete[level] += statuses.get(trial.key) == "complete"
    return {level: f"{complete[level]} of {n}" for level, n in planned.items()}
