"""`--until-decided`: blocks up to the claim's next look, a look, then blocks for the arms that it left undecided.

Each look is written to looks.json before anything of the next one runs, and what it decided stands: a command that was
killed goes on with the same looks, and never looks twice with one arm. The test images are looked at here, by a rule
that was declared before the first trial; a person who watches still sees validation alone.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from rich.console import Console

from foresight.declared import find_foreign_fields, list_arms
from foresight.errors import RequestError
from foresight.looks import (
    DECIDED,
    add_tests,
    as_json_rows,
    from_json_rows,
    look_fields,
    look_values,
    no_tests,
    reached_arms,
    take_look,
)
from foresight.space import BASELINE, Trial
from foresight.spending import Look
from foresight.tuning import preflight
from foresight.tuning.session import SOME_FAILED
from foresight.tuning.study import Study
from foresight.tuning.sweep import Sweep
from foresight.tuning.within_budget import BudgetMeter, as_one_command, run_blocks, say_ended


def most_seeds(sweep: Sweep, asked: int | None) -> int:
    """The most blocks that `--until-decided` may run: up to the last look, or as many as were asked for.

    Raises RequestError for a claim without looks, or fewer blocks than its first look needs.
    """
    claim = sweep.claim
    if claim.spending is None:
        raise RequestError(
            f"'{sweep.name}' has one look, at {claim.seeds} seeds; to look more often its claim must declare it before the "
            f"first trial, such as spending=Spending('obrien_fleming', ({claim.seeds}, {2 * claim.seeds}))"
        )
    if asked is not None and asked < claim.seeds:
        raise RequestError(f"the first look is at {claim.seeds} seeds, and --seeds {asked} ends before it")
    last = claim.spending.looks[-1]
    return last if asked is None else min(asked, last)


def describe_plan(study: Study) -> list[dict[str, Any]]:
    """The looks that the claim declares, for `--plan`: seeds, levels, and how many arms each has tested and sent on."""
    if study.sweep.claim.spending is None:
        return []
    tests = read_tests(study)
    found = []
    for look in study.sweep.claim.looks():
        mine = tests[tests["look"] == look.number]
        counts = {"n_tested": len(mine), "n_going_on": int(mine["goes_on"].sum())}
        found.append(look_fields(look, study.sweep.claim) | counts)
    return found


def possible_trials(study: Study) -> list[Trial]:
    """The trials that may still be part of the study: all but those of arms after their last look."""
    tests = read_tests(study)
    ended = tests[~tests["goes_on"].astype(bool)]
    n_seeds = dict(zip(ended["arm"], ended["n_seeds"], strict=True))
    block = {seed: i for i, seed in enumerate(planned_seeds(study.trials))}
    return [t for t in study.trials if block[t.seed] < n_seeds.get(t.arm.name, len(block))]


def run_until_decided(study: Study, console: Console, retry_failed: bool, meter: BudgetMeter) -> int:
    """Runs and looks until every arm is decided, the looks end or the budget does. Returns the exit code.

    `study` holds the trials of every block that may be run; a look beyond them is not taken.
    """
    with as_one_command(study.log):
        return _run_and_look(study, console, retry_failed, meter)


def _run_and_look(study: Study, console: Console, retry_failed: bool, meter: BudgetMeter) -> int:
    seeds, ran = planned_seeds(study.trials), list[Trial]()
    arms = list(dict.fromkeys(trial.arm.name for trial in study.trials))
    session = study.session(console)
    for look in study.sweep.claim.looks():
        reached = reached_arms(look, read_tests(study), arms)
        if look.n_seeds > len(seeds) or not reached:
            break
        names = {BASELINE, *reached}
        wanted = [t for t in study.trials if t.seed in seeds[: look.n_seeds] and t.arm.name in names]
        console.print(f"look {look.number}: {look.n_seeds} seeds of {len(names)} arms", soft_wrap=True)
        session = replace(study, trials=wanted).session(console)
        begun, lack = run_blocks(session, wanted, retry_failed, meter)
        ran += [trial for trial in begun if trial not in ran]
        if lack is not None:
            if ran:
                session.summarise(ran)
            say_ended(session, wanted, f"{lack}, to look {look.number} at {look.n_seeds} seeds")
            return SOME_FAILED
        console.print(record_look(study, look, arms, seeds), soft_wrap=True)
    return session.summarise(ran)


def record_look(study: Study, look: Look, arms: Sequence[str], seeds: Sequence[int]) -> str:
    """Takes a look, writes what it adds to looks.json, and says in a sentence what it found about `arms`.

    The look is at every arm of the run log, those that are planned no more among them: they were compared as well.
    """
    with preflight.only_driver(study.log):
        tests, (values, family) = read_tests(study), read_family(study)
        new = take_look(values, look, tests, family, seeds, study.sweep.claim)
        new["time"] = datetime.now(UTC).isoformat(timespec="seconds")
        tests = add_tests(tests, new)
        if len(new):
            study.log.write_looks(as_json_rows(tests))
    taken = tests[(tests["look"] == look.number) & tests["arm"].isin(arms)]
    counts = Counter(taken["verdict"])
    found = ", ".join(f"{counts[name]} {name}" for name in (*DECIDED, "undecided") if counts[name]) or "nothing to test"
    untested = len(reached_arms(look, tests, arms)) - len(taken)
    lacking = f", {untested} without a complete trial at every seed" if untested else ""
    going_on = f"; {n} go on" if (n := int(taken["goes_on"].sum())) else ""
    return f"look {look.number} at {look.n_seeds} seeds, level {look.level:.2g}: {found}{lacking}{going_on}"


def read_tests(study: Study) -> pd.DataFrame:
    """The looks on record."""
    return from_json_rows(study.log.read_looks(), study.sweep.claim) if study.sweep.claim.spending else no_tests()


def read_family(study: Study) -> tuple[pd.DataFrame, list[str]]:
    """What a look compares, as analysis reads it: `look_values` of the run log, and every arm planned or recorded in it."""
    sweep, manifest, rows = study.log.read_sweep() or {}, study.log.read_manifest(), study.log.trials()
    rows, planned = (found[find_foreign_fields(found, sweep) == ""] for found in (rows, manifest))
    return look_values(rows, study.sweep.claim.primary), list_arms(planned, rows)


def planned_seeds(trials: Sequence[Trial]) -> list[int]:
    """The blocks of some trials, in order."""
    return sorted({trial.seed for trial in trials})
