"""`--plan`: what a sweep would run, what it would cost, and how much of it is done. Starts nothing."""

import json
from collections import Counter
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from foresight.config import TrialConfig
from foresight.features.requests import needed_entries
from foresight.features.size import missing_flops
from foresight.features.store import ArrayStore
from foresight.runlog import RunLog
from foresight.space import Factor, Trial
from foresight.tuning.level_notes import level_notes
from foresight.tuning.looking import describe_plan
from foresight.tuning.progress import clock
from foresight.tuning.study import Study
from foresight.tuning.sweep import Placement

# Assumptions of the estimate before any trial has finished, printed with it: of one CPU core, and of an A100 (312 TFLOP/s
# in bf16), which a small bridge at batch 8 leaves mostly idle and a large encoder does not.
ASSUMED_TRAINING_FLOPS = {"tiny": 1.0e10, "full": 0.05 * 312e12}
ASSUMED_EXTRACTION_FLOPS = 0.40 * 312e12
ASSUMED_MEASURING_S = {"tiny": 2.0, "full": 15.0}  # of a trial that trains nothing
USD_PER_GPU_HOUR = 2.0


def make_plan(study: Study, n_whole: int | None = None, until_decided: bool = False) -> dict[str, Any]:
    """The plan as a plain tree (`--plan --json`). `n_whole`: how many trials the study has, where it holds the first alone.

    With `until_decided` it holds every trial that may be run, and how many are is for the looks to decide.

    Raises RequestError for an adapter budget that cannot be met.
    """
    from foresight.train.size import measure_size  # the only part of a plan that needs torch

    sweep, space, trials, log, placement = study.sweep, study.space, study.trials, study.log, study.placement
    statuses = log.statuses()
    arms = {trial.arm.name: trial.arm.config for trial in trials}
    sizes = {name: measure_size(config) for name, config in arms.items()}
    entries = needed_entries(arms.values())
    store = ArrayStore(placement.cache)
    trained = [size["params_trained"] for size in sizes.values()]
    pending = [trial for trial in trials if trial.key not in statuses]
    return {
        "study": sweep.name,
        "needs": [make_plan(need) for need in study.needs],
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
                "coverage": _coverage(factor, trials, statuses),
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
        "cost": estimate_cost(pending, sizes, log, placement),
    }


def estimate_cost(
    pending: list[Trial], sizes: dict[str, dict[str, float]], log: RunLog, placement: Placement
) -> dict[str, Any]:
    """Slot-seconds still to do: training from this run log's own trials where there are some, else from FLOPs."""
    scale = pending[0].config.scale if pending else "tiny"
    training = sum(_train_flops(trial.config, sizes[trial.arm.name]["flops"]) for trial in pending)
    extraction = missing_flops([trial.config for trial in pending], ArrayStore(placement.cache))
    extraction_s = extraction / ASSUMED_EXTRACTION_FLOPS
    done = _measured_trials(log, scale)
    if pending and not pending[0].config.is_trained:
        return _measuring_cost(len(pending), done, scale, placement)
    flops_per_s = ASSUMED_TRAINING_FLOPS[scale]
    basis = f"training at an assumed {flops_per_s / 1e9:,.0f} GFLOP/s a slot"
    training_s = training / flops_per_s
    if len(done):
        images = _epochs(done) * done["config/data.n_train"] * done["config/data.n_frames"]
        measured = float((3 * done["cost/flops"] * images).sum() / done["cost/train_s"].sum())
        basis = f"training at {measured / 1e9:,.1f} GFLOP/s a slot, as in {len(done)} finished trials of this run log"
        training_s = training / measured
    return _cost({"training": training_s, "extraction": extraction_s}, basis, scale, placement)


def _measuring_cost(n_pending: int, done: pd.DataFrame, scale: str, placement: Placement) -> dict[str, Any]:
    """Of trials that train nothing: as long as those of this run log took, else as assumed."""
    trial_s, basis = ASSUMED_MEASURING_S[scale], f"{ASSUMED_MEASURING_S[scale]:g} s a trial assumed"
    if len(done):
        trial_s = float(done["cost/trial_s"].mean())
        basis = f"{trial_s:.1f} s a trial, as in {len(done)} finished trials of this run log"
    return _cost({"measuring": n_pending * trial_s}, basis, scale, placement)


def _cost(slot_s: dict[str, float], basis: str, scale: str, placement: Placement) -> dict[str, Any]:
    """`<what>_slot_s` of each kind of work, the time it takes on all slots, and at full scale its price."""
    seconds = sum(slot_s.values())
    cost: dict[str, Any] = {f"{name}_slot_s": value for name, value in slot_s.items()}
    cost |= {"wall_s": seconds / placement.slots, "basis": basis}
    if scale == "full":
        hours = seconds / 3600
        cost |= {"gpu_hours": hours, "usd": hours * USD_PER_GPU_HOUR, "usd_per_gpu_hour": USD_PER_GPU_HOUR}
    return cost


