"""`--plan` for people: what a sweep would run and take, line by line."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from foresight.tuning.packing import describe_parts
from foresight.tuning.planned_power import power_line
from foresight.tuning.progress import clock

Shown = dict[str, float]  # a Range as JSON has it: expected, low, high


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
    estimate = estimate_lines(plan, "at most about" if plan["until_decided"] else "about")
    for line in (*packing_lines(plan["packing"]), *estimate, *budget_lines(plan, "block"), power_line(plan["power"])):
        console.print(line, soft_wrap=True)


def packing_lines(packing: dict[str, Any] | None) -> list[str]:
    """Which shares of GPUs the arms would get; nothing where none are shared."""
    if packing is None:
        return []
    parts = {int(k): n for k, n in packing["parts"].items()}
    known = f"{describe_parts(parts)} of {packing['gpu_mb'] / 1024:.0f} GiB" if parts else ""
    n_unmeasured = packing["n_unmeasured"]
    unknown = f"the need of {_count(n_unmeasured, 'arm')} is measured before the first trial" if n_unmeasured else ""
    return [f"sharing GPUs: {'; '.join(filter(None, (known, unknown)))}"]


def estimate_lines(plan: dict[str, Any], bound: str) -> list[str]:
    """Time, hours and money with their intervals, and what they rest on; `bound` says how the numbers are meant."""
    cost = plan["cost"]
    if not cost["n_trials"]:
        return ["estimate: nothing is left to run"]
    wall = cost["wall_s"]
    parts = [
        f"{clock(wall['expected'])} ({clock(wall['low'])} to {clock(wall['high'])}) on {_count(plan['slots'], 'slot')}"
    ]
    hours, unit = _hours(cost)
    parts.append(_amount(hours, unit))
    if "money" in cost:
        money = cost["money"]
        at = f"at {money['per_gpu_hour']:.2f} for each of the {unit}{', as assumed' if money['is_assumed'] else ''}"
        parts.append(f"{_amount(money, money['currency'])} {at}")
    return [
        f"estimate: {bound} {', '.join(parts)}, for {_count(cost['n_trials'], 'trial')}",
        f"  {cost['confidence']:.0%} interval; {cost['basis']}",
    ]


def budget_lines(plan: dict[str, Any], whole: str) -> list[str]:
    """The limits, what is spent and how far it goes, in blocks or proposals; nothing without a budget."""
    budget = plan["budget"]
    if budget is None:
        return []
    money, unit = budget["money"], _hours(plan["cost"])[1]
    limits = [
        *([f"{budget['hours']:g} hours of a command"] if budget["hours"] is not None else []),
        *([f"{budget['gpu_hours']:g} {unit}"] if budget["gpu_hours"] is not None else []),
        *([f"{money['amount']:g} {money['currency']}"] if money is not None else []),
    ]
    fit = f"{budget[f'n_{whole}s_that_fit']} of the {budget[f'n_{whole}s']} {whole}s that are left should fit"
    return [
        f"budget: {', '.join(limits)}, of which the run log has spent {budget['spent_gpu_hours']:.3g} {unit}; {fit}"
    ]


def _hours(cost: dict[str, Any]) -> tuple[Shown, str]:
    return (cost["gpu_hours"], "GPU-hours") if "gpu_hours" in cost else (cost["slot_hours"], "slot-hours")


def _amount(shown: Shown, unit: str) -> str:
    """`1.2 GPU-hours (0.8 to 1.7)`."""
    return f"{_number(shown['expected'])} {unit} ({_number(shown['low'])} to {_number(shown['high'])})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _look_line(look: dict[str, Any]) -> str:
    taken = f": {look['n_tested']} arms tested, {look['n_going_on']} go on" if look["n_tested"] else ""
    spent = f"level {look['alpha_at_look']:.2g}, {look['alpha_spent']:.2g} of alpha {look['alpha']:g} spent ({look['rule']})"
    return f"look {look['look']} of {look['n_looks']} at {look['n_seeds']} seeds, {spent}{taken}"


def _count(n: int, what: str) -> str:
    """`1 slot`, `2 slots`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