def _epochs(done: pd.DataFrame) -> pd.Series:
    """Epochs that the trials have run; a head that was trained alone has a recipe of its own."""
    if "train/epochs_run" in done:
        return done["train/epochs_run"]
    return done["config/train.epochs"]


def _measured_trials(log: RunLog, scale: str) -> pd.DataFrame:
    """The run log's own complete trials at this scale; imported ones know nothing of this machine."""
    trials = log.trials()
    if not len(trials) or "config/scale" not in trials:
        return pd.DataFrame()
    ours = (trials["status"] == "complete") & (trials["provenance"] == "trained") & (trials["config/scale"] == scale)
    return trials[ours]


def print_plan(plan: dict[str, Any], console: Console) -> None:
    """The plan for people, after those of the studies it needs."""
    for need in plan["needs"]:
        print_plan(need, console)
        console.rule(f"{plan['study']} needs {need['study']}", style="dim")
    console.print(Text.assemble((plan["study"], "bold"), f" at {plan['scale']} scale: {plan['question']}"))
    status = ", ".join(f"{n} {name}" for name, n in sorted(plan["status"].items()))
    arms_and_seeds = f"{plan['n_arms']} arms x {len(plan['seeds'])} seeds {plan['seeds']}"
    limited = plan["n_trials"] < plan["n_whole"]
    trials = (
        f"at most {plan['n_trials']} trials, of"
        if plan["until_decided"]
        else f"the first {plan['n_trials']} of {plan['n_whole']} trials, of"
        if limited
        else f"{plan['n_trials']} trials ="
    )
    console.print(f"{trials} {arms_and_seeds} ({plan['design'].replace('_', ' ')}): {status}")
    for look in plan["looks"]:
        console.print(_look_line(look))
    if plan["provisional"] and plan["needs"]:
        console.print("what it needs is not complete: it runs first, and what it decides may change the levels below")
    data = plan["data"]
    if plan["is_trained"]:
        kind = f"clips of {data['n_frames']} frames" if data["n_frames"] > 1 else "images"
        counts = f"{data['n_train']} training, {data['n_val']} validation and {data['n_test']} test {kind}"
        console.print(f"data {data['name']}: {counts}")
    else:
        console.print("these trials train nothing and read no data set")
    table = Table("factor", "level", "stands for", "complete", title="Factors and coverage", title_justify="left")
    for factor in plan["factors"]:
        for i, level in enumerate(factor["levels"]):
            note = factor["level_notes"].get(level, "")
            names = [factor["name"], factor["field"], *(f"at {k}={value}" for k, value in factor["instead"].items())]
            table.add_row(names[i] if i < len(names) else "", level, note, factor["coverage"].get(level, "0 of 0"))
        table.add_section()
    console.print(table)
    least, most = plan["params_trained"]["least"], plan["params_trained"]["most"]
    console.print(f"trained parameters: {least:,.0f} to {most:,.0f}, decoder apart ({plan['params_decoder']:,.0f})")
    features = plan["features"]
    if plan["is_trained"]:
        console.print(f"features: {features['n_cached']} of {features['n_entries']} entries cached")
    console.print(cost_line(plan, "at most about" if plan["until_decided"] else "about"))


def cost_line(plan: dict[str, Any], bound: str) -> str:
    """Time, and at full scale money, of what is left to run: `bound` says how the number is meant."""
    cost = plan["cost"]
    money = (
        f", {cost['gpu_hours']:.1f} GPU-hours, ${cost['usd']:.0f} at ${cost['usd_per_gpu_hour']:.2f}"
        if "usd" in cost
        else ""
    )
    return f"estimate: {bound} {clock(cost['wall_s'])} on {plan['slots']} slots{money} ({cost['basis']})"


def _look_line(look: dict[str, Any]) -> str:
    taken = f": {look['n_tested']} arms tested, {look['n_going_on']} go on" if look["n_tested"] else ""
    spent = f"level {look['alpha_at_look']:.2g}, {look['alpha_spent']:.2g} of alpha {look['alpha']:g} spent ({look['rule']})"
    return f"look {look['look']} of {look['n_looks']} at {look['n_seeds']} seeds, {spent}{taken}"


def plan_json(plan: dict[str, Any]) -> str:
    """The plan for machines."""
    return json.dumps(plan, indent=2, allow_nan=False)


def _train_flops(config: TrialConfig, forward_flops: float) -> float:
    # A backward pass costs about twice the forward pass.
    return 3 * forward_flops * config.recipe.epochs * config.data.n_train * config.data.n_frames


def _coverage(factor: Factor, trials: list[Trial], statuses: dict[str, str]) -> dict[str, str]:
    """`{'concat': '3 of 5'}`: complete and planned trials of each level."""
    planned: Counter[str] = Counter()
    complete: Counter[str] = Counter()
    for trial in trials:
        config = trial.config.flat()
        if all(config[name] == value for name, value in factor.instead.items()):
            level = str(config[factor.field])
            planned[level] += 1
            complete[level] += statuses.get(trial.key) == "complete"
    return {level: f"{complete[level]} of {n}" for level, n in planned.items()}
